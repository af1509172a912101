import type { RetryPolicy } from '@aloft/idl/aloft/v1/bus';
import { ExecutionError_ErrorKind, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import { fnv32 } from '../names.js';

/** What backends report for an attempt that ran out of memory (C-172). */
const outOfMemoryCode = 'OOMKilled';

export function ranOutOfMemory(error: ExecutionError): boolean {
  return error.code === outOfMemoryCode;
}

/** Whether another attempt may follow a failure, as far as its code decides (C-36); budgets come after. */
export function mayRetry(policy: RetryPolicy | undefined, error: ExecutionError, retryable: boolean): boolean {
  if (!policy) return retryable;
  if (matches(policy.never, error.code)) return false;
  if (policy.on.length === 0 || error.kind === ExecutionError_ErrorKind.SYSTEM) return retryable;
  return matches(policy.on, error.code);
}

function matches(patterns: readonly string[], code: string): boolean {
  return patterns.some((pattern) => (pattern.endsWith('*') ? code.startsWith(pattern.slice(0, -1)) : code === pattern));
}

/**
 * Milliseconds before the next attempt when so many have failed (C-36). The jitter is drawn from `seed`: the engine knows no
 * chance, and a replay must come to the same time.
 */
export function backoffMillis(policy: RetryPolicy | undefined, failedAttempts: number, seed: string): number {
  const delay = millisOf(policy?.delay);
  if (!policy || delay <= 0) return 0;
  const grown = delay * Math.max(1, policy.factor) ** (failedAttempts - 1);
  const capped = Math.min(grown, policy.maxDelay ? millisOf(policy.maxDelay) : maxMillis, maxMillis);
  return Math.round(capped * (1 + policy.jitter * (2 * unit(`${failedAttempts}/${seed}`) - 1)));
}

/** A year: whatever factors come to, times stay times. */
const maxMillis = 365 * 24 * 3_600_000;

function millisOf(duration: { seconds: bigint; nanos: number } | undefined): number {
  return duration ? Number(duration.seconds) * 1000 + duration.nanos / 1_000_000 : 0;
}

/** From 0 to below 1, evenly over seeds: FNV alone spreads its last characters badly, so its bits are mixed once more. */
function unit(seed: string): number {
  let mixed = fnv32(seed).reduce((hash, byte) => (hash << 8) | byte, 0);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 0x1_0000_0000;
}

/** `factor` once for every attempt that ran out of memory; 1 without a policy. */
export function memoryFactor(policy: RetryPolicy | undefined, outOfMemory: number): number {
  return policy && policy.memoryFactor > 1 ? policy.memoryFactor ** outOfMemory : 1;
}
