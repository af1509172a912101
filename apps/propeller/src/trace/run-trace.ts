import { deriveTrace, isRecorded, type TraceContext } from '@aloft/telemetry';
import type { RunIdentity } from '../events/run-identity.js';

type Origin = Pick<RunIdentity, 'uid' | 'traceparent' | 'tracestate'>;

export const originTrace = ({ traceparent, tracestate }: Omit<Origin, 'uid'>): TraceContext =>
  tracestate === '' ? { traceparent } : { traceparent, tracestate };

/**
 * The run's own span, under the call that created it; where nothing is recorded, that call's context as it came. The ids of a run and
 * of what is in it follow from their names: whichever process tells of an end, and however often, it is the same span, and its children
 * know it before.
 */
export function runTrace({ uid, traceparent, tracestate }: Origin): TraceContext {
  const origin = originTrace({ traceparent, tracestate });
  return isRecorded(origin) ? deriveTrace(origin, 'run', uid) : origin;
}

export function nodeTrace({ uid, trace }: Pick<RunIdentity, 'uid' | 'trace'>, nodeId: string): TraceContext {
  return isRecorded(trace) ? deriveTrace(trace, 'node', uid, nodeId) : trace;
}

export function attemptTrace(
  { uid, trace }: Pick<RunIdentity, 'uid' | 'trace'>,
  nodeId: string,
  attempt: number,
): TraceContext {
  return isRecorded(trace) ? deriveTrace(trace, 'attempt', uid, nodeId, attempt) : trace;
}

/** What the backend's part of an attempt belongs to. Items of an array have no span of their own: there may be a million. */
export function launchTrace(
  run: Pick<RunIdentity, 'uid' | 'trace'>,
  { nodeId, retryAttempt, index }: { nodeId: string; retryAttempt: number; index?: number },
): TraceContext {
  return index === undefined ? attemptTrace(run, nodeId, retryAttempt) : nodeTrace(run, nodeId);
}
