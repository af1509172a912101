import { mismatch, show } from './data-type.js';

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `'90s'`, `'1h30m'`, `'500ms'`, or a number of milliseconds. */
export type DurationText = string | number;

/** Milliseconds of a duration. */
export function milliseconds(duration: DurationText, path: string): number {
  if (typeof duration === 'number') {
    if (Number.isFinite(duration)) return duration;
  } else if (/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(duration)) {
    return [...duration.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)].reduce(
      (sum, [, amount, unit]) => sum + Number(amount) * units[unit!]!,
      0,
    );
  }
  throw mismatch(path, "milliseconds or a text like '90s', '1h30m' or '500ms'", show(duration));
}

/** A protobuf Duration: seconds and nanoseconds carry the same sign. */
export function toProtoDuration(ms: number): { seconds: bigint; nanos: number } {
  const whole = Math.trunc(ms / 1000);
  return { seconds: BigInt(whole), nanos: Math.round((ms - whole * 1000) * 1e6) };
}

export function fromProtoDuration(duration: { seconds: bigint; nanos: number }): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}
