import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';

/** Milliseconds since the epoch, never going back: max(wall clock, the last time seen in any log that was loaded). */
export class LogClock {
  private last = 0;

  constructor(private readonly wall: () => number = Date.now) {}

  now(): number {
    const wall = this.wall();
    if (wall > this.last) this.last = wall;
    return this.last;
  }

  /** A loaded log ends with this time: nothing may be written with an earlier one. */
  observe(time: Timestamp | undefined): void {
    if (time === undefined) return;
    const at = Number(time.seconds) * 1000 + Math.ceil(time.nanos / 1e6);
    if (at > this.last) this.last = at;
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
