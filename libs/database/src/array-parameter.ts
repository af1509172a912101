/** Element types that {@link arrayParameter} knows, by their names in SQL. */
export type ElementType =
  | 'boolean'
  | 'smallint'
  | 'integer'
  | 'bigint'
  | 'double precision'
  | 'text'
  | 'bytea'
  | 'uuid'
  | 'timestamptz'
  | 'jsonb';

/** A point in time to the nanosecond; Postgres keeps microseconds. */
export interface Instant {
  readonly seconds: bigint;
  readonly nanos: number;
}

/** What an element may be; `null` for NULL. */
export type Element = boolean | number | bigint | string | Uint8Array | Instant | null;

const oids: Record<ElementType, number> = {
  boolean: 16,
  smallint: 21,
  integer: 23,
  bigint: 20,
  'double precision': 701,
  text: 25,
  bytea: 17,
  uuid: 2950,
  timestamptz: 1184,
  jsonb: 3802,
};

/** Seconds from 1970 to 2000, where Postgres counts from. */
const epochSeconds = 946_684_800;
const headerBytes = 20;

let scratch = Buffer.allocUnsafe(64 * 1024);

/**
 * An array as Postgres' own binary form, for a parameter of type `type[]` (`jsonb`: of its texts): what `pg` makes of a list is text, in which bytes are
 * hexadecimal and every element is escaped here and parsed there.
 */
export function arrayParameter(type: ElementType, values: readonly Element[]): Buffer {
  const write = writers[type];
  let at = headerBytes;
  let nulls = 0;
  for (const value of values) {
    if (value === null) {
      nulls = 1;
      at = room(at, 4).writeInt32BE(-1, at);
      continue;
    }
    const end = write(value as never, at + 4);
    scratch.writeInt32BE(end - at - 4, at);
    at = end;
  }
  scratch.writeInt32BE(values.length === 0 ? 0 : 1, 0);
  scratch.writeInt32BE(nulls, 4);
  scratch.writeInt32BE(oids[type], 8);
  scratch.writeInt32BE(values.length, 12);
  scratch.writeInt32BE(1, 16);
  const array = Buffer.from(scratch.subarray(0, values.length === 0 ? 12 : at));
  // One huge batch must not keep its memory for ever.
  if (scratch.length > maxKept) scratch = Buffer.allocUnsafe(64 * 1024);
  return array;
}

const maxKept = 8 * 1024 * 1024;

/** The buffer, with at least so many bytes from `at` on. */
function room(at: number, bytes: number): Buffer {
  if (at + bytes > scratch.length) {
    const larger = Buffer.allocUnsafe(Math.max(scratch.length * 2, at + bytes));
    scratch.copy(larger, 0, 0, at);
    scratch = larger;
  }
  return scratch;
}

/** Each writes one element at a place and returns where it ends; four bytes before it are for its length. */
const writers: { [T in ElementType]: (value: never, at: number) => number } = {
  boolean: (value: boolean, at) => room(at, 1).writeInt8(value ? 1 : 0, at),
  smallint: (value: number, at) => room(at, 2).writeInt16BE(value, at),
  integer: (value: number, at) => room(at, 4).writeInt32BE(value, at),
  bigint: (value: number | bigint, at) => room(at, 8).writeBigInt64BE(BigInt(value), at),
  'double precision': (value: number, at) => room(at, 8).writeDoubleBE(value, at),
  text: writeText,
  bytea: (value: Uint8Array, at) => {
    room(at, value.length).set(value, at);
    return at + value.length;
  },
  uuid: (value: string, at) => {
    const written = room(at, 16).write(value.replaceAll('-', ''), at, 16, 'hex');
    if (written !== 16) throw new TypeError(`"${value}" must be a UUID`);
    return at + 16;
  },
  timestamptz: ({ seconds, nanos }: Instant, at) => {
    const micros = (Number(seconds) - epochSeconds) * 1_000_000 + Math.floor(nanos / 1000);
    const high = Math.floor(micros / 2 ** 32);
    return room(at, 8).writeUInt32BE(micros - high * 2 ** 32, scratch.writeInt32BE(high, at));
  },
  // The form has a version, which is 1.
  jsonb: (value: string, at) => writeText(value, room(at, 1).writeInt8(1, at)),
};

/**
 * Postgres' texts hold no NUL, and would refuse the whole batch for one: what came from a user's process (an error's code, an id
 * in a generated graph) must not stop the rows of others.
 */
function writeText(value: string, at: number): number {
  const storable = value.includes('\0') ? value.replaceAll('\0', '\uFFFD') : value;
  return at + room(at, storable.length * 3).write(storable, at, 'utf8');
}
