import type { Database, Transaction } from '@aloft/database';
import { failedPrecondition, unavailable, type AloftError } from '@aloft/errors';
import { createLogger, type Logger } from '@aloft/telemetry';
import { Backoff } from '../backoff.js';
import { append, encodeAll, encodeInTurns, streamName, type Encoded } from '../batch.js';
import { startConsumer } from '../consumer/consumer.js';
import { maxMessageBytes, type Bus, type Consumer, type ConsumerOptions, type OutgoingMessage } from '../port.js';
import type { ReadOptions, Stream, StreamReader } from '../port.js';
import { Wake } from '../wake.js';
import { Cluster, parseAddress } from './client/cluster.js';
import { explain } from './client/explain.js';
import { endOffsets } from './client/offsets.js';
import { securityOf } from './client/security.js';
import { Fetcher } from './fetcher.js';
import { toRecord } from './headers.js';
import type { KafkaBusOptions } from './options.js';
import { outboxStatement, relayGroup } from './outbox/outbox.js';
import { Relay } from './outbox/relay.js';
import { Producer } from './producer.js';
import { ProgressMirror } from './progress-mirror.js';
import { KafkaReader } from './reader.js';
import { prepareTopics } from './topics.js';

const dayMs = 86_400_000;
/** Below the smallest `max.message.bytes` that `start` accepts. */
const maxBatchBytes = maxMessageBytes;

/**
 * The bus over Apache Kafka. What is published lies in an outbox of the publisher's own schema until a relay has brought it to
 * Kafka; who consumes what is decided by leases in the consumer's schema, where the positions are too. Call `start` before
 * anything else.
 */
export function createKafkaBus(options: KafkaBusOptions): KafkaBus {
  return new KafkaBus(options);
}

interface Watched {
  wake: Wake;
  watchers: Set<(group: string) => void>;
}

export class KafkaBus implements Bus {
  readonly #log: Logger;
  readonly #partitions: number;
  readonly #cluster: Cluster;
  readonly #producer: Producer;
  readonly #fetcher: Fetcher;
  readonly #mirror: ProgressMirror;
  readonly #relay: Relay | undefined;
  /** One LISTEN connection for each schema that this process consumes or publishes in. */
  readonly #wakes = new Map<string, Watched>();
  readonly #readers = new Set<KafkaReader>();
  readonly #consumers = new Set<Consumer>();
  readonly #publishing = new WeakMap<Transaction, Encoded[]>();
  #closed: Promise<void> | undefined;

