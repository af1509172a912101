import { createHash, randomFillSync } from 'node:crypto';
import { ambient, withAmbient } from './ambient.js';

/** W3C trace context of what is being done. */
export interface TraceContext {
  /** `00-<32 hex trace id>-<16 hex span id>-<2 hex flags>`. */
  traceparent: string;
  tracestate?: string;
  /**
   * The span it names is told whatever becomes of this process (see {@link deriveTrace}): what is called under it names it as
   * its parent, and not a span of this process that would be lost with it.
   */
  lasting?: boolean;
}

/** The trace of the call, message or job that this code runs for. */
export function currentTrace(): TraceContext | undefined {
  return ambient()?.trace;
}

/** `undefined`: for what outlives the call or message that happened to wake it. */
export function withTrace<T>(trace: TraceContext | undefined, work: () => T): T {
  return withAmbient({ trace, call: ambient()?.call }, work);
}

const traceparentPattern = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The trace that headers carry; `undefined` when they carry none or a broken one. */
export function readTrace(traceparent: string | undefined, tracestate?: string): TraceContext | undefined {
  if (!traceparent || !traceparentPattern.test(traceparent)) return undefined;
  return tracestate ? { traceparent, tracestate } : { traceparent };
}

/** The trace that headers carry, or a new one (unsampled) when they carry none or a broken one. */
export function traceFrom(traceparent: string | undefined, tracestate?: string): TraceContext {
  return readTrace(traceparent, tracestate) ?? newTrace();
}

const idBytes = 24;
/** Random bytes for many traces: asking for them costs more than the rest of a trace, however few they are. */
const random = Buffer.alloc(128 * idBytes);
let used = random.length;

export function newTrace(): TraceContext {
  if (used === random.length) {
    randomFillSync(random);
    used = 0;
  }
  const ids = random.toString('hex', used, (used += idBytes));
  return { traceparent: `00-${ids.slice(0, 32)}-${ids.slice(32)}-00` };
}

/** Whether somebody before us decided that this trace is recorded. */
export function isSampled(trace: TraceContext | undefined): boolean {
  return trace !== undefined && '13579bdf'.includes(trace.traceparent.charAt(54) || '0');
}

export const traceIdOf = ({ traceparent }: TraceContext): string => traceparent.slice(3, 35);
export const spanIdOf = ({ traceparent }: TraceContext): string => traceparent.slice(36, 52);

/**
 * The context of a span whose id follows from its cause, in the trace of `parent`. Whoever knows the cause knows the id, in this
 * process or another, before the span has ended: so what begins here and ends elsewhere, or is told twice, is one span.
 */
export function deriveTrace(parent: TraceContext, ...cause: (string | number)[]): TraceContext {
  const id = createHash('sha256').update(cause.join('\n')).digest('hex').slice(0, 16);
  const { traceparent, tracestate } = parent;
  const derived = `${traceparent.slice(0, 36)}${id === '0000000000000000' ? '0000000000000001' : id}${traceparent.slice(52)}`;
  return tracestate ? { traceparent: derived, tracestate, lasting: true } : { traceparent: derived, lasting: true };
}
