import { AloftError, codeOfGrpcStatus, errorMapping, toAloftError, type ErrorDetail } from '@aloft/errors';
import { Status } from '@aloft/idl/google/rpc/status';
import { Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js';

const detailsKey = 'grpc-status-details-bin';
const typeUrlPrefix = 'type.googleapis.com/';

/**
 * Bytes of a message on the wire (percent-encoded). Clients built on the C core refuse trailers above 8 KiB, and a status
 * carries its message twice when it has details.
 */
const maxMessageBytes = 2_500;

/** gRPC status of any thrown value: UNKNOWN never (flytekit takes it for an expired token), details as A-4 wants them. */
export function toStatus(thrown: unknown): Partial<StatusObject> & { code: number; details: string } {
  const error = toAloftError(thrown);
  const code = errorMapping[error.code].grpc;
  const details = transportable(error.message);
  if (error.details.length === 0) return { code, details };
  const metadata = new Metadata();
  metadata.set(detailsKey, encodeDetails(code, details, error.details));
  return { code, details, metadata };
}

export function encodeDetails(code: number, message: string, details: readonly ErrorDetail[]): Buffer {
  const status: Status = {
    code,
    message,
    details: details.map(({ type, value }) => ({ typeUrl: typeUrlPrefix + type, value: Buffer.from(value) })),
  };
  return Buffer.from(Status.encode(status).finish());
}

/** The error behind a failed client call, with its typed details. */
export function fromServiceError(thrown: unknown, path: string): AloftError {
  if (thrown instanceof AloftError) return thrown;
  if (!isServiceError(thrown)) return toAloftError(thrown);
  return new AloftError(codeOfGrpcStatus(thrown.code), thrown.details || thrown.message, {
    details: decodeDetails(thrown.metadata),
    cause: new Error(`${path}: ${thrown.message}`),
  });
}

export function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && typeof (thrown as ServiceError).code === 'number' && 'details' in thrown;
}

function decodeDetails(metadata: Metadata | undefined): ErrorDetail[] {
  const [bytes] = metadata?.get(detailsKey) ?? [];
  if (!Buffer.isBuffer(bytes)) return [];
  try {
    return Status.decode(bytes).details.map(({ typeUrl, value }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf('/') + 1),
      value,
    }));
  } catch {
    // A foreign server's broken trailer must not hide the error that it came with.
    return [];
  }
}

/** Well-formed (grpc-js percent-encodes it and would throw) and short enough for a header. */
function transportable(message: string): string {
  const wellFormed = Buffer.from(message).toString();
  if (wellFormed.length * 9 <= maxMessageBytes || encodeURI(wellFormed).length <= maxMessageBytes) return wellFormed;
  const suffix = ` … (shortened; ${wellFormed.length} characters in all)`;
  let size = encodeURI(suffix).length;
  let kept = '';
  for (const character of wellFormed) {
    size += encodeURI(character).length;
    if (size > maxMessageBytes) break;
    kept += character;
  }
  return kept + suffix;
}
