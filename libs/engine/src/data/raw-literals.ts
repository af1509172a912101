/**
 * Cutting and joining encoded literals without decoding them: the outputs of an array's items are kept encoded, and a million of
 * them become one list. Field numbers are those of flyteidl/core/literals.proto and aloft/v1/bus.proto.
 */

const text = new TextDecoder();

interface Field {
  number: number;
  bytes: Uint8Array;
}

/** The length-delimited fields of a message; others are passed over. */
function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const wire = tag & 7;
    if (wire === 2) {
      const length = varint();
      yield { number: tag >>> 3, bytes: bytes.subarray(at, at + length) };
      at += length;
    } else if (wire === 0) varint();
    else at += wire === 1 ? 8 : 4;
  }
}

/** The variables of an encoded `aloft.v1.LiteralsValue`: encoded literals by name, or where the map is stored. */
export function rawVariables(value: Uint8Array): Map<string, Uint8Array> | { uri: string } {
  const variables = new Map<string, Uint8Array>();
  for (const alternative of fieldsOf(value)) {
    if (alternative.number === 2) {
      for (const field of fieldsOf(alternative.bytes)) {
        if (field.number === 1) return { uri: text.decode(field.bytes) };
      }
    }
    for (const entry of fieldsOf(alternative.bytes)) {
      let name = '';
      let literal: Uint8Array = new Uint8Array();
      for (const field of fieldsOf(entry.bytes)) {
        if (field.number === 1) name = text.decode(field.bytes);
        else if (field.number === 2) literal = field.bytes;
      }
      variables.set(name, literal);
    }
  }
  return variables;
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++;
  return length;
}

/** An encoded literal that is the list of the given encoded literals. */
export function rawCollection(literals: readonly Uint8Array[]): Uint8Array {
  let inner = 0;
  for (const literal of literals) inner += 1 + varintLength(literal.length) + literal.length;
  const bytes = new Uint8Array(1 + varintLength(inner) + inner);
  let at = 0;
  const varint = (value: number): void => {
    let rest = value;
    for (; rest >= 128; rest = Math.floor(rest / 128)) bytes[at++] = (rest % 128) | 128;
    bytes[at++] = rest;
  };
  bytes[at++] = (2 << 3) | 2; // Literal.collection
  varint(inner);
  for (const literal of literals) {
    bytes[at++] = (1 << 3) | 2; // LiteralCollection.literals
    varint(literal.length);
    bytes.set(literal, at);
    at += literal.length;
  }
  return bytes;
}
