import { UsageError } from '../failure.js';

const units: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** Seconds of `90s`, `1h30m`, `30d`; a bare number is seconds. */
export function secondsOf(text: string, what: string): bigint {
  if (/^\d+$/.test(text)) return BigInt(text);
  if (!/^(\d+[smhdw])+$/.test(text))
    throw new UsageError(`${what} must be a time span such as 90s, 1h30m or 30d, but it is ${text}.`);
  let seconds = 0;
  for (const [, number, unit] of text.matchAll(/(\d+)([smhdw])/g)) seconds += Number(number) * units[unit!]!;
  return BigInt(seconds);
}

/** The two largest units: `1d 12h`, `90d`, `45s`. */
export function spanText(seconds: bigint): string {
  let left = Number(seconds);
  const parts: string[] = [];
  for (const unit of ['d', 'h', 'm', 's']) {
    const number = Math.floor(left / units[unit]!);
    left -= number * units[unit]!;
    if (number > 0 && parts.length < 2) parts.push(`${number}${unit}`);
  }
  return parts.join(' ') || '0s';
}
