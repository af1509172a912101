import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { DefinitionError, TypeMismatchError } from '../errors.js';
import {
  DataType,
  kindOfLiteral,
  mismatch,
  noneLiteral,
  show,
  type AnyType,
  type TypeSpec,
  type ValueOf,
  type WireOf,
} from './data-type.js';
import { primitiveLiteral, primitiveOf, simple, type StringWire } from './scalars.js';
import { SimpleType } from '@aloft/idl/flyteidl/core/types';

/** A homogeneous list. */
export function list<T extends AnyType>(element: T): DataType<ValueOf<T>[], { list: WireOf<T> }, false> {
  const { spec } = element;
  return new DataType<ValueOf<T>[], { list: WireOf<T> }, false>({
    label: `list of ${spec.label}`,
    literalType: LiteralType.fromPartial({ type: { $case: 'collectionType', value: spec.literalType } }),
    container: 'list',
    element,
    check: (value, path) => {
      if (!Array.isArray(value)) throw mismatch(path, `a list of ${spec.label}`, show(value));
      return value.map((item, index) => spec.check(item, `${path}[${index}]`) as ValueOf<T>);
    },
    toLiteral: async (value, transfer) =>
      Literal.fromPartial({
        value: {
          $case: 'collection',
          value: { literals: await Promise.all(value.map((item) => spec.toLiteral(item, transfer))) },
        },
      }),
    fromLiteral: (literal, transfer, path) => {
      if (literal.value?.$case !== 'collection') throw mismatch(path, `list of ${spec.label}`, kindOfLiteral(literal));
      return literal.value.value.literals.map(
        (item, index) => spec.fromLiteral(item, transfer, `${path}[${index}]`) as ValueOf<T>,
      );
    },
    json: spec.json && {
      schema: { type: 'array', items: spec.json.schema },
      to: (value) => value.map((item) => spec.json!.to(item)),
      from: (json, path) => {
        if (!Array.isArray(json)) throw mismatch(path, `a list of ${spec.label}`, show(json));
        return json.map((item, index) => spec.json!.from(item, `${path}[${index}]`) as ValueOf<T>);
      },
    },
    partAt: (key) => (typeof key === 'number' ? element : undefined),
  });
}

/** Values of one type by string keys. */
export function map<T extends AnyType>(element: T): DataType<Record<string, ValueOf<T>>, { map: WireOf<T> }, false> {
  const { spec } = element;
  const entriesOf = (value: unknown, path: string): [string, unknown][] => {
    if (!isPlainObject(value)) throw mismatch(path, `a map of ${spec.label}`, show(value));
    return Object.entries(value);
  };
  return new DataType<Record<string, ValueOf<T>>, { map: WireOf<T> }, false>({
    label: `map of ${spec.label}`,
    literalType: LiteralType.fromPartial({ type: { $case: 'mapValueType', value: spec.literalType } }),
    container: 'map',
    element,
    check: (value, path) =>
      Object.fromEntries(
        entriesOf(value, path).map(([key, item]) => [key, spec.check(item, `${path}.${key}`)]),
      ) as Record<string, ValueOf<T>>,
    toLiteral: async (value, transfer) => {
      const entries = await Promise.all(
        Object.entries(value).map(async ([key, item]) => [key, await spec.toLiteral(item, transfer)] as const),
      );
      return Literal.fromPartial({ value: { $case: 'map', value: { literals: Object.fromEntries(entries) } } });
    },
    fromLiteral: (literal, transfer, path) => {
      if (literal.value?.$case !== 'map') throw mismatch(path, `map of ${spec.label}`, kindOfLiteral(literal));
      return Object.fromEntries(
        Object.entries(literal.value.value.literals).map(([key, item]) => [
          key,
          spec.fromLiteral(item, transfer, `${path}.${key}`) as ValueOf<T>,
        ]),
      );
    },
    json: spec.json && {
      schema: { type: 'object', additionalProperties: spec.json.schema },
      to: (value) => Object.fromEntries(Object.entries(value).map(([key, item]) => [key, spec.json!.to(item)])),
      from: (json, path) =>
        Object.fromEntries(
          entriesOf(json, path).map(([key, item]) => [key, spec.json!.from(item, `${path}.${key}`) as ValueOf<T>]),
        ),
    },
    partAt: (key) => (typeof key === 'string' ? element : undefined),
  });
}

export interface EnumWire<V extends string> extends StringWire {
  enum: V;
}

/** One of the given strings; the first is what clients offer first. */
export function enumeration<const V extends readonly [string, ...string[]]>(
  values: V,
): DataType<V[number], EnumWire<V[number]>, false> {
  if (new Set(values).size !== values.length)
    throw new DefinitionError(`t.enum(${JSON.stringify(values)}) has a value twice: each must occur once.`);
  const label = `one of ${values.map((value) => `'${value}'`).join(', ')}`;
  const check = (value: unknown, path: string): V[number] => {
    if (!values.includes(value as string)) throw mismatch(path, label, show(value));
    return value as V[number];
  };
  return new DataType<V[number], EnumWire<V[number]>, false>({
    label,
    literalType: LiteralType.fromPartial({ type: { $case: 'enumType', value: { values: [...values] } } }),
    check,
    toLiteral: (value) => primitiveLiteral({ $case: 'stringValue', value }),
    fromLiteral: (literal, _transfer, path) => {
      const value = primitiveOf(literal);
      if (value?.$case !== 'stringValue') throw mismatch(path, label, kindOfLiteral(literal));
      return check(value.value, path);
    },
    json: { schema: { type: 'string', enum: [...values] }, to: (value) => value, from: check },
  });
}

