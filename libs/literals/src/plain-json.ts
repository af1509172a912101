/** Values of JSON, and of `google.protobuf.Struct`. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Compares strings by code point, as a sort of UTF-8 bytes does; the locale has no say. */
export function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // A surrogate half stands for a code point above all others, though U+E000…U+FFFF are larger as code units.
    const xIsHalf = (x & 0xf800) === 0xd800;
    const yIsHalf = (y & 0xf800) === 0xd800;
    if (xIsHalf !== yIsHalf) return xIsHalf ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

/** JSON text with sorted keys: the same for equal values. */
export function stableJson(value: unknown): string {
  if (value === undefined) return 'null';
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(stableJson).join(',')}]`;
  const object = value as Record<string, unknown>;
  const entries = Object.keys(object)
    .filter((key) => object[key] !== undefined)
    .sort(byCodePoint)
    .map((key) => `${JSON.stringify(key)}:${stableJson(object[key])}`);
  return `{${entries.join(',')}}`;
}

/** JSON text of plain values that may hold what JavaScript's own has no place for: bigints as numbers, bytes as base64. */
export function jsonText(value: unknown): string {
  if (typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .map(([key, item]) => `${JSON.stringify(key)}:${jsonText(item)}`)
      .join(',')}}`;
  return JSON.stringify(value ?? null);
}
