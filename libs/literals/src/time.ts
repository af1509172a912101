import { invalidArgument } from '@aloft/errors';
import type { Duration } from '@aloft/idl/google/protobuf/duration';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';

const minimumSeconds = -62135596800n; // 0001-01-01T00:00:00Z
const maximumSeconds = 253402300799n; // 9999-12-31T23:59:59Z

/** RFC 3339 in UTC with 0, 3, 6 or 9 digits of fraction, as canonical protobuf JSON has it. */
export function formatTimestamp({ seconds, nanos }: Timestamp): string {
  if (seconds < minimumSeconds || seconds > maximumSeconds || nanos < 0 || nanos > 999_999_999)
    throw invalidArgument(
      `timestamp of ${seconds} seconds and ${nanos} nanoseconds is out of range: it must lie in the years 1 to 9999, nanoseconds in 0 to 999999999`,
    );
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, 19)}${fraction(nanos)}Z`;
}

/** Seconds with 0, 3, 6 or 9 digits of fraction and an `s`, as canonical protobuf JSON has it. */
export function formatDuration({ seconds, nanos }: Duration): string {
  const negative = seconds < 0n || nanos < 0;
  return `${negative ? '-' : ''}${seconds < 0n ? -seconds : seconds}${fraction(Math.abs(nanos))}s`;
}

function fraction(nanos: number): string {
  if (nanos === 0) return '';
  const digits = String(nanos).padStart(9, '0');
  const kept = digits.endsWith('000000') ? 3 : digits.endsWith('000') ? 6 : 9;
  return `.${digits.slice(0, kept)}`;
}

const rfc3339 = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;

/** Reads RFC 3339, e.g. `2026-11-23T19:30:00.123456789Z` or with an offset. Undefined when it's something else. */
export function parseTimestamp(text: string): Timestamp | undefined {
  const match = rfc3339.exec(text.trim());
  if (!match) return undefined;
  const [, date, time, digits = '', zone] = match;
  const millis = Date.parse(`${date}T${time}${zone!.toUpperCase()}`);
  if (Number.isNaN(millis)) return undefined;
  return { seconds: BigInt(millis / 1000), nanos: Number(digits.padEnd(9, '0')) };
}

const units: Record<string, bigint> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};

/** Reads durations such as `90s`, `1.5h`, `2h45m`, `-300ms`, `1d`. Undefined when it's something else. */
export function parseDuration(text: string): Duration | undefined {
  const match = /^([+-]?)((?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+)$/.exec(text.trim());
  if (!match) return undefined;
  let nanos = 0n;
  for (const [, whole, decimals = '', unit] of match[2]!.matchAll(/(\d+)(?:\.(\d+))?(ns|us|µs|ms|s|m|h|d)/g)) {
    const scale = units[unit!]!;
    nanos +=
      BigInt(whole!) * scale + (decimals === '' ? 0n : (BigInt(decimals) * scale) / 10n ** BigInt(decimals.length));
  }
  if (match[1] === '-') nanos = -nanos;
  return { seconds: nanos / 1_000_000_000n, nanos: Number(nanos % 1_000_000_000n) };
}