/** flytekit's names of its type transformers: a union's literal names its variant by them (C-111). */
function tagOf(type: LiteralType): string {
  switch (type.type?.$case) {
    case 'simple':
      return (
        (
          {
            [SimpleType.NONE]: 'none',
            [SimpleType.INTEGER]: 'int',
            [SimpleType.FLOAT]: 'float',
            [SimpleType.STRING]: 'str',
            [SimpleType.BOOLEAN]: 'bool',
            [SimpleType.DATETIME]: 'datetime',
            [SimpleType.DURATION]: 'timedelta',
            [SimpleType.STRUCT]: 'Object-Dataclass-Transformer',
            [SimpleType.BINARY]: 'binary',
          } as Partial<Record<SimpleType, string>>
        )[type.type.value] ?? 'FlyteError'
      );
    case 'collectionType':
      return 'Typed List';
    case 'mapValueType':
      return 'Typed Dict';
    case 'enumType':
      return 'DefaultEnumTransformer';
    case 'blob':
      return type.type.value.dimensionality === 1 ? 'FlyteDirectory' : 'FlyteFilePath';
    default:
      return 'Union';
  }
}

const tagged = (type: LiteralType): LiteralType => ({ ...type, structure: { tag: tagOf(type), dataclassType: {} } });

function sameVariant(a: LiteralType | undefined, b: LiteralType): boolean {
  return a !== undefined && tagOf(a) === tagOf(b) && a.type?.$case === b.type?.$case;
}

const noneSpec: TypeSpec<null> = {
  label: 'none',
  literalType: simple(SimpleType.NONE),
  acceptsNone: true,
  check: (value, path) => {
    if (value !== null && value !== undefined) throw mismatch(path, 'null', show(value));
    return null;
  },
  toLiteral: noneLiteral,
  fromLiteral: (literal, _transfer, path) => {
    if (kindOfLiteral(literal) !== 'none') throw mismatch(path, 'none', kindOfLiteral(literal));
    return null;
  },
  json: {
    schema: { type: 'null' },
    to: () => null,
    from: (json, path) => {
      if (json !== null && json !== undefined) throw mismatch(path, 'null', show(json));
      return null;
    },
  },
};

export interface NoneWire {
  none: true;
}

/** Carries only `null`. */
export const none = new DataType<null, NoneWire, true>(noneSpec);

/** A value of one of several types; a value goes to the first variant that takes it. */
export function union<const T extends readonly [AnyType, AnyType, ...AnyType[]]>(
  ...variants: T
): DataType<ValueOf<T[number]>, WireOf<T[number]>, null extends ValueOf<T[number]> ? true : false> {
  const specs = variants.map((variant) => variant.spec as TypeSpec<ValueOf<T[number]>>);
  const label = specs.map((spec) => spec.label).join(' or ');
  const tags = specs.map((spec) => tagOf(spec.literalType));
  if (new Set(tags).size !== tags.length)
    throw new DefinitionError(
      `t.union of ${label}: two variants look alike on the wire (${tags.join(', ')}); use variants of different kinds.`,
    );
  const firstThat = <R>(attempt: (spec: TypeSpec<ValueOf<T[number]>>) => R, path: string, found: string): R => {
    for (const spec of specs) {
      try {
        return attempt(spec);
      } catch (thrown) {
        if (!(thrown instanceof TypeMismatchError)) throw thrown;
      }
    }
    throw mismatch(path, label, found);
  };
  return new DataType<ValueOf<T[number]>, WireOf<T[number]>, null extends ValueOf<T[number]> ? true : false>({
    label,
    literalType: LiteralType.fromPartial({
      type: { $case: 'unionType', value: { variants: specs.map((spec) => tagged(spec.literalType)) } },
    }),
    acceptsNone: specs.some((spec) => spec.acceptsNone),
    check: (value, path) => firstThat((spec) => spec.check(value, path), path, show(value)),
    toLiteral: async (value, transfer) => {
      const spec = firstThat((candidate) => (candidate.check(value, 'value'), candidate), 'value', show(value));
      return Literal.fromPartial({
        value: {
          $case: 'scalar',
          value: {
            value: {
              $case: 'union',
              value: { value: await spec.toLiteral(value, transfer), type: tagged(spec.literalType) },
            },
          },
        },
      });
    },
    fromLiteral: (literal, transfer, path) => {
      const scalar = literal.value?.$case === 'scalar' ? literal.value.value.value : undefined;
      if (scalar?.$case !== 'union' || !scalar.value.value)
        return firstThat((spec) => spec.fromLiteral(literal, transfer, path), path, kindOfLiteral(literal));
      const inner = scalar.value.value;
      const named = specs.find((spec) => sameVariant(scalar.value.type, spec.literalType));
      return named
        ? named.fromLiteral(inner, transfer, path)
        : firstThat((spec) => spec.fromLiteral(inner, transfer, path), path, kindOfLiteral(inner));
    },
    json: specs.every((spec) => spec.json)
      ? {
          schema: { anyOf: specs.map((spec) => spec.json!.schema) },
          to: (value) => firstThat((spec) => (spec.check(value, 'value'), spec.json!.to(value)), 'value', show(value)),
          from: (json, path) => firstThat((spec) => spec.json!.from(json, path), path, show(json)),
        }
      : undefined,
  });
}

/** The type or `null`; callers may leave it out. */
export function optional<T extends AnyType>(type: T): DataType<ValueOf<T> | null, WireOf<T> | NoneWire, true> {
  return union(type, none) as DataType<ValueOf<T> | null, WireOf<T> | NoneWire, true>;
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null)
  );
}
