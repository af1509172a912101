import { toAloftError, type AloftError, type ErrorCode } from '@aloft/errors';
import { systemTiming, type Timing } from '../runs/timing.js';

export interface RetryPolicy {
  /** Tries in all; `Infinity` goes on until the signal. */
  tries: number;
  firstPauseMs: number;
  maxPauseMs: number;
  retried: ReadonlySet<ErrorCode>;
}

/** Nothing can be said about the request itself: the other side is not there, or too busy. */
export const unreachable: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'ABORTED']);

/** C-13: what Flyte takes for the system's fault besides. */
export const systemFaults: ReadonlySet<ErrorCode> = new Set([
  'DATA_LOSS',
  'DEADLINE_EXCEEDED',
  'INTERNAL',
  'CANCELLED',
]);

/** A passing failure of storage: tried for as long as the run waits. */
export const storagePolicy: RetryPolicy = {
  tries: Infinity,
  firstPauseMs: 100,
  maxPauseMs: 10_000,
  retried: new Set(['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'ABORTED', 'DEADLINE_EXCEEDED', 'CANCELLED']),
};

/** Repeats what fails for a passing reason, with doubling pauses and ±20 % jitter. Throws the last error. */
export async function withRetries<T>(
  work: () => Promise<T>,
  policy: RetryPolicy,
  signal: AbortSignal,
  timing: Timing = systemTiming,
): Promise<T> {
  for (let tried = 1, pause = policy.firstPauseMs; ; tried += 1, pause = Math.min(pause * 2, policy.maxPauseMs)) {
    try {
      return await work();
    } catch (thrown) {
      const error: AloftError = toAloftError(thrown);
      if (signal.aborted || tried >= policy.tries || !policy.retried.has(error.code)) throw thrown;
      await timing.pause(pause * (0.8 + timing.random() * 0.4), signal);
    }
  }
}
