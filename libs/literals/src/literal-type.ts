import type { Literal, Scalar } from '@aloft/idl/flyteidl/core/literals';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { typeKey } from './casting.js';
import { msgpackTag } from './literal-of.js';
import { byCodePoint } from './plain-json.js';
import { typeOf } from './type-of.js';

/**
 * The type that a literal shows by itself, as Flyte infers it (C-111): a list of mixed items is a list of a union, an empty list
 * a list of None (which fits any list), a union's value a union of one variant, msgpack a struct, an offloaded literal
 * whatever was noted with it. Undefined when the literal has no value or a kind that isn't known.
 */
export function literalTypeOf(literal: Literal): LiteralType | undefined {
  const { value } = literal;
  switch (value?.$case) {
    case 'scalar':
      return scalarTypeOf(value.value);
    case 'collection': {
      const element = elementTypeOf(value.value.literals);
      return element && typeOf.collection(element);
    }
    case 'map': {
      const element = elementTypeOf(Object.values(value.value.literals));
      return element && typeOf.map(element);
    }
    case 'offloadedMetadata':
      return value.value.inferredType;
    case undefined:
      return undefined;
  }
}

export function scalarTypeOf({ value }: Scalar): LiteralType | undefined {
  switch (value?.$case) {
    case 'primitive':
      switch (value.value.value?.$case) {
        case 'integer':
          return typeOf.integer();
        case 'floatValue':
          return typeOf.float();
        case 'stringValue':
          return typeOf.string();
        case 'boolean':
          return typeOf.boolean();
        case 'datetime':
          return typeOf.datetime();
        case 'duration':
          return typeOf.duration();
        case undefined:
          return typeOf.none();
      }
      break;
    case 'blob': {
      const type = value.value.metadata?.type;
      return type && typeOf.blob(type.format, type.dimensionality);
    }
    case 'binary':
      return value.value.tag === msgpackTag ? typeOf.struct() : typeOf.binary();
    case 'schema':
      return typeOf.schema(value.value.type?.columns);
    case 'structuredDataset': {
      const type = value.value.metadata?.structuredDatasetType;
      return type === undefined
        ? typeOf.structuredDataset()
        : { ...typeOf.structuredDataset(), type: { $case: 'structuredDatasetType', value: type } };
    }
    case 'noneType':
      return typeOf.none();
    case 'error':
      return typeOf.error();
    case 'generic':
      return typeOf.struct();
    case 'union':
      return value.value.type && typeOf.union(value.value.type);
    case undefined:
      return undefined;
  }
}

/** One type for all items: theirs if they agree, else a union of them; None for no items; undefined if one is unknown. */
function elementTypeOf(literals: Literal[]): LiteralType | undefined {
  const types = new Map<string, LiteralType>();
  let emptyList: LiteralType | undefined;
  let last: { key: string; type: LiteralType } | undefined;
  for (const literal of literals) {
    const type = literalTypeOf(literal);
    if (type === undefined) return undefined;
    if (literal.value?.$case === 'collection' && literal.value.value.literals.length === 0) {
      emptyList = type; // fits any list, so it adds nothing to what the others say
      continue;
    }
    const key: string = last !== undefined && isSamePlain(last.type, type) ? last.key : typeKey(type);
    types.set(key, type);
    last = { key, type };
  }
  if (types.size === 0) return emptyList ?? typeOf.none();
  if (types.size === 1) return types.values().next().value;
  const sorted = [...types.keys()].sort(byCodePoint).map((key) => types.get(key)!);
  return unionOfElements(sorted);
}

/** Lists of unions beside each other become one list of one union. */
function unionOfElements(types: LiteralType[]): LiteralType {
  const inner = (type: LiteralType) =>
    type.type?.$case === 'collectionType' && type.type.value.type?.$case === 'unionType'
      ? type.type.value.type.value.variants
      : undefined;
  const union = typeOf.union(...types.flatMap((type) => inner(type) ?? [type]));
  return types.some((type) => inner(type) !== undefined) ? typeOf.collection(union) : union;
}

/** Spares the key of the 2nd, 3rd, … item of a long list of simple values. */
const isSamePlain = (a: LiteralType, b: LiteralType): boolean =>
  a.type?.$case === 'simple' &&
  b.type?.$case === 'simple' &&
  a.type.value === b.type.value &&
  !a.structure &&
  !b.structure;