  constructor(readonly options: KafkaBusOptions) {
    this.#log = options.logger ?? createLogger('bus', { level: 'warn' });
    this.#partitions = options.partitions ?? 8;
    if (options.brokers.length === 0)
      throw failedPrecondition('bus.kafka.brokers is empty: name at least one host:port');
    for (const broker of options.brokers) {
      const { host, port } = parseAddress(broker);
      if (host === '' || !(port > 0 && port < 65536))
        throw failedPrecondition(`bus.kafka.brokers: "${broker}" must be host:port`);
    }
    this.#cluster = new Cluster({
      brokers: options.brokers,
      topicPrefix: options.topicPrefix ?? '',
      clientId: options.clientId ?? 'aloft',
      log: this.#log,
      ...securityOf(options.tls, options.sasl),
    });
    this.#producer = new Producer(this.#cluster, maxBatchBytes);
    this.#fetcher = new Fetcher(this.#cluster);
    this.#mirror = new ProgressMirror(this.#cluster);
    if (options.database) {
      const { wake } = this.#watch(options.database);
      this.#relay = new Relay({ database: options.database, producer: this.#producer, wake, log: this.#log });
    }
    this.#measure();
  }

  // ---- start and health ----

  /**
   * Connects, makes the topics that are missing and checks all of them; begins to relay what the outbox holds. Waits for
   * brokers that are starting; rejects with what is wrong and how to mend it.
   */
  async start(): Promise<void> {
    this.#checkOpen();
    const { options } = this;
    const timeoutMs = options.startTimeoutMs ?? 30_000;
    const backoff = new Backoff(100, 2_000);
    for (const until = Date.now() + timeoutMs; ;) {
      try {
        await prepareTopics(this.#cluster, options.topics, {
          partitions: this.#partitions,
          replicationFactor: options.replicationFactor ?? 3,
          minInSyncReplicas: options.minInSyncReplicas ?? 2,
          retentionMs: options.retentionMs ?? 7 * dayMs,
          createTopics: options.createTopics ?? true,
        });
        if (options.topics.length === 0) await this.#cluster.refresh();
        break;
      } catch (thrown) {
        // What kafkajs throws when a connection is lost in the middle is no AloftError.
        const error = explain(thrown, parseAddress(options.brokers[0]!), this.#cluster.options);
        if (error.code !== 'UNAVAILABLE' || Date.now() >= until) throw this.#atStart(error, timeoutMs);
        this.#log.info({ reason: error.message, brokers: options.brokers }, 'waiting for Kafka');
        await backoff.wait();
        this.#checkOpen();
      }
    }
    this.#relay?.start();
  }

  #atStart(error: AloftError, timeoutMs: number): AloftError {
    if (error.code !== 'UNAVAILABLE') return error;
    const brokers = this.options.brokers.join(', ');
    return unavailable(`no Kafka broker of ${brokers} could be used within ${timeoutMs} ms: ${error.message}`, {
      cause: error,
    });
  }

  /** For `/readyz`: throws when Kafka can't be reached, or what was published does not get there. */
  async check(): Promise<void> {
    this.#checkOpen();
    const late = new Promise<never>((_resolve, reject) => {
      setTimeout(() => reject(this.#cluster.problem ?? unavailable('Kafka does not answer')), 1_500).unref();
    });
    late.catch(() => undefined);
    await Promise.race([this.#cluster.refresh(), late]);
    const problem = this.#relay?.problem;
    if (problem) throw problem;
  }

  partitions(_topic: string): number {
    return this.#partitions;
  }

  // ---- publishing ----

  // Encoding fails here, not at the commit: whoever made the message sees it.
  async publish(tx: Transaction, messages: readonly OutgoingMessage[]): Promise<void> {
    this.#checkOpen();
    const relay = this.#relay;
    if (!relay)
      throw failedPrecondition(
        'this bus was made without a database: it has no outbox, and can only deliver and consume',
      );
    if (messages.length === 0) return;
    const encoded = await encodeInTurns(messages, () => this.#partitions);
    const waiting = this.#publishing.get(tx);
    if (waiting) {
      for (const message of encoded) waiting.push(message);
      return;
    }
    this.#publishing.set(tx, encoded);
    tx.withCommit(() => append(outboxStatement, encoded, (published) => relay.handOver(published)));
  }

  async deliver(messages: readonly OutgoingMessage[]): Promise<void> {
    this.#checkOpen();
    const byStream = new Map<string, Encoded[]>();
    for (const encoded of encodeAll(messages, () => this.#partitions)) {
      const name = streamName(encoded.stream);
      const list = byStream.get(name);
      if (list) list.push(encoded);
      else byStream.set(name, [encoded]);
    }
    const timeoutMs = this.options.deliverTimeoutMs ?? 30_000;
    await Promise.all(
      [...byStream.values()].map((list) =>
        this.#producer.send(
          list[0]!.stream,
          list.map(({ envelope, bytes }) => toRecord(envelope, bytes, undefined)),
          timeoutMs,
        ),
      ),
    );
  }

  // ---- reading ----

  read(stream: Stream, after: bigint, options: ReadOptions = {}): StreamReader {
    this.#checkOpen();
    if (stream.partition < 0 || stream.partition >= this.#partitions)
      throw failedPrecondition(
        `topic ${stream.topic} has partitions 0…${this.#partitions - 1}, not ${stream.partition}`,
      );
    const reader = new KafkaReader(
      stream,
      after,
      {
        log: this.#log,
        versions: this.options.readerVersions ?? {},
        changed: () => this.#fetcher.schedule(),
        closed: (closed) => {
          this.#readers.delete(closed);
          this.#fetcher.remove(closed);
        },
      },
      options,
    );
    this.#readers.add(reader);
    this.#fetcher.add(reader);
    return reader;
  }

  /** Of this service's own messages, those of commits that ended before the call are counted too: it waits until they are there. */
  async heads(streams: readonly Stream[]): Promise<bigint[]> {
    this.#checkOpen();
    if (streams.length === 0) return [];
    await this.#relay?.flushed(streams);
    return endOffsets(this.#cluster, streams);
  }

  /** Shown as the offsets of the Kafka group `aloft.<group>` within some seconds. Never rejects: nothing depends on them. */
  async keep(group: string, positions: readonly { stream: Stream; position: bigint }[]): Promise<void> {
    this.#mirror.keep(group, positions);
  }

  /** Shows the positions that were kept now. */
  flushPositions(): Promise<void> {
    return this.#mirror.flush();
  }

  // ---- consuming ----

  consume(options: ConsumerOptions): Consumer {
    this.#checkOpen();
    const { wake, watchers } = this.#watch(options.database);
    if (options.mode === 'leased') wake.start();
    const consumer = startConsumer(options, this, {
      log: this.#log,
      onReleased: (watcher) => {
        watchers.add(watcher);
        return () => watchers.delete(watcher);
      },
      announceRelease: async (group) => {
        // Others in this process have no ears for our own voice.
        for (const watcher of watchers) watcher(group);
        await wake.released(group);
      },
    });
    this.#consumers.add(consumer);
    return {
      caughtUp: () => consumer.caughtUp(),
      status: () => consumer.status(),
      release: (key) => consumer.release(key),
      close: async () => {
        await consumer.close();
        this.#consumers.delete(consumer);
      },
    };
  }

  #watch(database: Database): Watched {
    const name = `${database.url} ${database.schema}`;
    let watched = this.#wakes.get(name);
    if (!watched) {
      const watchers = new Set<(group: string) => void>();
      const isOutbox = database === this.options.database;
      const wake = new Wake(
        { url: database.url, channel: `aloft_bus_${database.schema}` },
        {
          heads: (heads) => this.#relay?.announced(heads),
          missed: () => {
            if (isOutbox) this.#relay?.missed();
          },
          released: (group) => {
            if (group === relayGroup) this.#relay?.released();
            for (const watcher of watchers) watcher(group);
          },
        },
        this.#log,
      );
      watched = { wake, watchers };
      this.#wakes.set(name, watched);
    }
    return watched;
  }

  // ---- measuring ----

  #measure(): void {
    const { metrics } = this.options;
    metrics?.gauge({
      name: 'aloft_bus_outbox_messages',
      help: 'Published messages that Kafka does not have yet, in the streams this process relays.',
      labels: ['topic'],
      collect: (gauge) => {
        gauge.reset();
        for (const [topic, count] of this.#relay?.backlog() ?? []) gauge.set({ topic }, count);
      },
    });
  }

  // ---- the end ----

  #checkOpen(): void {
    if (this.#closed) throw unavailable('the bus is closed');
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    await Promise.all([...this.#readers].map((reader) => reader.close()));
    await this.#relay?.close();
    await this.#mirror.close();
    this.#fetcher.close();
    this.#producer.close();
    await Promise.all([...this.#wakes.values()].map(({ wake }) => wake.close()));
    this.#cluster.close();
  }
}
