import type {
  ArtifactBindingData,
  ArtifactID,
  ArtifactKey,
  ArtifactTag,
  LabelValue,
} from '@aloft/idl/flyteidl/core/artifact_id';
import { Granularity, Operator } from '@aloft/idl/flyteidl/core/artifact_id';
import type { Variable, VariableMap } from '@aloft/idl/flyteidl/core/interface';
import type { Literal, LiteralMap, Primitive, Scalar, StructuredDataset } from '@aloft/idl/flyteidl/core/literals';
import {
  BlobType_BlobDimensionality,
  SchemaType_SchemaColumn_SchemaColumnType,
  SimpleType,
  type BlobType,
  type LiteralType,
  type SchemaType,
  type StructuredDatasetType,
} from '@aloft/idl/flyteidl/core/types';
import type { Json } from './plain-json.js';
import { formatDuration, formatTimestamp } from './time.js';

/**
 * Canonical protobuf JSON (proto3 mapping, camel case, nothing emitted for defaults) of the messages that Flyte hashes for its
 * catalog (C-90). The registry in `@aloft/idl/json` does the same for every message, but reads a file: the core may not.
 */
type Fields = { [key: string]: Json | undefined };

const clean = (fields: Fields): Json =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Json;
const text = (value: string): string | undefined => (value === '' ? undefined : value);
const many = <T>(items: T[], each: (item: T) => Json): Json[] | undefined =>
  items.length === 0 ? undefined : items.map(each);
const dictionary = <T>(items: Record<string, T>, each: (item: T) => Json): Json | undefined => {
  const entries = Object.entries(items);
  return entries.length === 0 ? undefined : Object.fromEntries(entries.map(([key, item]) => [key, each(item)]));
};
const maybe = <T>(item: T | undefined, each: (item: T) => Json): Json | undefined =>
  item === undefined ? undefined : each(item);
const bytes = (value: Uint8Array): string => Buffer.from(value).toString('base64');
const enumeration = (names: Record<number, string>, value: number): Json => names[value] ?? value;
const enumerationOrNothing = (names: Record<number, string>, value: number): Json | undefined =>
  value === 0 ? undefined : enumeration(names, value);
const double = (value: number): Json =>
  Number.isFinite(value) ? value : Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';

/** A Struct's content; non-finite numbers become strings, as in canonical JSON. */
function structToJson(value: unknown): Json {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number') return double(value);
  if (Array.isArray(value)) return value.map(structToJson);
  if (typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, structToJson(item)]));
  return value as Json;
}

export function literalToJson(literal: Literal): Json {
  const { value } = literal;
  const fields: Fields = {};
  switch (value?.$case) {
    case 'scalar':
      fields.scalar = scalarToJson(value.value);
      break;
    case 'collection':
      fields.collection = clean({ literals: many(value.value.literals, literalToJson) });
      break;
    case 'map':
      fields.map = literalMapToJson(value.value);
      break;
    case 'offloadedMetadata': {
      const { uri, sizeBytes, inferredType } = value.value;
      fields.offloadedMetadata = clean({
        uri: text(uri),
        sizeBytes: sizeBytes === 0n ? undefined : String(sizeBytes),
        inferredType: maybe(inferredType, typeToJson),
      });
    }
  }
  fields.hash = text(literal.hash);
  fields.metadata = dictionary(literal.metadata, (item) => item);
  return clean(fields);
}

export const literalMapToJson = (map: LiteralMap): Json => clean({ literals: dictionary(map.literals, literalToJson) });

export function scalarToJson({ value }: Scalar): Json {
  switch (value?.$case) {
    case 'primitive':
      return { primitive: primitiveToJson(value.value) };
    case 'blob':
      return {
        blob: clean({
          metadata: maybe(value.value.metadata, ({ type }) => clean({ type: maybe(type, blobTypeToJson) })),
          uri: text(value.value.uri),
        }),
      };
    case 'binary':
      return {
        binary: clean({
          value: value.value.value.length === 0 ? undefined : bytes(value.value.value),
          tag: text(value.value.tag),
        }),
      };
    case 'schema':
      return { schema: clean({ uri: text(value.value.uri), type: maybe(value.value.type, schemaTypeToJson) }) };
    case 'noneType':
      return { noneType: {} };
    case 'error':
      return {
        error: clean({ failedNodeId: text(value.value.failedNodeId), message: text(value.value.message) }),
      };
    case 'generic':
      return { generic: structToJson(value.value ?? {}) };
    case 'structuredDataset':
      return { structuredDataset: structuredDatasetToJson(value.value) };
    case 'union':
      return {
        union: clean({ value: maybe(value.value.value, literalToJson), type: maybe(value.value.type, typeToJson) }),
      };
    case undefined:
      return {};
  }
}

const structuredDatasetToJson = ({ uri, metadata }: StructuredDataset): Json =>
  clean({
    uri: text(uri),
    metadata: maybe(metadata, ({ structuredDatasetType }) =>
      clean({ structuredDatasetType: maybe(structuredDatasetType, structuredDatasetTypeToJson) }),
    ),
  });

