import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';

/**
 * Time of the logs, in milliseconds since the epoch; it never goes back. It is the wall clock's, unless a log that was loaded is ahead of that, or the
 * wall clock was put back: then it goes on at half the pace until the wall clock has caught up, so that timers come late, but not after the hour by
 * which the clock was put back.
 */
export class LogClock {
  private last = 0;
  private lastSteady: number;

  constructor(
    private readonly wall: () => number = Date.now,
    /** Milliseconds since some moment; never goes back. */
    private readonly steady: () => number = () => performance.now(),
  ) {
    this.lastSteady = steady();
  }

  now(): number {
    const steady = this.steady();
    this.last = Math.max(this.wall(), this.last + (steady - this.lastSteady) / 2);
    this.lastSteady = steady;
    return Math.floor(this.last);
  }

  /** A loaded log ends with this time: nothing may be written with an earlier one. */
  observe(time: Timestamp | undefined): void {
    if (time !== undefined) this.last = Math.max(this.last, toMs(time));
  }
}

export function toTimestamp(ms: number): Timestamp {
  const whole = Math.floor(ms / 1000);
  return { seconds: BigInt(whole), nanos: Math.round((ms - whole * 1000) * 1e6) };
}

/** Milliseconds since the epoch, rounded up: a timer never fires early. */
export function toMs(time: Timestamp): number {
  return Number(time.seconds) * 1000 + Math.ceil(time.nanos / 1e6);
}
