import type { Envelope } from '@aloft/idl/aloft/v1/bus';

/** What a class that extends it makes private fields on: the object that it is given. */
class OnGiven {
  constructor(given: object) {
    return given;
  }
}

/**
 * A value on an envelope that nobody else can see: a private field, put on an object made elsewhere. A WeakMap would say the same, but
 * tens of thousands of entries in one are what the garbage collector then spends its time on.
 */
class Remembered extends OnGiven {
  #value: unknown;

  static set(envelope: object, value: unknown): void {
    if (!(#value in envelope)) new Remembered(envelope);
    (envelope as Remembered).#value = value;
  }

  static get(envelope: object): unknown {
    return #value in envelope ? envelope.#value : undefined;
  }
}

/**
 * Says what an envelope's payload holds: readers in this process get the very envelope, and need not decode what was just encoded.
 * The value is everybody's from now on, so nobody may change it. Not for what is folded into a log: there the bytes are the truth, and
 * a value can hold what they can't.
 */
export function rememberPayload(envelope: Envelope, value: unknown): void {
  Remembered.set(envelope, value);
}

/** The payload: as its publisher remembered it, or decoded, once. Rejects as `codec` does. Not to be changed. */
export function payloadOf<T>(envelope: Envelope, codec: { decode(bytes: Uint8Array): T }): T {
  const known = Remembered.get(envelope);
  if (known !== undefined) return known as T;
  const value = codec.decode(envelope.payload);
  Remembered.set(envelope, value);
  return value;
}
