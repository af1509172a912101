import {
  SchemaType_SchemaColumn_SchemaColumnType as ColumnType,
  SimpleType,
  type LiteralType,
  type SchemaType,
  type StructuredDatasetType,
} from '@aloft/idl/flyteidl/core/types';
import { typeBodyToJson, typeToJson } from './canonical-json.js';
import { schemaMismatch } from './json-schema.js';
import { stableJson } from './plain-json.js';
import { formatType } from './type-format.js';
import { isNoneType, simpleOf } from './type-of.js';

/** Whether a value of type `from` may be given where `to` is expected: the rules of Flyte's compiler (C-111). */
export const castable = (from: LiteralType | undefined, to: LiteralType | undefined): boolean =>
  explainMismatch(from, to) === undefined;

/** Why a value of type `from` can't be given where `to` is expected, in words; undefined when it can. */
export function explainMismatch(from: LiteralType | undefined, to: LiteralType | undefined): string | undefined {
  if (from === undefined || to === undefined)
    return from === to ? undefined : `${formatType(from)} can't be used as ${formatType(to)}`;
  // A union of one variant, as a single value of a union has it, is as good as that variant.
  const only =
    from.type?.$case === 'unionType' && from.type.value.variants.length === 1 ? from.type.value.variants[0] : undefined;
  if (only !== undefined && mismatch(only, to) === undefined) return undefined;
  return mismatch(from, to);
}

/** Types that are the same in every respect, metadata and annotations included (what branch cases must agree on). */
export const sameType = (a: LiteralType | undefined, b: LiteralType | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && typeKey(a) === typeKey(b));

/** A string that is the same for types that are the same in every respect. */
export const typeKey = (type: LiteralType): string => stableJson(typeToJson(type));

/** The check proper; nested types come here without the look through unions of one, as in Flyte. */
function mismatch(from: LiteralType, to: LiteralType): string | undefined {
  const target = to.type;
  switch (target?.$case) {
    case 'collectionType': {
      if (from.type?.$case !== 'collectionType') return notA(from, to);
      if (isNoneType(from.type.value)) return undefined; // the empty list
      return within('list items', mismatch(from.type.value, target.value));
    }
    case 'mapValueType': {
      if (from.type?.$case !== 'mapValueType') return notA(from, to);
      if (isNoneType(from.type.value)) return undefined; // the empty map
      return within('map values', mismatch(from.type.value, target.value));
    }
    case 'blob': {
      if (from.type?.$case !== 'blob') return notA(from, to);
      const [given, wanted] = [from.type.value.format, target.value.format];
      return given === '' || wanted === '' || given === wanted
        ? undefined
        : `the format is '${given}' but should be '${wanted}'`;
    }
    case 'schema':
      return toSchema(from, to, target.value);
    case 'structuredDatasetType':
      return toDataset(from, to, target.value);
    case 'unionType':
      return toUnion(from, to, target.value.variants);
    default:
      if (isNoneType(to)) return isNoneType(from) ? undefined : notA(from, to);
      return toSimple(from, to);
  }
}

/** Simple types, enums, and whatever has no rule of its own: equal but for notes. */
function toSimple(from: LiteralType, to: LiteralType): string | undefined {
  if (from.type?.$case === 'enumType' && simpleOf(to) === SimpleType.STRING) return undefined;
  if (to.type?.$case === 'enumType' && simpleOf(from) === SimpleType.STRING) return undefined;
  const tag = from.structure?.tag ?? '';
  if (tag !== '' && tag !== (to.structure?.tag ?? ''))
    return `it is the variant '${tag}', not '${to.structure?.tag ?? ''}'`;
  if (simpleOf(from) === SimpleType.STRUCT && simpleOf(to) === SimpleType.STRUCT) {
    // Types of older SDKs and untyped dicts have no schema: they go with everything.
    if (from.metadata === undefined || to.metadata === undefined) return undefined;
    return schemaMismatch(from.metadata, to.metadata);
  }
  const isSame =
    from.type?.$case === 'simple' && to.type?.$case === 'simple'
      ? from.type.value === to.type.value
      : stableJson(typeBodyToJson(from)) === stableJson(typeBodyToJson(to));
  return isSame ? undefined : notA(from, to);
}

