import { fileURLToPath } from 'node:url';

/** Path of the encoded `google.protobuf.FileDescriptorSet` of flyteidl and aloft/v1, with `google.api` options. */
export const descriptorSetPath: string = fileURLToPath(new URL('../descriptor/aloft.binpb', import.meta.url));

/** Path of a JSON file with the comments of those .proto files, by the full name of the message, field, enum, value or rpc. */
export const commentsPath: string = fileURLToPath(new URL('../descriptor/comments.json', import.meta.url));
