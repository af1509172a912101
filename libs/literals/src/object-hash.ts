import { hash } from 'node:crypto';
import type { Json } from './plain-json.js';

/**
 * Ben Laurie's objecthash of a JSON value (https://github.com/benlaurie/objecthash): a digest that depends on the value only,
 * not on its text. All numbers are doubles, as in Common JSON.
 */
export function objectHash(value: Json): Buffer {
  if (value === null) return tagged('n', '');
  switch (typeof value) {
    case 'string':
      return tagged('u', value);
    case 'boolean':
      return tagged('b', value ? '1' : '0');
    case 'number':
      return tagged('f', normalFloat(value));
  }
  if (Array.isArray(value)) return tagged('l', Buffer.concat(value.map(objectHash)));
  const entries = Object.entries(value).map(([key, item]) => [tagged('u', key), objectHash(item)] as const);
  entries.sort(([a], [b]) => Buffer.compare(a, b));
  return tagged('d', Buffer.concat(entries.flat()));
}

function tagged(tag: string, content: string | Buffer): Buffer {
  return hash(
    'sha256',
    typeof content === 'string' ? tag + content : Buffer.concat([Buffer.from(tag), content]),
    'buffer',
  );
}

/** Sign, exponent and mantissa in binary: the number is `±0.1… × 2^exponent`, written with its leading 0. */
function normalFloat(value: number): string {
  if (value === 0) return '+0:';
  let rest = Math.abs(value);
  let exponent = 0;
  for (; rest > 1; exponent++) rest /= 2;
  for (; rest <= 0.5; exponent--) rest *= 2;
  let digits = '';
  while (rest !== 0) {
    const bit = rest >= 1;
    digits += bit ? '1' : '0';
    rest = (bit ? rest - 1 : rest) * 2;
  }
  return `${value < 0 ? '-' : '+'}${exponent}:${digits}`;
}