function toUnion(from: LiteralType, to: LiteralType, variants: LiteralType[]): string | undefined {
  if (from.type?.$case === 'unionType') {
    const homeless = from.type.value.variants.find((given) => !variants.some((wanted) => castable(given, wanted)));
    return homeless && `${formatType(homeless)} fits no variant of ${formatType(to)}`;
  }
  const fitting = variants.filter((wanted) => castable(from, wanted));
  if (fitting.length === 1) return undefined;
  return fitting.length === 0
    ? `${formatType(from)} fits no variant of ${formatType(to)}`
    : `${formatType(from)} is ambiguous: it fits ${fitting.map(formatType).join(' and ')}`;
}

function toSchema(from: LiteralType, to: LiteralType, wanted: SchemaType): string | undefined {
  const given = from.type;
  if (given?.$case === 'schema') {
    if (given.value.columns.length === 0) return undefined;
    const types = new Map(given.value.columns.map(({ name, type }) => [name, type]));
    return columnsMismatch(wanted.columns, types, ({ type }, source) => type === source);
  }
  if (given?.$case !== 'structuredDatasetType') return notA(from, to);
  if (!isParquet(given.value.format)) return `a schema holds parquet, not '${given.value.format}'`;
  if (given.value.columns.length === 0) return undefined;
  const types = new Map(given.value.columns.map(({ name, literalType }) => [name, simpleOf(literalType)]));
  return columnsMismatch(wanted.columns, types, ({ type }, source) => simpleOfColumn(type) === source);
}

function toDataset(from: LiteralType, to: LiteralType, wanted: StructuredDatasetType): string | undefined {
  if (isNoneType(from)) return undefined; // datasets may be None
  const given = from.type;
  if (given?.$case === 'schema') {
    if (!isParquet(wanted.format)) return `a schema holds parquet, not '${wanted.format}'`;
    if (given.value.columns.length === 0) return undefined;
    const types = new Map(given.value.columns.map(({ name, type }) => [name, type]));
    return columnsMismatch(
      wanted.columns,
      types,
      ({ literalType }, source) => simpleOfColumn(source) === (simpleOf(literalType) ?? SimpleType.NONE),
    );
  }
  if (given?.$case !== 'structuredDatasetType') return notA(from, to);
  const [format, wantedFormat] = [given.value.format.toLowerCase(), wanted.format.toLowerCase()];
  if (format !== '' && wantedFormat !== '' && format !== wantedFormat)
    return `the dataset's format is '${given.value.format}' but should be '${wanted.format}'`;
  if (given.value.columns.length === 0) return undefined;
  const types = new Map(given.value.columns.map(({ name, literalType }) => [name, literalType]));
  return columnsMismatch(
    wanted.columns,
    types,
    ({ literalType }, source) =>
      source !== undefined && literalType !== undefined && mismatch(source, literalType) === undefined,
  );
}

/** Every wanted column must be among the given ones, with a type that fits; no wanted columns: anything goes. */
function columnsMismatch<Column extends { name: string }, Type>(
  wanted: Column[],
  given: Map<string, Type>,
  fits: (column: Column, type: Type) => boolean,
): string | undefined {
  for (const column of wanted) {
    if (!given.has(column.name))
      return `column '${column.name}' is missing (there are ${[...given.keys()].map((name) => `'${name}'`).join(', ')})`;
    if (!fits(column, given.get(column.name)!)) return `column '${column.name}' has another type`;
  }
  return undefined;
}

const isParquet = (format: string): boolean => format === '' || format.toLowerCase() === 'parquet';

const simpleOfColumn = (type: ColumnType): SimpleType | undefined =>
  ({
    [ColumnType.INTEGER]: SimpleType.INTEGER,
    [ColumnType.FLOAT]: SimpleType.FLOAT,
    [ColumnType.STRING]: SimpleType.STRING,
    [ColumnType.BOOLEAN]: SimpleType.BOOLEAN,
    [ColumnType.DATETIME]: SimpleType.DATETIME,
    [ColumnType.DURATION]: SimpleType.DURATION,
    [ColumnType.UNRECOGNIZED]: undefined,
  })[type];

const notA = (from: LiteralType, to: LiteralType): string => `${formatType(from)} can't be used as ${formatType(to)}`;
const within = (what: string, problem: string | undefined): string | undefined =>
  problem === undefined ? undefined : `${what}: ${problem}`;