function primitiveToJson({ value }: Primitive): Json {
  switch (value?.$case) {
    case 'integer':
      return { integer: String(value.value) };
    case 'floatValue':
      return { floatValue: double(value.value) };
    case 'datetime':
      return { datetime: formatTimestamp(value.value) };
    case 'duration':
      return { duration: formatDuration(value.value) };
    case 'stringValue':
      return { stringValue: value.value };
    case 'boolean':
      return { boolean: value.value };
    case undefined:
      return {};
  }
}

export function typeToJson(type: LiteralType): Json {
  return clean({ ...typeBodyToJson(type), ...typeNotesToJson(type) });
}

/** The type proper, without metadata, annotation and structure. */
export function typeBodyToJson({ type }: LiteralType): Fields {
  switch (type?.$case) {
    case 'simple':
      return { simple: enumeration(SimpleType, type.value) };
    case 'schema':
      return { schema: schemaTypeToJson(type.value) };
    case 'collectionType':
      return { collectionType: typeToJson(type.value) };
    case 'mapValueType':
      return { mapValueType: typeToJson(type.value) };
    case 'blob':
      return { blob: blobTypeToJson(type.value) };
    case 'enumType':
      return { enumType: clean({ values: many(type.value.values, (value) => value) }) };
    case 'structuredDatasetType':
      return { structuredDatasetType: structuredDatasetTypeToJson(type.value) };
    case 'unionType':
      return { unionType: clean({ variants: many(type.value.variants, typeToJson) }) };
    case undefined:
      return {};
  }
}

const typeNotesToJson = ({ metadata, annotation, structure }: LiteralType): Fields => ({
  metadata: maybe(metadata, structToJson),
  annotation: maybe(annotation, ({ annotations }) => clean({ annotations: maybe(annotations, structToJson) })),
  structure: maybe(structure, ({ tag, dataclassType }) =>
    clean({ tag: text(tag), dataclassType: dictionary(dataclassType, typeToJson) }),
  ),
});

const blobTypeToJson = ({ format, dimensionality }: BlobType): Json =>
  clean({
    format: text(format),
    dimensionality: enumerationOrNothing(BlobType_BlobDimensionality, dimensionality),
  });

const schemaTypeToJson = ({ columns }: SchemaType): Json =>
  clean({
    columns: many(columns, ({ name, type }) =>
      clean({ name: text(name), type: enumerationOrNothing(SchemaType_SchemaColumn_SchemaColumnType, type) }),
    ),
  });

const structuredDatasetTypeToJson = (type: StructuredDatasetType): Json =>
  clean({
    columns: many(type.columns, ({ name, literalType }) =>
      clean({ name: text(name), literalType: maybe(literalType, typeToJson) }),
    ),
    format: text(type.format),
    externalSchemaType: text(type.externalSchemaType),
    externalSchemaBytes: type.externalSchemaBytes.length === 0 ? undefined : bytes(type.externalSchemaBytes),
  });

export const variableMapToJson = ({ variables }: VariableMap): Json =>
  clean({ variables: dictionary(variables, variableToJson) });

const variableToJson = ({ type, description, artifactPartialId, artifactTag }: Variable): Json =>
  clean({
    type: maybe(type, typeToJson),
    description: text(description),
    artifactPartialId: maybe(artifactPartialId, artifactIdToJson),
    artifactTag: maybe(artifactTag, artifactTagToJson),
  });

const artifactIdToJson = ({ artifactKey, version, partitions, timePartition }: ArtifactID): Json =>
  clean({
    artifactKey: maybe(artifactKey, artifactKeyToJson),
    version: text(version),
    partitions: maybe(partitions, ({ value }) => clean({ value: dictionary(value, labelValueToJson) })),
    timePartition: maybe(timePartition, ({ value, granularity }) =>
      clean({
        value: maybe(value, labelValueToJson),
        granularity: enumerationOrNothing(Granularity, granularity),
      }),
    ),
  });

const artifactTagToJson = ({ artifactKey, value }: ArtifactTag): Json =>
  clean({ artifactKey: maybe(artifactKey, artifactKeyToJson), value: maybe(value, labelValueToJson) });

const artifactKeyToJson = ({ project, domain, name, org }: ArtifactKey): Json =>
  clean({ project: text(project), domain: text(domain), name: text(name), org: text(org) });

function labelValueToJson({ value }: LabelValue): Json {
  switch (value?.$case) {
    case 'staticValue':
      return { staticValue: value.value };
    case 'timeValue':
      return { timeValue: formatTimestamp(value.value) };
    case 'triggeredBinding':
      return { triggeredBinding: bindingToJson(value.value) };
    case 'inputBinding':
      return { inputBinding: clean({ var: text(value.value.var) }) };
    case 'runtimeBinding':
      return { runtimeBinding: {} };
    case undefined:
      return {};
  }
}

const bindingToJson = ({ partitionData, timeTransform }: ArtifactBindingData): Json =>
  clean({
    ...(partitionData === undefined ? {} : { [partitionData.$case]: partitionData.value }),
    timeTransform: maybe(timeTransform, ({ transform, op }) =>
      clean({ transform: text(transform), op: enumerationOrNothing(Operator, op) }),
    ),
  });
