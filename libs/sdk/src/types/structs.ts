import { msgpackPart, msgpackToPlain } from '@aloft/literals';
import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { LiteralType, SimpleType } from '@aloft/idl/flyteidl/core/types';
import { DefinitionError } from '../errors.js';
import { isPlainObject } from './containers.js';
import {
  DataType,
  kindOfLiteral,
  mismatch,
  show,
  type AnyType,
  type Fields,
  type GivenValues,
  type Loose,
  type Values,
  type WireOf,
} from './data-type.js';

/** What JSON can say. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

const structType = (schema?: Record<string, unknown>): LiteralType =>
  LiteralType.fromPartial({ type: { $case: 'simple', value: SimpleType.STRUCT }, metadata: schema });

const structLiteral = (json: unknown): Literal =>
  Literal.fromPartial({
    value: { $case: 'scalar', value: { value: { $case: 'generic', value: json as Record<string, unknown> } } },
  });

/** JSON inside a literal: a protobuf Struct, or the MessagePack that flytekit writes for dataclasses and dicts. */
export function jsonOfLiteral(literal: Literal): unknown {
  if (literal.value?.$case !== 'scalar') return undefined;
  const scalar = literal.value.value.value;
  if (scalar?.$case === 'generic') return scalar.value;
  if (scalar?.$case === 'binary' && scalar.value.tag === 'msgpack')
    return msgpackToPlain(msgpackPart(scalar.value.value).read());
  if (scalar?.$case === 'union' && scalar.value.value) return jsonOfLiteral(scalar.value.value);
  return undefined;
}

/**
 * A record with typed fields, like a dataclass: a JSON object on the wire, whose fields downstream nodes can take one by
 * one (`node.metrics.auc`). Fields are whatever JSON can carry, so no files and no bytes.
 */
export function struct<const F extends Fields>(
  fields: F,
): DataType<Values<F>, { struct: { [K in keyof F]: WireOf<F[K]> } }, false> {
  const entries = Object.entries(fields);
  for (const [name, field] of entries)
    if (!field.spec.json)
      throw new DefinitionError(
        `t.struct: field '${name}' is ${field.label}, which JSON cannot hold; make it an output of its own.`,
      );
  const required = entries.filter(([, field]) => !field.isOmittable).map(([name]) => name);
  const schema = {
    type: 'object',
    properties: Object.fromEntries(entries.map(([name, field]) => [name, field.spec.json!.schema])),
    required,
    additionalProperties: false,
  };
  const label = `struct {${entries.map(([name, field]) => ` ${name}: ${field.label}`).join(';')} }`;
  const each = (value: unknown, path: string, convert: (field: AnyType, part: unknown, path: string) => unknown) => {
    if (!isPlainObject(value)) throw mismatch(path, label, show(value));
    return Object.fromEntries(
      entries.map(([name, field]) => {
        const part = value[name];
        if (part === undefined) {
          if (field.defaultValue) return [name, convert(field, field.spec.json!.to(field.defaultValue.value), path)];
          if (!field.isOmittable) throw mismatch(`${path}.${name}`, field.label, 'missing');
        }
        return [name, convert(field, part ?? null, `${path}.${name}`)];
      }),
    );
  };
  const check = (value: unknown, path: string): Values<F> => {
    const strangers = isPlainObject(value) ? Object.keys(value).filter((key) => !(key in fields)) : [];
    if (strangers.length > 0)
      throw mismatch(`${path}.${strangers[0]}`, `one of the fields ${Object.keys(fields).join(', ')}`, 'not declared');
    return each(value, path, (field, part, at) => field.spec.check(part, at)) as Values<F>;
  };
  // Reading is lenient about extra fields: a producer may know more than this consumer (C-111).
  const from = (json: unknown, path: string): Values<F> =>
    each(json, path, (field, part, at) => field.spec.json!.from(part, at)) as Values<F>;
  const to = (value: Values<F>): Record<string, unknown> =>
    Object.fromEntries(
      entries.map(([name, field]) => [name, field.spec.json!.to((value as Record<string, unknown>)[name])]),
    );
  return new DataType<Values<F>, { struct: { [K in keyof F]: WireOf<F[K]> } }, false>({
    label,
    literalType: structType(schema),
    check,
    toLiteral: (value) => structLiteral(to(value)),
    fromLiteral: (literal, _transfer, path) => {
      const json = jsonOfLiteral(literal);
      if (json === undefined) throw mismatch(path, label, kindOfLiteral(literal));
      return from(json, path);
    },
    json: { schema, to, from },
    partAt: (key) => fields[key],
  });
}

/** Any JSON object; `T` is the author's word for its shape, which nothing checks at run time. */
export function json<T extends object = Record<string, Json>>(): DataType<T, { struct: Loose }, false> {
  const check = (value: unknown, path: string): T => {
    if (!isPlainObject(value)) throw mismatch(path, 'a JSON object', show(value));
    return value as T;
  };
  return new DataType<T, { struct: Loose }, false>({
    label: 'JSON object',
    literalType: structType(),
    check,
    toLiteral: (value) => structLiteral(JSON.parse(JSON.stringify(value))),
    fromLiteral: (literal, _transfer, path) => {
      const found = jsonOfLiteral(literal);
      if (found === undefined) throw mismatch(path, 'a JSON object', kindOfLiteral(literal));
      return check(found, path);
    },
    json: { schema: { type: 'object' }, to: (value) => value, from: check },
    partAt: () => json(),
  });
}

export type StructInput<F extends Fields> = GivenValues<F>;
