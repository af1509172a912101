import { invalidArgument } from '@aloft/errors';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { MethodDefinition } from '../definition.js';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The request that the bytes are; INVALID_ARGUMENT if they are none. Texts must be UTF-8, as protobuf says: what would be replaced by
 * question marks can't be read back equal. (Codecs take a reader where they take bytes; their type doesn't say so.)
 */
export function decodeRequest(definition: MethodDefinition, bytes: Uint8Array): unknown {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes);
  try {
    return definition.requestDeserialize(new BinaryReader(buffer, decodeText) as unknown as Buffer);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidArgument(`the request of ${definition.path} is not a message of its type: ${reason}`, {
      cause: error,
    });
  }
}

function decodeText(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    const start = Buffer.from(bytes.subarray(0, 40)).toString('latin1');
    throw new Error(`the text ${JSON.stringify(start)} (as Latin-1) is not UTF-8`);
  }
}
