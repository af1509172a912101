import { fileURLToPath } from 'node:url';

/** Path of the encoded `google.protobuf.FileDescriptorSet` of flyteidl and aloft/v1, with `google.api` options. */
export const descriptorSetPath: string = fileURLToPath(new URL('../descriptor/aloft.binpb', import.meta.url));
