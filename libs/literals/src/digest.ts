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

/** The value with the entries of its maps by key; itself where all of them are so already. What was given isn't changed. */
function sorted<T>(value: T): T {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return sortedItems(value) as T;
  const object = value as Record<string, unknown>;
  const keys = Object.keys(object);
  // A message's fields are encoded in the order of their numbers, whatever the object's is.
  if (isDecoded(object) || isInOrder(keys)) return sortedValues(object, keys) as T;
  const copy: Record<string, unknown> = {};
  for (const key of keys.sort(byCodePoint)) define(copy, key, sorted(object[key]));
  return copy as T;
}

function sortedItems(items: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let i = 0; i < items.length; i++) {
    const item = sorted(items[i]);
    if (item !== items[i]) (copy ??= items.slice())[i] = item;
  }
  return copy ?? items;
}

function sortedValues(object: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  let copy: Record<string, unknown> | undefined;
  for (const key of keys) {
    const value = sorted(object[key]);
    if (value !== object[key]) define((copy ??= { ...object }), key, value);
  }
  return copy ?? object;
}

/** Whether a codec made it: such a message says which fields were unknown. A map's entry of that name holds no lists of bytes. */
function isDecoded(object: Record<string, unknown>): boolean {
  if (!Object.hasOwn(object, '_unknownFields')) return false;
  const unknown = object['_unknownFields'];
  return typeof unknown === 'object' && unknown !== null && Object.values(unknown).every(Array.isArray);
}

function isInOrder(keys: readonly string[]): boolean {
  for (let i = 1; i < keys.length; i++) if (byCodePoint(keys[i - 1]!, keys[i]!) > 0) return false;
  return true;
}

/** Defining properties is slow: only for the name that an assignment would take for something else. */
function define(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
  else object[key] = value;
}
