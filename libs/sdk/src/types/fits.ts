import { SimpleType, type LiteralType } from '@aloft/idl/flyteidl/core/types';

/**
 * Whether a value of one type may go where another is wanted (C-111): `undefined` if so, else why not ('' when the two
 * types say it all). The static types refuse the same; this is for connections that TypeScript has not seen.
 */
export function fits(from: LiteralType, to: LiteralType): string | undefined {
  const source = from.type;
  const target = to.type;
  if (!source || !target) return 'a type is missing';
  if (target.$case === 'unionType') {
    const variants = source.$case === 'unionType' ? source.value.variants : [from];
    for (const variant of variants) {
      const count = target.value.variants.filter((candidate) => fits(variant, candidate) === undefined).length;
      if (count === 0) return '';
      if (count > 1) return 'it fits more than one variant';
    }
    return undefined;
  }
  if (isNone(from)) return isNone(to) ? undefined : '';
  switch (target.$case) {
    case 'simple':
      if (source.$case === 'enumType') return target.value === SimpleType.STRING ? undefined : '';
      if (source.$case !== 'simple' || source.value !== target.value) return '';
      return target.value === SimpleType.STRUCT ? structFits(from.metadata, to.metadata) : undefined;
    case 'enumType':
      if (source.$case === 'simple') return source.value === SimpleType.STRING ? undefined : '';
      if (source.$case !== 'enumType') return '';
      return source.value.values.every((value) => target.value.values.includes(value)) ? undefined : '';
    case 'collectionType':
      return source.$case === 'collectionType' ? fits(source.value, target.value) : '';
    case 'mapValueType':
      return source.$case === 'mapValueType' ? fits(source.value, target.value) : '';
    case 'blob':
      if (source.$case !== 'blob' || source.value.dimensionality !== target.value.dimensionality) return '';
      return source.value.format === target.value.format || !source.value.format || !target.value.format
        ? undefined
        : '';
    case 'structuredDatasetType':
    case 'schema':
      return source.$case === 'structuredDatasetType' || source.$case === 'schema' ? undefined : '';
  }
}

const isNone = (type: LiteralType): boolean => type.type?.$case === 'simple' && type.type.value === SimpleType.NONE;

type Schema = Record<string, unknown>;

function structFits(from: Schema | undefined, to: Schema | undefined): string | undefined {
  if (!from || !to) return undefined;
  const have = (from['properties'] ?? {}) as Record<string, Schema>;
  const want = (to['properties'] ?? {}) as Record<string, Schema>;
  for (const name of (to['required'] ?? []) as string[]) if (!(name in have)) return `field '${name}' is missing`;
  for (const [name, schema] of Object.entries(want)) {
    const offered = have[name];
    if (offered && offered['type'] !== undefined && schema['type'] !== undefined && offered['type'] !== schema['type'])
      return `field '${name}' is ${String(offered['type'])}, not ${String(schema['type'])}`;
  }
  return undefined;
}
