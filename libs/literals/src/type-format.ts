import {
  BlobType_BlobDimensionality,
  SchemaType_SchemaColumn_SchemaColumnType,
  SimpleType,
  type LiteralType,
} from '@aloft/idl/flyteidl/core/types';

const shownEnumValues = 8;
const shownColumns = 8;

/** A literal type as people write it: `list<integer>`, `map<string, float>`, `integer | none`, `enum(red, green)`. */
export function formatType(type: LiteralType | undefined): string {
  const body = type?.type;
  switch (body?.$case) {
    case undefined:
      return 'unknown';
    case 'simple':
      return (SimpleType[body.value] ?? `simple type ${body.value}`).toLowerCase();
    case 'collectionType':
      return `list<${formatType(body.value)}>`;
    case 'mapValueType':
      return `map<string, ${formatType(body.value)}>`;
    case 'blob': {
      const kind = body.value.dimensionality === BlobType_BlobDimensionality.MULTIPART ? 'directory' : 'file';
      return body.value.format === '' ? kind : `${kind}<${body.value.format}>`;
    }
    case 'enumType':
      return `enum(${shortList(body.value.values, shownEnumValues)})`;
    case 'schema': {
      const columns = body.value.columns.map(
        ({ name, type }) =>
          `${name}: ${(SchemaType_SchemaColumn_SchemaColumnType[type] ?? type).toString().toLowerCase()}`,
      );
      return columns.length === 0 ? 'schema' : `schema<${shortList(columns, shownColumns)}>`;
    }
    case 'structuredDatasetType': {
      const columns = body.value.columns.map(({ name, literalType }) => `${name}: ${formatType(literalType)}`);
      const format = body.value.format === '' ? '' : ` as ${body.value.format}`;
      return (columns.length === 0 ? 'dataset' : `dataset<${shortList(columns, shownColumns)}>`) + format;
    }
    case 'unionType':
      return body.value.variants.length === 0 ? 'union()' : body.value.variants.map(formatType).join(' | ');
  }
}

function shortList(items: string[], most: number): string {
  if (items.length <= most) return items.join(', ');
  return `${items.slice(0, most).join(', ')}, … ${items.length - most} more`;
}
