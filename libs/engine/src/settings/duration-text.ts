import type { Duration } from '@aloft/idl/google/protobuf/duration';

const unitNanos: Record<string, bigint> = {
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};

/** `90` and `90s`, `1m30s`, `500ms`, `2h`, `1.5d`: what people write for a time span; undefined for what is none. */
export function parseDuration(text: string): Duration | undefined {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return parseDuration(`${trimmed}s`);
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(trimmed)) return undefined;
  let nanos = 0n;
  for (const [, number, , unit] of trimmed.matchAll(/(\d+(\.\d+)?)(ms|s|m|h|d)/g)) {
    const [whole, part = ''] = number!.split('.');
    const scale = unitNanos[unit!]!;
    nanos += BigInt(whole!) * scale;
    if (part !== '') nanos += (BigInt(part.slice(0, 9)) * scale) / 10n ** BigInt(Math.min(part.length, 9));
  }
  // More than a protobuf Duration holds (10,000 years) is a slip of the pen.
  if (nanos > 315_576_000_000n * 1_000_000_000n) return undefined;
  return { seconds: nanos / 1_000_000_000n, nanos: Number(nanos % 1_000_000_000n) };
}
