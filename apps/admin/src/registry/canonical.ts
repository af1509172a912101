import { createHash } from 'node:crypto';

/** A message codec as ts-proto writes it. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/**
 * A message with the entries of its maps in one order, so that equal messages have equal bytes (clients send map entries in
 * any order). Fields are encoded by number, so only plain maps matter; sorting everything is simpler and harmless.
 */
export function sorted<T>(value: T): T {
  if (Array.isArray(value)) return value.map(sorted) as T;
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  const source = value as Record<string, unknown>;
  return Object.fromEntries(
    Object.keys(source)
      .sort()
      .map((key) => [key, sorted(source[key])]),
  ) as T;
}

/** Deterministic bytes: equal messages give equal bytes. */
export function canonicalBytes<T>(codec: Codec<T>, message: T): Buffer {
  return Buffer.from(codec.encode(sorted(message)).finish());
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
