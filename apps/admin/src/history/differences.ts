import { createHash } from 'node:crypto';

export interface FieldDifference {
  /** Dotted path, `closure.error.message`. */
  field: string;
  derived: string;
  stored: string;
}

const longest = 200;

/**
 * Where two values differ, field by field. Messages are compared as what they say: a field that is absent equals one that
 * has its type's default, and fields that this binary doesn't know count for nothing.
 */
export function differences(derived: unknown, stored: unknown, path = ''): FieldDifference[] {
  if (isEmpty(derived) && isEmpty(stored)) return [];
  if (isPlain(derived) && isPlain(stored)) {
    const names = new Set([...Object.keys(derived), ...Object.keys(stored)]);
    names.delete('_unknownFields');
    return [...names].flatMap((name) =>
      differences(derived[name], stored[name], path === '' ? name : `${path}.${name}`),
    );
  }
  if (Array.isArray(derived) && Array.isArray(stored) && derived.length === stored.length)
    return derived.flatMap((item, at) => differences(item, stored[at], `${path}[${at}]`));
  const [a, b] = [textOf(derived), textOf(stored)];
  return a === b ? [] : [{ field: path, derived: cut(a), stored: cut(b) }];
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === 0n || value === false)
    return true;
  if (value instanceof Uint8Array || Array.isArray(value)) return value.length === 0;
  return isPlain(value) && Object.entries(value).every(([name, inner]) => name === '_unknownFields' || isEmpty(inner));
}

/** The same for the same value; bytes as their size and digest. */
export function textOf(value: unknown): string {
  if (value === undefined || value === null) return '(absent)';
  if (value instanceof Uint8Array) {
    const digest = createHash('sha256').update(value).digest('hex').slice(0, 12);
    return `${value.length} bytes (SHA-256 ${digest}…)`;
  }
  if (typeof value !== 'object') return String(value);
  return JSON.stringify(value, (name, inner: unknown) => {
    if (name === '_unknownFields') return undefined;
    return typeof inner === 'bigint' ? String(inner) : inner;
  });
}

function cut(text: string): string {
  return text.length <= longest ? text : `${text.slice(0, longest)}…`;
}
