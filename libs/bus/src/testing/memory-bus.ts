import type { Transaction } from '@aloft/database';
import { failedPrecondition, unavailable } from '@aloft/errors';
import { createLogger, type Logger } from '@aloft/telemetry';
import { startConsumer } from '../consumer/consumer.js';
import { encodeMessage } from '../envelope.js';
import type { Bus, Consumer, ConsumerOptions, OutgoingMessage, ReadOptions, Stream, StreamReader } from '../port.js';
import type { MemoryBroker } from './memory-broker.js';
import { MemoryReader } from './memory-reader.js';

export interface MemoryBusOptions {
  /**
   * Does `work` after a while: news of what was published, storing what was delivered. Default: in the next turn, and what this
   * very bus published is known at once.
   */
  later?(work: () => void): void;
  logger?: Logger;
}

const watchers = new WeakMap<MemoryBroker, Set<(group: string) => void>>();

/**
 * The bus of one process on a {@link MemoryBroker}, for tests: the contract's promises without a database. Consumers keep positions and
 * leases where their own database is.
 */
export class MemoryBus implements Bus {
  private readonly later: (work: () => void) => void;
  private readonly readers = new Set<MemoryReader>();
  private readonly consumers = new Set<Consumer>();
  private readonly log: Logger;
  /** Whose readers hear at once of what is published here. */
  private readonly voice: unknown;
  private closed = false;

  constructor(
    private readonly broker: MemoryBroker,
    options: MemoryBusOptions = {},
  ) {
    this.voice = options.later ? undefined : this;
    this.later = options.later ?? ((work) => void setImmediate(work));
    this.log = options.logger ?? createLogger('bus', { level: 'silent' });
  }

  partitions(): number {
    return this.broker.partitions;
  }

  async publish(tx: Transaction, messages: readonly OutgoingMessage[]): Promise<void> {
    this.checkOpen();
    this.broker.publish(tx, messages, this.voice);
  }

  async deliver(messages: readonly OutgoingMessage[]): Promise<void> {
    this.checkOpen();
    const byStream = new Map<string, OutgoingMessage[]>();
    for (const message of messages) {
      encodeMessage(message);
      const { topic, partition } = this.broker.streamOf(message);
      const name = `${topic}/${partition}`;
      byStream.set(name, [...(byStream.get(name) ?? []), message]);
    }
    await Promise.all([...byStream.values()].map((list) => this.deliverTo(list)));
  }

  read(stream: Stream, after: bigint, options: ReadOptions = {}): StreamReader {
    this.checkOpen();
    if (stream.partition < 0 || stream.partition >= this.broker.partitions)
      throw failedPrecondition(
        `topic ${stream.topic} has ${this.broker.partitions} partitions, not ${stream.partition}`,
      );
    const around = {
      broker: this.broker,
      bus: this,
      later: this.later,
      redeliver: (messages: readonly OutgoingMessage[]) => this.deliverTo(messages),
    };
    const reader = new MemoryReader(stream, after, around, options);
    this.readers.add(reader);
    return reader;
  }

  async keep(): Promise<void> {
    // Nothing is ever trimmed.
  }

  async heads(streams: readonly Stream[]): Promise<bigint[]> {
    await new Promise<void>((resolve) => this.later(resolve));
    return streams.map((stream) => this.broker.head(stream));
  }

  consume(options: ConsumerOptions): Consumer {
    this.checkOpen();
    const everybody = watchers.get(this.broker) ?? new Set();
    watchers.set(this.broker, everybody);
    const consumer = startConsumer(options, this, {
      log: this.log,
      onReleased: (watcher) => {
        everybody.add(watcher);
        return () => everybody.delete(watcher);
      },
      announceRelease: async (group) => {
        for (const watcher of everybody) this.later(() => watcher(group));
      },
    });
    this.consumers.add(consumer);
    return consumer;
  }

  /** Ends as its process does: nobody hears of it. */
  vanish(): void {
    this.closed = true;
    for (const reader of this.readers) this.broker.forget(reader);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await Promise.all([...this.consumers].map((consumer) => consumer.close()));
    await Promise.all([...this.readers].map((reader) => reader.close()));
  }

  private deliverTo(messages: readonly OutgoingMessage[]): Promise<void> {
    return new Promise((resolve, reject) => {
      for (const reader of this.broker.readersOf(this.broker.streamOf(messages[0]!)))
        if (reader.belongsTo(this) && reader.accept(messages, resolve, reject)) return;
      this.later(() => {
        this.broker.append(messages, this.voice);
        resolve();
      });
    });
  }

  private checkOpen(): void {
    if (this.closed) throw unavailable('the bus is closed');
  }
}
