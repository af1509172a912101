import {
  ScalarType,
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
} from '@bufbuild/protobuf';
import { invalidArgument } from '@aloft/errors';

/** Messages whose JSON is one string, so that a query parameter can be one. */
const stringMessages = new Set([
  'google.protobuf.Timestamp',
  'google.protobuf.Duration',
  'google.protobuf.FieldMask',
  'google.protobuf.StringValue',
  'google.protobuf.BytesValue',
  'google.protobuf.Int64Value',
  'google.protobuf.UInt64Value',
]);

const numberMessages = new Set([
  'google.protobuf.DoubleValue',
  'google.protobuf.FloatValue',
  'google.protobuf.Int32Value',
  'google.protobuf.UInt32Value',
]);

/**
 * Path and query parameters as the JSON of a request: `id.project=p`, `sort_by.direction=ASCENDING`, a repeated field as often
 * as it has values, a map's entry as `labels[key]=value`. INVALID_ARGUMENT for a value that does not fit; parameters that
 * name no field are left out, as grpc-gateway does (clients add cache busters).
 */
export function fieldsToJson(schema: DescMessage, params: Iterable<readonly [string, string]>): JsonObject {
  const json: JsonObject = {};
  for (const [name, value] of params) assign(schema, json, name, value);
  return json;
}

function assign(schema: DescMessage, json: JsonObject, name: string, value: string): void {
  const [, path = name, entry] = /^([^[]*)\[([^\]]*)\]$/.exec(name) ?? [];
  const parts = path.split('.');
  let message = schema;
  let target = json;
  for (const [i, part] of parts.entries()) {
    const field = message.fields.find((one) => one.name === part || one.jsonName === part);
    if (!field) return;
    if (i < parts.length - 1) {
      if (field.fieldKind !== 'message') throw misfit(name, value, 'is not a message, so that it has no fields');
      message = field.message;
      target = (target[field.name] ??= {}) as JsonObject;
    } else setField(field, target, { name, entry, value });
  }
}

function setField(
  field: DescField,
  target: JsonObject,
  { name, entry, value }: { name: string; entry: string | undefined; value: string },
): void {
  switch (field.fieldKind) {
    case 'scalar':
      target[field.name] = scalar(field.scalar, name, value);
      break;
    case 'enum':
      target[field.name] = enumeration(field.enum, name, value);
      break;
    case 'message':
      target[field.name] = messageText(field.message, name, value);
      break;
    case 'list':
      ((target[field.name] ??= []) as JsonValue[]).push(
        field.listKind === 'scalar'
          ? scalar(field.scalar, name, value)
          : field.listKind === 'enum'
            ? enumeration(field.enum, name, value)
            : messageText(field.message, name, value),
      );
      break;
    case 'map':
      if (entry === undefined) throw misfit(name, value, `is a map: write ${field.name}[<key>]=<value>`);
      ((target[field.name] ??= {}) as JsonObject)[entry] =
        field.mapKind === 'scalar'
          ? scalar(field.scalar, name, value)
          : field.mapKind === 'enum'
            ? enumeration(field.enum, name, value)
            : messageText(field.message, name, value);
  }
}

function scalar(type: ScalarType, name: string, value: string): JsonValue {
  switch (type) {
    case ScalarType.STRING:
      return value;
    case ScalarType.BYTES:
      return value.replace(/-/g, '+').replace(/_/g, '/').replace(/ /g, '+');
    case ScalarType.BOOL:
      if (['true', '1', 't', 'TRUE', 'True', 'T'].includes(value)) return true;
      if (['false', '0', 'f', 'FALSE', 'False', 'F'].includes(value)) return false;
      throw misfit(name, value, 'should be true or false');
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      if (['NaN', 'Infinity', '-Infinity'].includes(value)) return value;
      return number(name, value);
    default:
      // JSON writes 64-bit integers as text, and takes the others as text too.
      if (!/^[+-]?\d+$/.test(value)) throw misfit(name, value, 'should be an integer');
      return value.replace(/^\+/, '');
  }
}

function enumeration(type: DescEnum, name: string, value: string): JsonValue {
  const known = type.values.find((one) => one.name === value || String(one.number) === value);
  if (!known) throw misfit(name, value, `should be one of ${type.values.map((one) => one.name).join(', ')}`);
  return known.name;
}

function messageText(type: DescMessage, name: string, value: string): JsonValue {
  if (stringMessages.has(type.typeName)) return value;
  if (numberMessages.has(type.typeName)) return number(name, value);
  if (type.typeName === 'google.protobuf.BoolValue') return scalar(ScalarType.BOOL, name, value);
  throw misfit(name, value, `is a message (${type.typeName}): give its fields, as ${name}.<field>`);
}

function number(name: string, value: string): number {
  const parsed = Number(value);
  if (value.trim() === '' || Number.isNaN(parsed)) throw misfit(name, value, 'should be a number');
  return parsed;
}

function misfit(name: string, value: string, why: string) {
  return invalidArgument(`parameter ${name}: "${value.slice(0, 100)}" ${why}`);
}
