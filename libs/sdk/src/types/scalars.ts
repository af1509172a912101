import { Literal, type Primitive } from '@aloft/idl/flyteidl/core/literals';
import { LiteralType, SimpleType } from '@aloft/idl/flyteidl/core/types';
import { DataType, kindOfLiteral, mismatch, show, type JsonCodec } from './data-type.js';
import { fromProtoDuration, milliseconds, toProtoDuration, type DurationText } from './durations.js';

type PrimitiveValue = NonNullable<Primitive['value']>;

export const simple = (type: SimpleType, tag?: string): LiteralType =>
  LiteralType.fromPartial({ type: { $case: 'simple', value: type }, structure: tag ? { tag } : undefined });

export const primitiveLiteral = (value: PrimitiveValue): Literal =>
  Literal.fromPartial({ value: { $case: 'scalar', value: { value: { $case: 'primitive', value: { value } } } } });

/** The primitive inside a literal; a union's chosen variant counts as itself. */
export function primitiveOf(literal: Literal): PrimitiveValue | undefined {
  if (literal.value?.$case !== 'scalar') return undefined;
  const scalar = literal.value.value.value;
  if (scalar?.$case === 'union') return scalar.value.value ? primitiveOf(scalar.value.value) : undefined;
  return scalar?.$case === 'primitive' ? scalar.value.value : undefined;
}

type ValueOfCase<C> = Extract<PrimitiveValue, { $case: C }>['value'];

interface PrimitiveSpec<V, C extends PrimitiveValue['$case']> {
  label: string;
  type: SimpleType;
  case: C;
  check(value: unknown, path: string): V;
  to(value: V): ValueOfCase<C>;
  from(value: ValueOfCase<C>, path: string): V;
  json: JsonCodec<V>;
  fromJson?: 'stringValue' | 'floatValue';
}

function primitive<V, W, C extends PrimitiveValue['$case']>(spec: PrimitiveSpec<V, C>): DataType<V, W, false> {
  return new DataType<V, W, false>({
    label: spec.label,
    literalType: simple(spec.type),
    check: spec.check,
    toLiteral: (value) => primitiveLiteral({ $case: spec.case, value: spec.to(value) } as PrimitiveValue),
    fromLiteral: (literal, _transfer, path) => {
      const value = primitiveOf(literal);
      // A field taken out of a struct comes as what JSON made of it: a text for a datetime, a number for a duration.
      if (value && value.$case === spec.fromJson) return spec.json.from(value.value, path);
      if (value?.$case !== spec.case) throw mismatch(path, spec.label, kindOfLiteral(literal));
      return spec.from((value as unknown as { value: ValueOfCase<C> }).value, path);
    },
    json: spec.json,
  });
}

function checkInteger(value: unknown, path: string): number {
  const number = typeof value === 'bigint' ? safeNumber(value, path) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) throw mismatch(path, 'an integer', show(value));
  if (!Number.isSafeInteger(number))
    throw mismatch(path, 'an integer within ±(2^53 − 1); t.bigint holds all 64 bits', show(value));
  return number;
}

function safeNumber(value: bigint, path: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number))
    throw mismatch(path, 'an integer within ±(2^53 − 1); t.bigint holds all 64 bits', show(value));
  return number;
}

function checkOf<V>(expected: string, accepts: (value: unknown) => value is V) {
  return (value: unknown, path: string): V => {
    if (!accepts(value)) throw mismatch(path, expected, show(value));
    return value;
  };
}

const isString = (value: unknown): value is string => typeof value === 'string';
const isBoolean = (value: unknown): value is boolean => typeof value === 'boolean';
const checkDate = checkOf(
  'a valid Date',
  (value): value is Date => value instanceof Date && !Number.isNaN(value.getTime()),
);
const checkNumber = checkOf('a number', (value): value is number => typeof value === 'number');
const checkMilliseconds = (value: unknown, path: string): number => milliseconds(value as DurationText, path);

export interface IntWire {
  int: true;
}
export interface FloatWire {
  float: true;
}
export interface StringWire {
  string: true;
}
export interface BooleanWire {
  boolean: true;
}
export interface DatetimeWire {
  datetime: true;
}
export interface DurationWire {
  duration: true;
}

/** 64-bit integer as a `number`; values beyond ±(2^53 − 1) are refused rather than rounded. */
export const int = primitive<number, IntWire, 'integer'>({
  label: 'int',
  type: SimpleType.INTEGER,
  case: 'integer',
  check: checkInteger,
  to: (value) => BigInt(value),
  from: safeNumber,
  json: { schema: { type: 'integer' }, to: (value) => value, from: checkInteger },
});

const checkBigint = (value: unknown, path: string): bigint => {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value !== 'bigint' || BigInt.asIntN(64, value) !== value)
    throw mismatch(path, 'a 64-bit integer', show(value));
  return value;
};

