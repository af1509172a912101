import { LiteralMap, type Literal } from '@aloft/idl/flyteidl/core/literals';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { sqlTime } from '../time.js';
import { parseTimestamp } from './values.js';

/** What filters on inputs and outputs see (U-20): simple values by name. */
export type SearchableValues = Record<string, string | number | boolean>;

const maxNames = 64;
/** In UTF-16 units; longer texts can't be searched for. */
const maxLength = 512;

/** As JSON for the read model's column; `null` when nothing in it can be searched for. */
export function searchableValues(literals: LiteralMap | Uint8Array | null): string | null {
  if (!literals) return null;
  const map = literals instanceof Uint8Array ? LiteralMap.decode(literals) : literals;
  const found: SearchableValues = {};
  for (const [name, literal] of Object.entries(map.literals).slice(0, maxNames)) {
    const value = simpleValue(literal);
    if (value !== undefined && !name.includes('\0')) Object.defineProperty(found, name, { value, enumerable: true });
  }
  return Object.keys(found).length > 0 ? JSON.stringify(found) : null;
}

function simpleValue({ value }: Literal): SearchableValues[string] | undefined {
  if (value?.$case !== 'scalar') return undefined;
  const scalar = value.value.value;
  if (scalar?.$case === 'union') return scalar.value.value && simpleValue(scalar.value.value);
  if (scalar?.$case === 'blob') return text(scalar.value.uri);
  if (scalar?.$case === 'structuredDataset') return text(scalar.value.uri);
  if (scalar?.$case !== 'primitive') return undefined;
  const primitive = scalar.value.value;
  switch (primitive?.$case) {
    case 'stringValue':
      return text(primitive.value);
    case 'boolean':
      return primitive.value;
    case 'floatValue':
      return Number.isFinite(primitive.value) ? primitive.value : undefined;
    case 'integer':
      // Above 2^53, JSON's numbers are no longer exact.
      return Number.isSafeInteger(Number(primitive.value)) ? Number(primitive.value) : undefined;
    case 'datetime':
      return timeText(primitive.value);
    default:
      return undefined;
  }
}

function text(value: string): string | undefined {
  return value.length <= maxLength && !value.includes('\0') ? value : undefined;
}

/** As {@link comparableTime} has a filter's value; undefined outside of the years 1 to 9999. */
function timeText(time: Timestamp): string | undefined {
  const seconds = Number(time.seconds);
  const inRange = seconds >= -62_135_596_800 && seconds < 253_402_300_800 && time.nanos >= 0 && time.nanos < 1e9;
  return inRange ? sqlTime(time) : undefined;
}

/** RFC 3339 in UTC with microseconds, so that later times are later texts. */
export function comparableTime(text: string): string | undefined {
  const valid = parseTimestamp(text);
  if (valid === undefined) return undefined;
  const digits = (/\.(\d+)/.exec(valid)?.[1] ?? '').slice(0, 6).padEnd(6, '0');
  return `${new Date(valid.replace(/\.\d+/, '')).toISOString().slice(0, 19)}.${digits}Z`;
}
