import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { ProtoStream } from './proto-stream.js';

/** A variable of an encoded LiteralMap: its name, and the bytes of its literal. */
export interface VariableSize {
  name: string;
  bytes: number;
}

export interface ScannedLiterals {
  /** The one that was asked for, unless it is missing or larger than allowed. */
  literal: Literal | undefined;
  /** Of all variables up to that one; of all where none was asked for or it is missing. */
  variables: VariableSize[];
}

const lengthDelimited = 2;
const longestName = 64 * 1024;
const mostVariables = 10_000;

/**
 * Goes through an encoded LiteralMap without holding it: at most one literal of `maxBytes` is in memory, the one that is wanted.
 * DATA_LOSS if the stream is none.
 */
export async function scanLiterals(
  stream: AsyncIterable<Uint8Array>,
  { wanted, maxBytes }: { wanted: string | undefined; maxBytes: number },
): Promise<ScannedLiterals> {
  const reader = new ProtoStream(stream);
  const variables: VariableSize[] = [];
  try {
    while ((await reader.more()) && variables.length < mostVariables) {
      const tag = await reader.varint();
      if (tag !== tagOf(1)) {
        await reader.skipField(tag & 7);
        continue;
      }
      const entry = await readEntry(reader, wanted, maxBytes);
      variables.push({ name: entry.name, bytes: entry.bytes });
      if (wanted === undefined || entry.name !== wanted) continue;
      const literal = entry.value && Literal.decode(entry.value);
      return { literal, variables };
    }
    return { literal: undefined, variables };
  } finally {
    await reader.close();
  }
}

const tagOf = (field: number): number => (field << 3) | lengthDelimited;

/** One entry of the map: name (field 1), literal (field 2); the literal's bytes where they are wanted, or may be. */
async function readEntry(reader: ProtoStream, wanted: string | undefined, maxBytes: number) {
  const end = (await reader.varint()) + reader.position;
  let name: string | undefined;
  let value: Buffer | undefined;
  let bytes = 0;
  while (reader.position < end) {
    const tag = await reader.varint();
    if (tag === tagOf(1)) {
      const length = await reader.varint();
      name = (await reader.take(Math.min(length, longestName))).toString();
      await reader.skip(Math.max(0, length - longestName));
    } else if (tag === tagOf(2)) {
      bytes = await reader.varint();
      const held = wanted !== undefined && (name ?? wanted) === wanted && bytes <= maxBytes;
      if (held) value = await reader.take(bytes);
      else await reader.skip(bytes);
    } else await reader.skipField(tag & 7);
  }
  return { name: name ?? '', value, bytes };
}