/** The same wire type as `int`, as a `bigint`: all 64 bits. Not for struct fields, which are JSON numbers. */
export const bigint = new DataType<bigint, IntWire, false>({
  label: 'int',
  literalType: int.literalType,
  check: checkBigint,
  toLiteral: (value) => primitiveLiteral({ $case: 'integer', value }),
  fromLiteral: (literal, _transfer, path) => {
    const value = primitiveOf(literal);
    if (value?.$case !== 'integer') throw mismatch(path, 'int', kindOfLiteral(literal));
    return value.value;
  },
});

/** Double precision, including NaN and infinities. */
export const float = primitive<number, FloatWire, 'floatValue'>({
  label: 'float',
  type: SimpleType.FLOAT,
  case: 'floatValue',
  check: checkNumber,
  to: (value) => value,
  from: (value) => value,
  json: { schema: { type: 'number' }, to: (value) => value, from: checkNumber },
});

const checkString = checkOf('a string', isString);

export const string = primitive<string, StringWire, 'stringValue'>({
  label: 'string',
  type: SimpleType.STRING,
  case: 'stringValue',
  check: checkString,
  to: (value) => value,
  from: (value) => value,
  json: { schema: { type: 'string' }, to: (value) => value, from: checkString },
});

const checkBoolean = checkOf('a boolean', isBoolean);

export const boolean = primitive<boolean, BooleanWire, 'boolean'>({
  label: 'boolean',
  type: SimpleType.BOOLEAN,
  case: 'boolean',
  check: checkBoolean,
  to: (value) => value,
  from: (value) => value,
  json: { schema: { type: 'boolean' }, to: (value) => value, from: checkBoolean },
});

/** A `Date`: milliseconds. Finer parts of a timestamp from elsewhere are dropped on reading. */
export const datetime = primitive<Date, DatetimeWire, 'datetime'>({
  label: 'datetime',
  type: SimpleType.DATETIME,
  case: 'datetime',
  fromJson: 'stringValue',
  check: checkDate,
  to: (value) => {
    const seconds = Math.floor(value.getTime() / 1000);
    return { seconds: BigInt(seconds), nanos: (value.getTime() - seconds * 1000) * 1e6 };
  },
  from: (value) => new Date(Number(value.seconds) * 1000 + Math.floor(value.nanos / 1e6)),
  json: {
    schema: { type: 'string', format: 'date-time' },
    to: (value) => value.toISOString(),
    from: (json, path) => checkDate(isString(json) ? new Date(json) : json, path),
  },
});

/** Milliseconds as a `number`; texts like `'1h30m'` are accepted where a value is given. */
export const duration = primitive<number, DurationWire, 'duration'>({
  label: 'duration',
  type: SimpleType.DURATION,
  case: 'duration',
  fromJson: 'floatValue',
  check: checkMilliseconds,
  to: toProtoDuration,
  from: (value) => fromProtoDuration(value),
  json: { schema: { type: 'number' }, to: (value) => value, from: checkMilliseconds },
});

/** What went wrong, as a workflow's failure node gets it (C-62). */
export interface FlyteError {
  message: string;
  failedNodeId: string;
}

export const error = new DataType<FlyteError, { error: true }, false>({
  label: 'error',
  literalType: simple(SimpleType.ERROR),
  check: checkOf('an error with message and failedNodeId', (value): value is FlyteError =>
    isString((value as FlyteError | null)?.message),
  ),
  toLiteral: (value) =>
    Literal.fromPartial({
      value: {
        $case: 'scalar',
        value: { value: { $case: 'error', value: { message: value.message, failedNodeId: value.failedNodeId } } },
      },
    }),
  fromLiteral: (literal, _transfer, path) => {
    const scalar = literal.value?.$case === 'scalar' ? literal.value.value.value : undefined;
    if (scalar?.$case !== 'error') throw mismatch(path, 'error', kindOfLiteral(literal));
    return { message: scalar.value.message, failedNodeId: scalar.value.failedNodeId };
  },
});

/** Raw bytes; for anything above some kilobytes use a file. */
export const binary = new DataType<Uint8Array, { binary: true }, false>({
  label: 'binary',
  literalType: simple(SimpleType.BINARY),
  check: checkOf('a Uint8Array', (value): value is Uint8Array => value instanceof Uint8Array),
  toLiteral: (value) =>
    Literal.fromPartial({
      value: {
        $case: 'scalar',
        value: { value: { $case: 'binary', value: { value: Buffer.from(value), tag: 'octet-stream' } } },
      },
    }),
  fromLiteral: (literal, _transfer, path) => {
    const scalar = literal.value?.$case === 'scalar' ? literal.value.value.value : undefined;
    if (scalar?.$case !== 'binary') throw mismatch(path, 'binary', kindOfLiteral(literal));
    return new Uint8Array(scalar.value.value);
  },
});
