import { AloftError, type ErrorCode } from './aloft-error.js';

/** What a bus consumer does with a message whose handling failed: try again later, or park it with its key. */
export type BusDisposition = 'retry' | 'park';

interface Mapping {
  /** gRPC status code (numbers of `google.rpc.Code`). */
  grpc: number;
  http: number;
  bus: BusDisposition;
}

/** The one mapping of codes to the outside (HTTP as grpc-gateway maps it, K-38). */
export const errorMapping: Readonly<Record<ErrorCode, Mapping>> = {
  CANCELLED: { grpc: 1, http: 499, bus: 'retry' },
  INVALID_ARGUMENT: { grpc: 3, http: 400, bus: 'park' },
  DEADLINE_EXCEEDED: { grpc: 4, http: 504, bus: 'retry' },
  NOT_FOUND: { grpc: 5, http: 404, bus: 'park' },
  ALREADY_EXISTS: { grpc: 6, http: 409, bus: 'park' },
  PERMISSION_DENIED: { grpc: 7, http: 403, bus: 'park' },
  RESOURCE_EXHAUSTED: { grpc: 8, http: 429, bus: 'retry' },
  FAILED_PRECONDITION: { grpc: 9, http: 400, bus: 'park' },
  ABORTED: { grpc: 10, http: 409, bus: 'retry' },
  OUT_OF_RANGE: { grpc: 11, http: 400, bus: 'park' },
  UNIMPLEMENTED: { grpc: 12, http: 501, bus: 'park' },
  INTERNAL: { grpc: 13, http: 500, bus: 'park' },
  UNAVAILABLE: { grpc: 14, http: 503, bus: 'retry' },
  DATA_LOSS: { grpc: 15, http: 500, bus: 'park' },
  UNAUTHENTICATED: { grpc: 16, http: 401, bus: 'park' },
};

const codesByGrpcStatus = new Map(
  (Object.keys(errorMapping) as ErrorCode[]).map((code) => [errorMapping[code].grpc, code]),
);

/** Code of a gRPC status number; UNKNOWN and anything unheard of is INTERNAL. */
export function codeOfGrpcStatus(status: number): ErrorCode {
  return codesByGrpcStatus.get(status) ?? 'INTERNAL';
}

/** Any thrown value as an AloftError: errors of ours as they are, everything else INTERNAL with its message. */
export function toAloftError(thrown: unknown): AloftError {
  if (thrown instanceof AloftError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new AloftError('INTERNAL', message, { cause: thrown });
}
