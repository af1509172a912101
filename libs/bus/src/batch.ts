import type { CommitStatement, Statement } from '@aloft/database';
import { internal } from '@aloft/errors';
import { Envelope } from '@aloft/idl/aloft/v1/bus';
import { encodeMessage } from './envelope.js';
import type { OutgoingMessage, Stream } from './port.js';

const maxRowMessages = 256;
const maxRowBytes = 256 * 1024;

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
  const rows = streams.flatMap((list, i) => packRows(list).map((row) => ({ ...row, stream: i + 1 })));
  return {
    sql: statement,
    values: [
      streams.map((list) => list[0]!.stream.topic),
      streams.map((list) => list[0]!.stream.partition),
      streams.map((list) => list.length),
      rows.map((row) => row.stream),
      rows.map((row) => row.count),
      rows.map((row) => row.data.length),
      rows.length === 1 ? rows[0]!.data : Buffer.concat(rows.map((row) => row.data)),
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

function packRows(messages: readonly Encoded[]): { count: number; data: Buffer }[] {
  const rows: { count: number; data: Buffer }[] = [];
  for (let from = 0; from < messages.length;) {
    let size = 0;
    let to = from;
    while (to < messages.length && to - from < maxRowMessages) {
      const more = 4 + messages[to]!.bytes.length;
      if (to > from && size + more > maxRowBytes) break;
      size += more;
      to++;
    }
    const data = Buffer.allocUnsafe(size);
    let at = 0;
    for (const { bytes } of messages.slice(from, to)) {
      at = data.writeUInt32LE(bytes.length, at);
      data.set(bytes, at);
      at += bytes.length;
    }
    rows.push({ count: to - from, data });
    from = to;
  }
  return rows;
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
