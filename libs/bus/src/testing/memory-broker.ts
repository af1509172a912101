import type { Envelope } from '@aloft/idl/aloft/v1/bus';
import type { Transaction } from '@aloft/database';
import { streamName } from '../batch.js';
import { encodeMessage } from '../envelope.js';
import type { OutgoingMessage, Stream } from '../port.js';
import type { MemoryReader } from './memory-reader.js';

/** A transaction in memory, whose effects on the broker are part of its commit. */
export interface AtomicTransaction extends Transaction {
  /** Done if and only if it commits, whatever becomes of whoever committed. */
  atomically(effect: () => void): void;
}

export interface MemoryBrokerOptions {
  /** Partitions of every topic (default 1). */
  partitions?: number;
  /** Called with what each commit appended, in order of commit. */
  appended?(messages: readonly OutgoingMessage[]): void;
}

/** What all buses of one installation share: streams whose messages stay for ever. */
export class MemoryBroker {
  readonly partitions: number;
  private readonly streams = new Map<string, Envelope[]>();
  private readonly readers = new Map<string, Set<MemoryReader>>();

  constructor(private readonly options: MemoryBrokerOptions = {}) {
    this.partitions = options.partitions ?? 1;
  }

  streamOf({ topic, envelope }: OutgoingMessage): Stream {
    return { topic, partition: envelope.shard % this.partitions };
  }

  messages(stream: Stream): readonly Envelope[] {
    return this.streams.get(streamName(stream)) ?? [];
  }

  head(stream: Stream): bigint {
    return BigInt(this.messages(stream).length);
  }

  /** Part of the transaction's commit where it is one in memory, else right behind it. */
  publish(tx: Transaction | AtomicTransaction, messages: readonly OutgoingMessage[], by: unknown): void {
    for (const message of messages) encodeMessage(message);
    const effect = () => this.append(messages, by);
    if ('atomically' in tx) tx.atomically(effect);
    else tx.afterCommit(effect);
  }

  /** Assigns positions; `by` is the bus whose readers hear of it at once. */
  append(messages: readonly OutgoingMessage[], by: unknown): void {
    const touched = new Map<string, Stream>();
    for (const message of messages) {
      const stream = this.streamOf(message);
      const name = streamName(stream);
      const list = this.streams.get(name);
      if (list) list.push(message.envelope);
      else this.streams.set(name, [message.envelope]);
      touched.set(name, stream);
    }
    this.options.appended?.(messages);
    for (const [name, stream] of touched)
      for (const reader of this.readers.get(name) ?? []) reader.appended(this.head(stream), by);
  }

  readersOf(stream: Stream): ReadonlySet<MemoryReader> {
    return this.readers.get(streamName(stream)) ?? new Set();
  }

  register(reader: MemoryReader): void {
    const name = streamName(reader.stream);
    const readers = this.readers.get(name) ?? new Set();
    readers.add(reader);
    this.readers.set(name, readers);
  }

  forget(reader: MemoryReader): void {
    this.readers.get(streamName(reader.stream))?.delete(reader);
  }
}
