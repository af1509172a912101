import { setImmediate as nextTurn } from 'node:timers/promises';
import type { CommitStatement, Statement } from '@aloft/database';
import { internal } from '@aloft/errors';
import { Envelope } from '@aloft/idl/aloft/v1/bus';
import { encodeMessage } from './envelope.js';
import type { OutgoingMessage, Stream } from './port.js';

const maxRowMessages = 256;
const maxRowBytes = 256 * 1024;
/** Messages encoded before the event loop gets its turn. */
const encodedAtOnce = 16_384;

/** What one transaction publishes, in order of publishing. */
export interface Encoded {
  stream: Stream;
  envelope: Envelope;
  bytes: Uint8Array;
}

/** One stream's part of it, after its positions were assigned. */
export interface Published {
  stream: Stream;
  first: bigint;
  envelopes: Envelope[];
  encoded: readonly Encoded[];
  /** What else the statement returned (the last column, `at`, of the outbox's). */
  row: Readonly<Record<string, unknown>>;
}

export const streamName = ({ topic, partition }: Stream): string => `${topic}/${partition}`;

export function encodeAll(messages: readonly OutgoingMessage[], partitions: (topic: string) => number): Encoded[] {
  return messages.map((message) => ({
    stream: { topic: message.topic, partition: message.envelope.shard % partitions(message.topic) },
    envelope: message.envelope,
    bytes: encodeMessage(message),
  }));
}

/** As {@link encodeAll}; where they are many, other work gets its turns. */
export async function encodeInTurns(
  messages: readonly OutgoingMessage[],
  partitions: (topic: string) => number,
): Promise<Encoded[]> {
  const encoded = encodeAll(messages.slice(0, encodedAtOnce), partitions);
  for (let from = encodedAtOnce; from < messages.length; from += encodedAtOnce) {
    await nextTurn();
    for (const message of encodeAll(messages.slice(from, from + encodedAtOnce), partitions)) encoded.push(message);
  }
  return encoded;
}

/**
 * The statement that appends messages to their streams in a commit. It holds the streams' locks until that is over.
 * `statement` takes seven arrays (see `bus.publish`) and returns one row with the streams' new `heads`.
 */
export function append(
  statement: Statement,
  messages: readonly Encoded[],
  published: (parts: readonly Published[]) => void,
): CommitStatement {
  const byName = new Map<string, Encoded[]>();
  for (const message of messages) {
    const name = streamName(message.stream);
    const list = byName.get(name);
    if (list) list.push(message);
    else byName.set(name, [message]);
  }
  const streams = [...byName.keys()].sort().map((name) => byName.get(name)!);
  const rows = streams.flatMap((list, i) => rowsOf(list, i + 1));
  return {
    sql: statement,
    values: [
      streams.map((list) => list[0]!.stream.topic),
      streams.map((list) => list[0]!.stream.partition),
      streams.map((list) => list.length),
      rows.map((row) => row.stream),
      rows.map((row) => row.count),
      rows.map((row) => row.size),
      packed(rows),
    ],
    committed: (result) => {
      // A connection with pg's own parsers (TypeORM's) gives int8 as text.
      const row = result.rows[0] as { heads: (bigint | string)[] };
      const { heads } = row;
      published(
        streams.map((list, i) => ({
          stream: list[0]!.stream,
          first: BigInt(heads[i]!) - BigInt(list.length) + 1n,
          envelopes: list.map((message) => message.envelope),
          encoded: list,
          row,
        })),
      );
    },
  };
}

/** Messages of one row: each with its length (4 bytes, little-endian) before it. */
interface Row {
  /** From 1. */
  stream: number;
  count: number;
  /** Bytes. */
  size: number;
  messages: readonly Encoded[];
}

function rowsOf(messages: readonly Encoded[], stream: number): Row[] {
  const rows: Row[] = [];
  for (let from = 0; from < messages.length;) {
    let size = 0;
    let to = from;
    while (to < messages.length && to - from < maxRowMessages) {
      const more = 4 + messages[to]!.bytes.length;
      if (to > from && size + more > maxRowBytes) break;
      size += more;
      to++;
    }
    rows.push({ stream, count: to - from, size, messages: messages.slice(from, to) });
    from = to;
  }
  return rows;
}

/** All rows one behind the other, written once: a large commit is tens of megabytes otherwise, mostly copies. */
function packed(rows: readonly Row[]): Buffer {
  const data = Buffer.allocUnsafe(rows.reduce((total, { size }) => total + size, 0));
  let at = 0;
  for (const { messages } of rows)
    for (const { bytes } of messages) {
      at = data.writeUInt32LE(bytes.length, at);
      data.set(bytes, at);
      at += bytes.length;
    }
  return data;
}

/** The messages' bytes in a row, without the first `skip`. */
export function splitRow(data: Buffer, skip: number): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0, i = 0; at < data.length; i++) {
    const length = data.readUInt32LE(at);
    const end = at + 4 + length;
    if (end > data.length) throw internal(`a row of messages is cut off at byte ${at} of ${data.length}`);
    if (i >= skip) parts.push(data.subarray(at + 4, end));
    at = end;
  }
  return parts;
}

/** The envelopes of a row, without the first `skip`. */
export const unpackRow = (data: Buffer, skip: number): Envelope[] =>
  splitRow(data, skip).map((bytes) => Envelope.decode(bytes));
