import { AloftError } from '@aloft/errors';

/** An error as S3's clients know it. */
export class S3Error extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
  ) {
    super(message);
    this.name = 'S3Error';
  }
}

export const accessDenied = (message: string): S3Error => new S3Error('AccessDenied', 403, message);
export const invalidRequest = (message: string): S3Error => new S3Error('InvalidRequest', 400, message);
export const invalidArgument = (message: string): S3Error => new S3Error('InvalidArgument', 400, message);
export const notImplemented = (message: string): S3Error => new S3Error('NotImplemented', 501, message);

/** Any thrown value as what the client is told. */
export function toS3Error(thrown: unknown): S3Error {
  if (thrown instanceof S3Error) return thrown;
  if (thrown instanceof AloftError)
    switch (thrown.code) {
      case 'NOT_FOUND':
        return new S3Error('NoSuchKey', 404, thrown.message);
      case 'INVALID_ARGUMENT':
        return invalidArgument(thrown.message);
      case 'ALREADY_EXISTS':
        return new S3Error('PreconditionFailed', 412, thrown.message);
      case 'FAILED_PRECONDITION':
        return new S3Error('InvalidObjectState', 409, thrown.message);
      case 'ABORTED':
        return new S3Error('OperationAborted', 409, thrown.message);
      case 'RESOURCE_EXHAUSTED':
        return new S3Error('InsufficientStorage', 507, thrown.message);
    }
  return new S3Error('InternalError', 500, thrown instanceof Error ? thrown.message : String(thrown));
}
