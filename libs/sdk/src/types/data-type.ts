import { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { TypeMismatchError } from '../errors.js';
import type { FileTransfer } from './file-transfer.js';

declare const valueOf: unique symbol;
declare const wireOf: unique symbol;
declare const omittable: unique symbol;

/**
 * How one kind of value looks in TypeScript, on the wire and inside a JSON struct.
 * `check` takes anything and returns the normalised value or throws a TypeMismatchError that names the path.
 */
export interface TypeSpec<V> {
  /** As messages name it, e.g. `list of int`. */
  readonly label: string;
  readonly literalType: LiteralType;
  check(value: unknown, path: string): V;
  toLiteral(value: V, transfer: FileTransfer): Literal | Promise<Literal>;
  fromLiteral(literal: Literal, transfer: FileTransfer, path: string): V;
  /** Absent for what cannot live inside a JSON struct (files, bytes). */
  readonly json?: JsonCodec<V>;
  /** Types of the parts, for attribute paths; `undefined` for a part that does not exist. */
  partAt?(key: string | number): AnyType | undefined;
  /** Element type of a list or map, which may be bound element by element. */
  readonly element?: AnyType;
  readonly container?: 'list' | 'map';
  readonly acceptsNone?: boolean;
}

export interface JsonCodec<V> {
  readonly schema: Record<string, unknown>;
  to(value: V): unknown;
  from(json: unknown, path: string): V;
}

/**
 * A type of the data that flows between tasks.
 *
 * `V` is the TypeScript value that task functions see; `W` describes the wire type, structurally, so that "may this output
 * go into that input" is TypeScript's own assignability: an enum has all of a string's marks and its own, a struct with
 * more fields fits one with fewer, int and float never mix (C-111). `O` says whether callers may leave the input out.
 */
export class DataType<out V = unknown, out W = unknown, out O extends boolean = boolean> {
  declare readonly [valueOf]: V;
  declare readonly [wireOf]: W;
  declare readonly [omittable]: O;

  constructor(
    readonly spec: TypeSpec<V>,
    readonly description = '',
    readonly defaultValue?: { readonly value: V },
  ) {}

  /** The same type with a description, which interfaces and `aloft run --help` show. */
  describe(description: string): DataType<V, W, O> {
    return new DataType<V, W, O>(this.spec, description, this.defaultValue);
  }

  /** The same type with a value for callers that leave the input out. */
  default(value: V): DataType<V, W, true> {
    return new DataType<V, W, true>(this.spec, this.description, { value: this.spec.check(value, 'default value') });
  }

  get label(): string {
    return this.spec.label;
  }

  get literalType(): LiteralType {
    return this.spec.literalType;
  }

  /** Whether a caller may leave it out: it has a default, or takes None. */
  get isOmittable(): boolean {
    return this.defaultValue !== undefined || this.spec.acceptsNone === true;
  }

  async toLiteral(value: unknown, transfer: FileTransfer, path: string): Promise<Literal> {
    return this.spec.toLiteral(this.spec.check(value, path), transfer);
  }

  fromLiteral(literal: Literal, transfer: FileTransfer, path: string): V {
    return this.spec.fromLiteral(literal, transfer, path);
  }
}

export type AnyType = DataType<unknown, unknown, boolean>;
export type ValueOf<T extends AnyType> = T[typeof valueOf];
export type WireOf<T extends AnyType> = T[typeof wireOf];
export type IsOmittable<T extends AnyType> = T[typeof omittable];

/** A part of a wire type that fits, and takes, anything: a file without a format, a JSON object without a schema (C-111). */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- assignable both ways is what the platform allows here
export type Loose = any;

/** Names and types of inputs, outputs or struct fields. */
export type Fields = Readonly<Record<string, AnyType>>;
export type Values<F extends Fields> = { -readonly [K in keyof F]: ValueOf<F[K]> };
export type OptionalKeys<F extends Fields> = { [K in keyof F]: true extends IsOmittable<F[K]> ? K : never }[keyof F];
export type RequiredKeys<F extends Fields> = Exclude<keyof F, OptionalKeys<F>>;
/** What a caller may write for a value: for a file or folder its path or URI too. */
export type GivenValue<V> = V extends { readonly location: string } ? V | string : V;
/** Values that a caller gives: what has a default or takes None may be missing. */
export type GivenValues<F extends Fields> = { [K in RequiredKeys<F>]: GivenValue<ValueOf<F[K]>> } & {
  [K in OptionalKeys<F>]?: GivenValue<ValueOf<F[K]>>;
};

export const noneLiteral = (): Literal =>
  Literal.fromPartial({ value: { $case: 'scalar', value: { value: { $case: 'noneType', value: {} } } } });

/** Kind of a literal in the words that authors use. */
export function kindOfLiteral(literal: Literal): string {
  const value = literal.value;
  if (value === undefined) return 'nothing';
  if (value.$case !== 'scalar') return value.$case === 'offloadedMetadata' ? 'a reference to stored data' : value.$case;
  const scalar = value.value.value;
  if (scalar === undefined) return 'nothing';
  if (scalar.$case === 'primitive') return scalar.value.value?.$case ?? 'nothing';
  return scalar.$case === 'noneType' ? 'none' : scalar.$case;
}

export function mismatch(path: string, expected: string, found: string): TypeMismatchError {
  return new TypeMismatchError(`${path} must be ${expected}, but it is ${found}.`);
}

/** A value as messages show it: short, and never throwing. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'object' && !Array.isArray(value) && value.constructor !== Object)
    return `an instance of ${value.constructor?.name ?? 'an unnamed class'}`;
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? typeof value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
