import type { Duration } from '@aloft/idl/google/protobuf/duration';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';

/** Arithmetic on log times: the engine knows no other clock. */

const billion = 1_000_000_000;

export function addDuration(time: Timestamp, duration: Duration, times = 1): Timestamp {
  const nanos = time.nanos + duration.nanos * times;
  const carry = Math.floor(nanos / billion);
  return {
    seconds: time.seconds + duration.seconds * BigInt(times) + BigInt(carry),
    nanos: nanos - carry * billion,
  };
}

export function addMillis(time: Timestamp, millis: number): Timestamp {
  return addDuration(time, { seconds: BigInt(Math.floor(millis / 1000)), nanos: (millis % 1000) * 1_000_000 });
}

export function times(duration: Duration, factor: number): Duration {
  const { seconds, nanos } = addDuration({ seconds: 0n, nanos: 0 }, duration, factor);
  return { seconds, nanos };
}

export function isPositive(duration: Duration | undefined): duration is Duration {
  return duration !== undefined && (duration.seconds > 0n || (duration.seconds === 0n && duration.nanos > 0));
}

/** Negative, 0 or positive, as for sorting. */
export function compareTimes(a: Timestamp | Duration, b: Timestamp | Duration): number {
  if (a.seconds !== b.seconds) return a.seconds < b.seconds ? -1 : 1;
  return a.nanos - b.nanos;
}

export function laterOf(a: Timestamp, b: Timestamp): Timestamp {
  return compareTimes(a, b) >= 0 ? a : b;
}

/** For messages to people, e.g. `1m30s`. */
export function describeDuration(duration: Duration): string {
  const total = Number(duration.seconds) + duration.nanos / billion;
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  const seconds = Number((total % 60).toFixed(3));
  return `${hours ? `${hours}h` : ''}${minutes ? `${minutes}m` : ''}${seconds || total < 1 ? `${seconds}s` : ''}`;
}
