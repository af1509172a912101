import {
  SimpleType,
  type BlobType_BlobDimensionality,
  type LiteralType,
  type SchemaType_SchemaColumn,
  type StructuredDatasetType_DatasetColumn,
} from '@aloft/idl/flyteidl/core/types';

const wrap = (type: LiteralType['type'], tag?: string): LiteralType => ({
  type,
  metadata: undefined,
  annotation: undefined,
  structure: tag === undefined ? undefined : { tag, dataclassType: {} },
});

const simple = (value: SimpleType, tag?: string): LiteralType => wrap({ $case: 'simple', value }, tag);

/** Constructors of literal types. `tag` names a variant of a union, as SDKs do (`TypeStructure.tag`). */
export const typeOf = {
  simple,
  none: (tag?: string): LiteralType => simple(SimpleType.NONE, tag),
  integer: (tag?: string): LiteralType => simple(SimpleType.INTEGER, tag),
  float: (tag?: string): LiteralType => simple(SimpleType.FLOAT, tag),
  string: (tag?: string): LiteralType => simple(SimpleType.STRING, tag),
  boolean: (tag?: string): LiteralType => simple(SimpleType.BOOLEAN, tag),
  datetime: (tag?: string): LiteralType => simple(SimpleType.DATETIME, tag),
  duration: (tag?: string): LiteralType => simple(SimpleType.DURATION, tag),
  binary: (tag?: string): LiteralType => simple(SimpleType.BINARY, tag),
  error: (tag?: string): LiteralType => simple(SimpleType.ERROR, tag),
  /** A dataclass or dict; `schema` is its JSON schema, if known. */
  struct: (schema?: Record<string, unknown>): LiteralType => ({
    ...simple(SimpleType.STRUCT),
    metadata: schema,
  }),
  collection: (element: LiteralType): LiteralType => wrap({ $case: 'collectionType', value: element }),
  map: (value: LiteralType): LiteralType => wrap({ $case: 'mapValueType', value }),
  union: (...variants: LiteralType[]): LiteralType => wrap({ $case: 'unionType', value: { variants } }),
  /** `type` or None. */
  optional: (type: LiteralType): LiteralType => typeOf.union(type, typeOf.none('none')),
  enum: (...values: string[]): LiteralType => wrap({ $case: 'enumType', value: { values } }),
  blob: (format: string, dimensionality: BlobType_BlobDimensionality): LiteralType =>
    wrap({ $case: 'blob', value: { format, dimensionality } }),
  schema: (columns: SchemaType_SchemaColumn[] = []): LiteralType => wrap({ $case: 'schema', value: { columns } }),
  structuredDataset: (columns: StructuredDatasetType_DatasetColumn[] = [], format = ''): LiteralType =>
    wrap({
      $case: 'structuredDatasetType',
      value: { columns, format, externalSchemaType: '', externalSchemaBytes: Buffer.alloc(0) },
    }),
};

/** The simple type of a literal type, if it is one. */
export const simpleOf = (type: LiteralType | undefined): SimpleType | undefined =>
  type?.type?.$case === 'simple' ? type.type.value : undefined;

export const isNoneType = (type: LiteralType | undefined): boolean => simpleOf(type) === SimpleType.NONE;

/** True when None may be given: None itself, or a union with a None variant. Such an input need not be bound. */
export const acceptsNone = (type: LiteralType | undefined): boolean =>
  isNoneType(type) ||
  (type?.type?.$case === 'unionType' && type.type.value.variants.some((variant) => isNoneType(variant)));

/** Same as Flyte's `IsOptionalType`: a union with a None variant. */
export const isOptionalType = (type: LiteralType | undefined): boolean =>
  type?.type?.$case === 'unionType' && acceptsNone(type);
