import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { Literal, LiteralMap, type Scalar } from '@aloft/idl/flyteidl/core/literals';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { SimpleType } from '@aloft/idl/flyteidl/core/types';

/** Largest map of literals that travels by value, in encoded bytes. */
export const inlineLimit = 32 * 1024;

export const none: Literal = Literal.create({
  value: { $case: 'scalar', value: { value: { $case: 'noneType', value: {} } } },
});

export const emptyValue: LiteralsValue = { value: { $case: 'inline', value: { literals: {} } } };

export function inlineValue(literals: Record<string, Literal>): LiteralsValue {
  return { value: { $case: 'inline', value: { literals } } };
}

/** The literals, if they travel by value. */
export function inlined(value: LiteralsValue | undefined): Record<string, Literal> | undefined {
  return value?.value?.$case === 'inline' ? value.value.value.literals : undefined;
}

export function storedUri(value: LiteralsValue | undefined): string | undefined {
  return value?.value?.$case === 'stored' ? value.value.value.uri : undefined;
}

/** Whether None is a value of the type. */
export function acceptsNone(type: LiteralType | undefined): boolean {
  if (type?.type?.$case === 'simple') return type.type.value === SimpleType.NONE;
  return type?.type?.$case === 'unionType' && type.type.value.variants.some(acceptsNone);
}

const sized = (bytes: number): number => bytes + (bytes < 128 ? 2 : bytes < 16384 ? 3 : 5);

/** At least the literal's encoded size, at most a few bytes a field more; stops counting above `limit`. */
export function sizeOf(literal: Literal, limit: number): number {
  let size = sized(literal.hash.length * 3);
  for (const [key, value] of Object.entries(literal.metadata))
    size += sized(sized(key.length * 3) + sized(value.length * 3));
  switch (literal.value?.$case) {
    case 'scalar':
      return size + sized(sizeOfScalar(literal.value.value, limit));
    case 'collection':
      for (const each of literal.value.value.literals) {
        if (size > limit) return size;
        size += sized(sizeOf(each, limit));
      }
      return sized(size);
    case 'map':
      return size + sized(sizeOfLiterals(literal.value.value.literals, limit));
    case undefined:
      return size;
    default:
      return size + Literal.encode(literal).finish().length;
  }
}

function sizeOfScalar(scalar: Scalar, limit: number): number {
  switch (scalar.value?.$case) {
    case 'primitive': {
      const primitive = scalar.value.value.value;
      return primitive?.$case === 'stringValue' ? sized(primitive.value.length * 3) : 24;
    }
    case 'binary':
      return sized(scalar.value.value.value.length) + sized(scalar.value.value.tag.length * 3);
    case 'noneType':
      return 2;
    case 'union': {
      const { value, type } = scalar.value.value;
      return (value ? sized(sizeOf(value, limit)) : 0) + (type ? sized(64 + JSON.stringify(type).length) : 0);
    }
    default:
      return Literal.encode({ value: { $case: 'scalar', value: scalar }, hash: '', metadata: {} }).finish().length;
  }
}

export function sizeOfLiterals(literals: Record<string, Literal>, limit = inlineLimit): number {
  let size = 0;
  for (const key in literals) {
    if (size > limit) return size;
    size += sized(sized(key.length * 3) + sized(sizeOf(literals[key]!, limit)));
  }
  return size;
}

/** Exact where the cheap bound doesn't decide. */
export function fitsInline(literals: Record<string, Literal>): boolean {
  if (sizeOfLiterals(literals) <= inlineLimit) return true;
  return LiteralMap.encode({ literals }).finish().length <= inlineLimit;
}
