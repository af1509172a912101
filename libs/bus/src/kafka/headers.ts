import type { Envelope } from '@aloft/idl/aloft/v1/bus';
import { AloftError } from '@aloft/errors';
import type { FetchedRecord, OutgoingRecord } from './client/kafkajs.js';

/** Where a record comes from: the publisher's outbox, its number in that outbox's stream, and when it was published. */
export interface Origin {
  source: string;
  sequence: bigint;
  /** Milliseconds of the publisher's database; never falls as sequences rise. */
  at: number;
}

/** A message as a record: its envelope's bytes, with what others want to see of it as headers. */
export function toRecord(message: Envelope, bytes: Uint8Array, origin: Origin | undefined): OutgoingRecord {
  const headers: Record<string, string> = { 'aloft-type': message.type };
  if (message.traceparent !== '') headers.traceparent = message.traceparent;
  if (message.tracestate !== '') headers.tracestate = message.tracestate;
  if (origin) {
    headers['aloft-source'] = origin.source;
    headers['aloft-sequence'] = String(origin.sequence);
    headers['aloft-at'] = String(origin.at);
  }
  return {
    key: message.key,
    value: Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    headers,
  };
}

/** `undefined`: delivered without an outbox. */
export function originOf({ headers }: FetchedRecord, where: string): Origin | undefined {
  const source = headers['aloft-source'];
  if (source === undefined) return undefined;
  const sequence = text(headers['aloft-sequence']);
  const at = text(headers['aloft-at']);
  if (!/^\d+$/.test(sequence) || !/^\d+$/.test(at))
    throw new AloftError(
      'DATA_LOSS',
      `${where}: headers aloft-sequence "${sequence}", aloft-at "${at}" are no numbers`,
    );
  return { source: text(source), sequence: BigInt(sequence), at: Number(at) };
}

const text = (value: Buffer | Buffer[] | undefined): string =>
  value === undefined ? '' : (Array.isArray(value) ? value[0]! : value).toString();
