import type { Principal } from '@aloft/auth';
import { ambient, withAmbient, type TraceContext } from '@aloft/telemetry';

/** What a handler may know of its call besides the request. */
export interface CallContext {
  /** `/flyteidl.service.AdminService/CreateTask`. */
  readonly path: string;
  readonly principal: Principal;
  readonly trace: TraceContext;
  /** The request as it came: digests and stored originals are these bytes, never a re-encoding. */
  readonly requestBytes: Uint8Array;
  /** When the caller gives up, in milliseconds since the epoch. */
  readonly deadline: number | undefined;
  /** Aborted when the caller has gone or its deadline has passed. */
  readonly signal: AbortSignal;
  /** Address of the caller, or `in-process`. */
  readonly peer: string;
  /** Tells the caller something beside a good answer (`aloft-warning`): what was done, but should be done otherwise. */
  warn(message: string): void;
  /** A header of the call, by lower-case name. */
  header(name: string): string | undefined;
}

/** The rpc that this code runs for, if any. */
export function currentCall(): CallContext | undefined {
  return ambient()?.call as CallContext | undefined;
}

/** In its trace, too. */
export function runInCall<T>(call: CallContext, work: () => T): T {
  return withAmbient({ trace: call.trace, call }, work);
}
