import { errorMapping, type AloftError } from '@aloft/errors';
import { fromBinary, toJson, type JsonObject, type Registry } from '@bufbuild/protobuf';

/** grpc-gateway's JSON of an error. */
export function errorBody(error: AloftError, registry: Registry): JsonObject {
  const details = error.details.map(({ type, value }): JsonObject => {
    const url = `type.googleapis.com/${type}`;
    const schema = registry.getMessage(type);
    if (!schema) return { '@type': url, value: Buffer.from(value).toString('base64') };
    const json = toJson(schema, fromBinary(schema, value), {
      registry,
      useProtoFieldName: true,
      alwaysEmitImplicit: true,
    });
    return { '@type': url, ...(json as JsonObject) };
  });
  return { error: error.message, code: errorMapping[error.code].grpc, message: error.message, details };
}
