import { invalidArgument } from '@aloft/errors';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/**
 * The bytes of one length-delimited field of an encoded message, as they were sent. A field that occurs several times is merged
 * by protobuf's own rule: concatenated bytes decode to the merged message.
 */
export function fieldBytes(message: Uint8Array, field: number): Buffer {
  const reader = new BinaryReader(message);
  const parts: Uint8Array[] = [];
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (number === field && wireType === WireType.LengthDelimited) parts.push(reader.bytes());
      else reader.skip(wireType, number);
    }
  } catch (error) {
    // Codecs stop at a field number of 0; what they read until then is not all that was sent.
    const reason = error instanceof Error ? error.message : String(error);
    throw invalidArgument(`the request is not a message of its type: ${reason}`, { cause: error });
  }
  return Buffer.concat(parts);
}
