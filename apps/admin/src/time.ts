import type { Duration } from '@aloft/idl/google/protobuf/duration';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';

/** Conversions between protobuf's times and what Postgres and JavaScript take; nanoseconds are kept where they exist. */

const nanosPerSecond = 1_000_000_000n;

export function timestampOf(date: Date): Timestamp {
  const ms = date.getTime();
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1_000_000 };
}

export function dateOf(time: Timestamp): Date {
  return new Date(Number(time.seconds) * 1000 + Math.floor(time.nanos / 1_000_000));
}

/** For a timestamptz parameter, in microseconds. */
export function sqlTime(time: Timestamp): string {
  const micros = Math.floor(time.nanos / 1000)
    .toString()
    .padStart(6, '0');
  return new Date(Number(time.seconds) * 1000).toISOString().replace('.000Z', `.${micros}Z`);
}

export function nanosOf(time: Timestamp | Duration): bigint {
  return time.seconds * nanosPerSecond + BigInt(time.nanos);
}

export function compareTimes(a: Timestamp, b: Timestamp): number {
  const difference = nanosOf(a) - nanosOf(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** From `start` to `end`; never negative (clocks of different hosts differ). */
export function durationBetween(start: Timestamp, end: Timestamp): Duration {
  const nanos = nanosOf(end) - nanosOf(start);
  return durationOfNanos(nanos > 0n ? nanos : 0n);
}

export function durationOfNanos(nanos: bigint): Duration {
  return { seconds: nanos / nanosPerSecond, nanos: Number(nanos % nanosPerSecond) };
}

/** Resolves when what has arrived meanwhile was handled. */
export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
