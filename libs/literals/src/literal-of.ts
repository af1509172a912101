import type { Duration } from '@aloft/idl/google/protobuf/duration';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import type { Literal, Primitive, Scalar } from '@aloft/idl/flyteidl/core/literals';
import type {
  BlobType_BlobDimensionality,
  LiteralType,
  SchemaType,
  StructuredDatasetType,
} from '@aloft/idl/flyteidl/core/types';

/** Tag of a `Binary` that holds MessagePack: dataclasses, dicts and pydantic models of flytekit 1.14 and later. */
export const msgpackTag = 'msgpack';

const scalar = (value: Scalar['value']): Literal => ({
  value: { $case: 'scalar', value: { value } },
  hash: '',
  metadata: {},
});

const primitive = (value: NonNullable<Primitive['value']>): Literal => scalar({ $case: 'primitive', value: { value } });

/** Constructors of literals. */
export const literalOf = {
  scalar,
  primitive,
  integer: (value: bigint | number): Literal => primitive({ $case: 'integer', value: BigInt(value) }),
  float: (value: number): Literal => primitive({ $case: 'floatValue', value }),
  string: (value: string): Literal => primitive({ $case: 'stringValue', value }),
  boolean: (value: boolean): Literal => primitive({ $case: 'boolean', value }),
  datetime: (value: Timestamp): Literal => primitive({ $case: 'datetime', value }),
  duration: (value: Duration): Literal => primitive({ $case: 'duration', value }),
  none: (): Literal => scalar({ $case: 'noneType', value: {} }),
  collection: (literals: Literal[]): Literal => ({
    value: { $case: 'collection', value: { literals } },
    hash: '',
    metadata: {},
  }),
  map: (literals: Record<string, Literal>): Literal => ({
    value: { $case: 'map', value: { literals } },
    hash: '',
    metadata: {},
  }),
  /** A value of a union together with the variant that it belongs to. */
  union: (value: Literal, variant: LiteralType): Literal => scalar({ $case: 'union', value: { value, type: variant } }),
  /** A protobuf Struct: numbers are doubles. */
  struct: (value: Record<string, unknown>): Literal => scalar({ $case: 'generic', value }),
  binary: (value: Uint8Array, tag = ''): Literal =>
    scalar({ $case: 'binary', value: { value: Buffer.from(value), tag } }),
  msgpack: (value: Uint8Array): Literal => literalOf.binary(value, msgpackTag),
  blob: (uri: string, format: string, dimensionality: BlobType_BlobDimensionality): Literal =>
    scalar({ $case: 'blob', value: { uri, metadata: { type: { format, dimensionality } } } }),
  schema: (uri: string, type: SchemaType): Literal => scalar({ $case: 'schema', value: { uri, type } }),
  structuredDataset: (uri: string, structuredDatasetType: StructuredDatasetType): Literal =>
    scalar({ $case: 'structuredDataset', value: { uri, metadata: { structuredDatasetType } } }),
  error: (message: string, failedNodeId = ''): Literal => scalar({ $case: 'error', value: { message, failedNodeId } }),
};

/** The scalar of a literal, if it is one. */
export const scalarOf = (literal: Literal | undefined): Scalar['value'] =>
  literal?.value?.$case === 'scalar' ? literal.value.value.value : undefined;

/** The primitive of a literal, looked for through unions as Flyte's comparisons do. */
export function primitiveOf(literal: Literal | undefined): Primitive['value'] {
  let scalar = scalarOf(literal);
  while (scalar?.$case === 'union') scalar = scalarOf(scalar.value.value);
  return scalar?.$case === 'primitive' ? scalar.value.value : undefined;
}

/** True for None, also inside a union. */
export function isNone(literal: Literal | undefined): boolean {
  let scalar = scalarOf(literal);
  while (scalar?.$case === 'union') scalar = scalarOf(scalar.value.value);
  return scalar?.$case === 'noneType';
}
