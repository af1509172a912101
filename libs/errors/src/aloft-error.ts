/** Stable codes; each maps to one gRPC status, one HTTP status and one bus disposition (see mapping.ts). */
export type ErrorCode =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'FAILED_PRECONDITION'
  | 'RESOURCE_EXHAUSTED'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'DEADLINE_EXCEEDED'
  | 'UNAVAILABLE'
  | 'CANCELLED'
  | 'DATA_LOSS'
  | 'INTERNAL';

/** One typed detail of a `google.rpc.Status`: a full message name and its encoded bytes. */
export interface ErrorDetail {
  type: string;
  value: Uint8Array;
}

export interface AloftErrorOptions {
  details?: ErrorDetail[];
  cause?: unknown;
}

/** What every layer throws: says what was wrong, where, and what would be right. */
export class AloftError extends Error {
  readonly details: ErrorDetail[];

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: AloftErrorOptions = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'AloftError';
    this.details = options.details ?? [];
  }
}

export const invalidArgument = (message: string, options?: AloftErrorOptions): AloftError =>
  new AloftError('INVALID_ARGUMENT', message, options);
export const notFound = (message: string, options?: AloftErrorOptions): AloftError =>
  new AloftError('NOT_FOUND', message, options);
export const alreadyExists = (message: string, options?: AloftErrorOptions): AloftError =>
  new AloftError('ALREADY_EXISTS', message, options);
export const failedPrecondition = (message: string, options?: AloftErrorOptions): AloftError =>
  new AloftError('FAILED_PRECONDITION', message, options);
export const resourceExhausted = (message: string, options?: AloftErrorOptions): AloftError =>
  new AloftError('RESOURCE_EXHAUSTED', message, options);
export const unavailable = (message: string, options?: AloftErrorOptions): AloftError =>
  new AloftError('UNAVAILABLE', message, options);
export const internal = (message: string, options?: AloftErrorOptions): AloftError =>
  new AloftError('INTERNAL', message, options);
