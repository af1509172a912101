import { createHash } from 'node:crypto';
import { deterministicBytes, type Encoder } from '@aloft/literals';

/** Bytes that are the same for equal messages, as a Buffer for Postgres. */
export function canonicalBytes<T extends object>(codec: Encoder<T>, message: T): Buffer {
  return Buffer.from(deterministicBytes(codec, message));
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
