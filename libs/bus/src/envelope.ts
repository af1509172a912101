import { failedPrecondition, invalidArgument, resourceExhausted } from '@aloft/errors';
import { Envelope } from '@aloft/idl/aloft/v1/bus';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { maxMessageBytes, type OutgoingMessage } from './port.js';

/** Shards of the installation, fixed for ever. Partitions are a setting that maps shards, never the other way round. */
export const shardCount = 1024;

/** Newest envelope schema that this build reads, for types without an entry of their own. */
export const readerVersion = 1;

/** Ordering key of an execution: `org/project/domain/name`. */
export function executionKey(id: Pick<WorkflowExecutionIdentifier, 'org' | 'project' | 'domain' | 'name'>): string {
  return `${id.org}/${id.project}/${id.domain}/${id.name}`;
}

/** Shard of a key, 0…1023: FNV-1a (32 bits, over UTF-8) modulo 1024. Stored in every message: never changes. */
export function shardOf(key: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(key, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 0) % shardCount;
}

export interface EnvelopeInput {
  /** Unique; derived from its cause wherever there is one, so that a repeat is recognisable. */
  id: string;
  /** Full protobuf name of the payload, e.g. `aloft.v1.TaskReport`. */
  type: string;
  /** The encoded payload. */
  payload: Uint8Array;
  /** Ordering key; default: the execution's. */
  key?: string;
  execution?: WorkflowExecutionIdentifier;
  executionUid?: string;
  traceparent?: string;
  tracestate?: string;
  principal?: string;
  generation?: number;
  /** Default: now. */
  time?: Date;
  /** Default 1 each. */
  schemaVersion?: number;
  minReaderVersion?: number;
}

/** Builds an envelope; the shard is the execution's, else the key's. INVALID_ARGUMENT names what is missing. */
export function envelope(input: EnvelopeInput): Envelope {
  const key = input.key ?? (input.execution && executionKey(input.execution));
  const built: Envelope = {
    id: input.id,
    type: input.type,
    schemaVersion: input.schemaVersion ?? 1,
    minReaderVersion: input.minReaderVersion ?? 1,
    key: key ?? '',
    execution: input.execution,
    executionUid: input.executionUid ?? '',
    shard: shardOf(input.execution ? executionKey(input.execution) : (key ?? '')),
    traceparent: input.traceparent ?? '',
    tracestate: input.tracestate ?? '',
    principal: input.principal ?? '',
    generation: input.generation ?? 0,
    time: timestamp(input.time ?? new Date()),
    payload: Buffer.from(input.payload.buffer, input.payload.byteOffset, input.payload.byteLength),
  };
  checkEnvelope(built);
  return built;
}

function timestamp(date: Date): { seconds: bigint; nanos: number } {
  const ms = date.getTime();
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1_000_000 };
}

function checkEnvelope(message: Envelope): void {
  for (const field of ['id', 'type', 'key'] as const)
    if (message[field] === '')
      throw invalidArgument(
        `a bus message needs envelope.${field} (id "${message.id}", type "${message.type}", key "${message.key}")`,
      );
  if (!(message.shard >= 0 && message.shard < shardCount))
    throw invalidArgument(`message ${message.id}: envelope.shard is ${message.shard}, must be 0…${shardCount - 1}`);
}

function checkComplete({ topic, envelope: message }: OutgoingMessage): void {
  if (topic === '') throw invalidArgument(`message ${message.id} has no topic`);
  checkEnvelope(message);
}

/** A message's bytes. INVALID_ARGUMENT: not complete; RESOURCE_EXHAUSTED: larger than {@link maxMessageBytes}. */
export function encodeMessage(outgoing: OutgoingMessage): Uint8Array {
  checkComplete(outgoing);
  const { topic, envelope: message } = outgoing;
  const bytes = Envelope.encode(message).finish();
  if (bytes.length > maxMessageBytes)
    throw resourceExhausted(
      `message ${message.id} (${message.type}) for ${topic} has ${bytes.length} bytes, at most ${maxMessageBytes} are ` +
        `allowed: put values over 32 KiB into blob storage and send their reference`,
    );
  return bytes;
}

/** Refuses what {@link encodeMessage} would; only a message that may be too large is encoded to be sure. */
export function checkMessage(message: OutgoingMessage): void {
  const { payload, id, key } = message.envelope;
  if (payload.length + id.length + key.length > maxMessageBytes / 2) encodeMessage(message);
  else checkComplete(message);
}

/** Versions of payload schemas that a consumer understands, by type; {@link readerVersion} for those not named. */
export type ReaderVersions = Readonly<Record<string, number>>;

/** Why this reader may not read the message: it is too old for it. It stops then; skipping would lose a fact. */
export function tooNew(message: Envelope, where: string, versions: ReaderVersions): Error | undefined {
  const known = versions[message.type] ?? readerVersion;
  if (message.minReaderVersion <= known) return undefined;
  return failedPrecondition(
    `${where}: message ${message.id} (${message.type}, schema ${message.schemaVersion}) may be read from reader version ` +
      `${message.minReaderVersion} on, this one is ${known}: it stops here, start a newer build to go on`,
  );
}
