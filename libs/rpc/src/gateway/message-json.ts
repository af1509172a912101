import {
  isMessage,
  toJson,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  type Registry,
} from '@bufbuild/protobuf';
import { reflect, type ReflectMessage } from '@bufbuild/protobuf/reflect';

/**
 * Canonical JSON as Flyte's gateway writes it: field names of the proto files, unset scalars, lists and maps with their zero
 * values, unset messages as null.
 */
export function messageToJson(schema: DescMessage, message: Message, registry: Registry): JsonValue {
  const json = toJson(schema, message, { registry, useProtoFieldName: true, alwaysEmitImplicit: true });
  addNulls(reflect(schema, message), json);
  return json;
}

/** Of the well-known types only those with fields of their own have an object with these fields as JSON. */
function addNulls(message: ReflectMessage, json: JsonValue): void {
  if (message.desc.typeName.startsWith('google.protobuf.') || !isObject(json)) return;
  for (const field of message.fields) {
    const value = json[field.name];
    switch (field.fieldKind) {
      case 'message':
        if (message.isSet(field)) addNulls(message.get(field), value!);
        else if (field.oneof === undefined) json[field.name] = null;
        break;
      case 'list':
        if (field.listKind === 'message')
          for (const [i, item] of [...message.get(field)].entries())
            addNulls(item as ReflectMessage, (value as JsonValue[])[i]!);
        break;
      case 'map':
        if (field.mapKind === 'message')
          for (const [key, item] of message.get(field))
            addNulls(item as ReflectMessage, (value as JsonObject)[String(key)]!);
    }
  }
}

function isObject(json: JsonValue): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && !isMessage(json);
}
