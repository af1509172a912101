import { createHash } from 'node:crypto';
import { byCodePoint } from './plain-json.js';

/** The part of a generated codec that encoding takes. */
export interface Encoder<T> {
  encode(message: T): { finish(): Uint8Array };
}

/**
 * Bytes that are the same for equal messages, whatever order their maps were in: entries of maps and Structs sorted by key,
 * fields in the order of their declaration.
 */
export const deterministicBytes = <T extends object>(codec: Encoder<T>, message: T): Uint8Array =>
  codec.encode(sorted(message)).finish();

/**
 * SHA-256 (hex) of a message's deterministic bytes, for the rule that a version is registered once. Ours, not
 * Flyte's: it never leaves the platform.
 */
export const digestOf = <T extends object>(codec: Encoder<T>, message: T): string =>
  createHash('sha256').update(deterministicBytes(codec, message)).digest('hex');

function sorted<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(sorted) as T;
  const object = value as Record<string, unknown>;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(object).sort(byCodePoint)) {
    const value = sorted(object[key]);
    // Defining properties is slow: only for the name that an assignment would take for something else.
    if (key === '__proto__')
      Object.defineProperty(copy, key, { value, enumerable: true, writable: true, configurable: true });
    else copy[key] = value;
  }
  return copy as T;
}
