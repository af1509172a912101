import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';

/** W3C trace context of what is being done: the seam that OpenTelemetry takes over. */
export interface TraceContext {
  /** `00-<32 hex trace id>-<16 hex span id>-<2 hex flags>`. */
  traceparent: string;
  tracestate?: string;
}

const storage = new AsyncLocalStorage<TraceContext>();

/** The trace of the call, message or job that this code runs for. */
export function currentTrace(): TraceContext | undefined {
  return storage.getStore();
}

export function withTrace<T>(trace: TraceContext, work: () => T): T {
  return storage.run(trace, work);
}

const traceparentPattern = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The trace that headers carry, or a new one (unsampled) when they carry none or a broken one. */
export function traceFrom(traceparent: string | undefined, tracestate?: string): TraceContext {
  if (traceparent === undefined || !traceparentPattern.test(traceparent)) return newTrace();
  return tracestate ? { traceparent, tracestate } : { traceparent };
}

export function newTrace(): TraceContext {
  const random = randomBytes(24).toString('hex');
  return { traceparent: `00-${random.slice(0, 32)}-${random.slice(32)}-00` };
}
