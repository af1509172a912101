import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  fromBinary,
  fromJson as messageFromJson,
  toBinary,
  toJson as messageToJson,
  type DescMessage,
  type FileRegistry,
  type JsonObject,
  type JsonValue,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { descriptorSetPath } from './descriptor.js';

export type { JsonValue } from '@bufbuild/protobuf';

export interface ToJsonOptions {
  /** Emit scalars, enums, lists and maps that have their default value. Default false. */
  emitDefaults?: boolean;
  /** Emit `null` for message fields that aren't set, as Flyte's REST gateway does; fields of oneofs excepted. Default false. */
  emitNulls?: boolean;
  /** `project_id` instead of `projectId`. Default false. */
  protoFieldNames?: boolean;
}

export interface FromJsonOptions {
  /** Skip fields that the message doesn't have instead of refusing them. Default false. */
  ignoreUnknownFields?: boolean;
}

/** Bytes or JSON that aren't the message they claim to be. */
export class JsonMappingError extends Error {
  constructor(
    readonly typeName: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${typeName}: ${problem}`, options);
    this.name = 'JsonMappingError';
  }
}

let cached: FileRegistry | undefined;

/** Descriptors of all messages, enums, services and `google.api` options of flyteidl and aloft/v1; read at first use. */
export function descriptorRegistry(): FileRegistry {
  cached ??= createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptorSetPath)));
  return cached;
}

/** @throws JsonMappingError when there is no message of that name */
export function messageDescriptor(typeName: string): DescMessage {
  const found = descriptorRegistry().getMessage(typeName);
  if (found === undefined) throw new JsonMappingError(typeName, 'there is no message of that name');
  return found;
}

/**
 * Canonical JSON of an encoded message. Unlike ts-proto's own JSON it is that of the protobuf specification: int64 as strings,
 * timestamps with their nanoseconds, Struct and wrappers as plain values. Unknown fields have no place in JSON.
 *
 * @param typeName full name, e.g. `flyteidl.core.TaskTemplate`
 * @throws JsonMappingError when the bytes aren't such a message, or JSON can't hold it (a Struct with NaN)
 */
export function toJson(typeName: string, bytes: Uint8Array, options: ToJsonOptions = {}): JsonValue {
  const descriptor = messageDescriptor(typeName);
  const { emitDefaults = false, emitNulls = false, protoFieldNames = false } = options;
  try {
    const message = fromBinary(descriptor, bytes);
    const json = messageToJson(descriptor, message, {
      registry: descriptorRegistry(),
      alwaysEmitImplicit: emitDefaults,
      useProtoFieldName: protoFieldNames,
    });
    if (emitNulls) addNulls(descriptor, json, protoFieldNames);
    return json;
  } catch (error) {
    throw new JsonMappingError(typeName, messageOf(error), { cause: error });
  }
}

/**
 * Encodes a message from its canonical JSON; field names may be camel case or as in the .proto.
 *
 * @throws JsonMappingError naming the field and what is wrong with it
 */
export function fromJson(typeName: string, json: JsonValue, options: FromJsonOptions = {}): Uint8Array {
  const descriptor = messageDescriptor(typeName);
  try {
    const message = messageFromJson(descriptor, json, {
      registry: descriptorRegistry(),
      ignoreUnknownFields: options.ignoreUnknownFields ?? false,
    });
    return toBinary(descriptor, message);
  } catch (error) {
    throw new JsonMappingError(typeName, messageOf(error), { cause: error });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Well-known types are values in JSON, not objects with fields to fill in. */
const isPlainMessage = (descriptor: DescMessage): boolean => !descriptor.typeName.startsWith('google.protobuf.');

function addNulls(descriptor: DescMessage, json: JsonValue, protoFieldNames: boolean): void {
  if (!isPlainMessage(descriptor) || !isObject(json)) return;
  for (const field of descriptor.fields) {
    const name = protoFieldNames ? field.name : field.jsonName;
    const value = json[name];
    if (field.fieldKind === 'message') {
      if (value === undefined) {
        if (field.oneof === undefined) json[name] = null;
      } else addNulls(field.message, value, protoFieldNames);
    } else if (field.fieldKind === 'list' && field.listKind === 'message') {
      if (Array.isArray(value)) for (const item of value) addNulls(field.message, item, protoFieldNames);
    } else if (field.fieldKind === 'map' && field.mapKind === 'message') {
      if (isObject(value)) for (const item of Object.values(value)) addNulls(field.message, item!, protoFieldNames);
    }
  }
}

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
