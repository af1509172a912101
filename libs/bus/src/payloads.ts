import type { Envelope } from '@aloft/idl/aloft/v1/bus';

const payloads = new WeakMap<Envelope, unknown>();

/**
 * Says what an envelope's payload holds: readers in this process get the very envelope, and need not decode what was just encoded.
 * The value is everybody's from now on, so nobody may change it. Not for what is folded into a log: there the bytes are the truth, and
 * a value can hold what they can't.
 */
export function rememberPayload(envelope: Envelope, value: unknown): void {
  payloads.set(envelope, value);
}

/** The payload: as its publisher remembered it, or decoded, once. Rejects as `codec` does. Not to be changed. */
export function payloadOf<T>(envelope: Envelope, codec: { decode(bytes: Uint8Array): T }): T {
  const known = payloads.get(envelope);
  if (known !== undefined) return known as T;
  const value = codec.decode(envelope.payload);
  payloads.set(envelope, value);
  return value;
}
