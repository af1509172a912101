import type { Database, Statement, Transaction } from '@aloft/database';
import { failedPrecondition, toAloftError, unavailable } from '@aloft/errors';
import { createLogger, type Logger } from '@aloft/telemetry';
import { startConsumer } from '../consumer/consumer.js';
import { checkMessage, type ReaderVersions } from '../envelope.js';
import type { Bus, Consumer, ConsumerOptions, OutgoingMessage, ReadOptions, Stream, StreamReader } from '../port.js';
import { append, encodeAll, encodeInTurns, streamName, type Encoded, type Published } from '../batch.js';
import { PostgresReader } from './reader.js';
import { Trimmer, type Retention } from './trimmer.js';
import { Wake, type Head } from '../wake.js';

export interface PostgresBusOptions {
  /** On schema `bus`, in the database that its publishers' schemas are in too; a pool of 4 does. Not closed by the bus. */
  database: Database;
  /**
   * Partitions of each topic: one number for all, or by topic (default 1). Fixed when the installation is made: another
   * number would send a key's messages to another stream.
   */
  partitions?: number | ((topic: string) => number);
  /** Schema versions that this process' readers understand, by message type (default 1). */
  readerVersions?: ReaderVersions;
  retention?: Partial<Retention>;
  /**
   * How often readers look for what nobody told them of (default 3,000 ms): a process that is killed between its COMMIT
   * and its NOTIFY leaves messages that are announced by nothing else. One query for all readers, no write.
   */
  recheckMs?: number;
  logger?: Logger;
}

const publishStatement: Statement = {
  name: 'aloft_bus_publish',
  text: 'SELECT bus.publish($1, $2, $3, $4, $5, $6, $7) AS heads',
};

/** The bus over Postgres: tables in the schema `bus`, in-memory hand-over within the process, NOTIFY between processes. */
export function createPostgresBus(options: PostgresBusOptions): PostgresBus {
  return new PostgresBus(options);
}

export class PostgresBus implements Bus {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #partitions: (topic: string) => number;
  readonly #versions: ReaderVersions;
  readonly #wake: Wake;
  readonly #trimmer: Trimmer;
  readonly #recheckMs: number;
  readonly #readers = new Map<string, Set<PostgresReader>>();
  readonly #consumers = new Set<Consumer>();
  readonly #leaseWatchers = new Set<(group: string) => void>();
  readonly #publishing = new WeakMap<Transaction, Encoded[]>();
  #stored: { messages: Encoded[]; resolve(): void; reject(error: unknown): void }[] = [];
  #storing: Promise<void> | undefined;
  #recheck: NodeJS.Timeout | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: PostgresBusOptions) {
    if (options.database.schema !== 'bus')
      throw failedPrecondition(`the bus's database must be opened on schema "bus", not "${options.database.schema}"`);
    const { partitions = 1 } = options;
    this.#database = options.database;
    this.#log = options.logger ?? createLogger('bus', { level: 'warn' });
    this.#partitions = typeof partitions === 'number' ? () => partitions : partitions;
    this.#versions = options.readerVersions ?? {};
    this.#recheckMs = options.recheckMs ?? 3_000;
    this.#trimmer = new Trimmer(
      options.database,
      { ms: 300_000, bytes: 64 * 1024 * 1024, ...options.retention },
      this.#log,
    );
    this.#wake = new Wake(
      { url: options.database.url, channel: 'aloft_bus' },
      {
        heads: (heads) => this.#announce(heads),
        missed: () => void this.#lookForMissed(),
        released: (group) => {
          for (const watcher of this.#leaseWatchers) watcher(group);
        },
      },
      this.#log,
    );
  }

  partitions(topic: string): number {
    return this.#partitions(topic);
  }

  // ---- publishing ----

  // Encoding fails here, not at the commit: whoever made the message sees it.
  async publish(tx: Transaction, messages: readonly OutgoingMessage[]): Promise<void> {
    this.#checkOpen();
    if (messages.length === 0) return;
    const encoded = await encodeInTurns(messages, this.#partitions);
    const waiting = this.#publishing.get(tx);
    if (waiting) {
      for (const message of encoded) waiting.push(message);
      return;
    }
    this.#publishing.set(tx, encoded);
    tx.withCommit(() => append(publishStatement, encoded, (published) => this.#handOver(published)));
  }

  #handOver(published: readonly Published[]): void {
    for (const { stream, first, envelopes } of published)
      for (const reader of this.#readers.get(streamName(stream)) ?? []) reader.handOver(first, envelopes);
    this.#wake.announce(
      published.map(({ stream, first, envelopes }) => ({ ...stream, head: first + BigInt(envelopes.length) - 1n })),
    );
  }

  // ---- delivering ----

  async deliver(messages: readonly OutgoingMessage[]): Promise<void> {
    this.#checkOpen();
    const byStream = new Map<string, OutgoingMessage[]>();
    for (const message of messages) {
      checkMessage(message); // Here too, although those handed over in memory need no bytes.
      const name = streamName({
        topic: message.topic,
        partition: message.envelope.shard % this.#partitions(message.topic),
      });
      const list = byStream.get(name);
      if (list) list.push(message);
      else byStream.set(name, [message]);
    }
    await Promise.all([...byStream].map(([name, list]) => this.#deliverTo(name, list)));
  }

  #deliverTo(name: string, messages: readonly OutgoingMessage[]): Promise<void> {
    return new Promise((resolve, reject) => {
      for (const reader of this.#readers.get(name) ?? []) if (reader.accept(messages, resolve, reject)) return;
      this.#store(messages).then(resolve, reject);
    });
  }

  /** Stores delivered messages; those that come while a commit is under way share the next one. */
  #store(messages: readonly OutgoingMessage[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stored.push({ messages: encodeAll(messages, this.#partitions), resolve, reject });
      this.#beginStoring();
    });
  }

  #beginStoring(): void {
    this.#storing ??= this.#storeAll().finally(() => {
      this.#storing = undefined;
      // Something may have been delivered since the loop looked.
      if (this.#stored.length > 0) this.#beginStoring();
    });
  }

  async #storeAll(): Promise<void> {
    while (this.#stored.length > 0) {
      const group = this.#stored.splice(0, 256);
      try {
        const messages = group.flatMap((each) => each.messages);
        await this.#database.transaction(async (tx) =>
          tx.withCommit(() => append(publishStatement, messages, (published) => this.#handOver(published))),
        );
        for (const { resolve } of group) resolve();
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
  }

  // ---- reading ----

  read(stream: Stream, after: bigint, options: ReadOptions = {}): StreamReader {
    this.#checkOpen();
    if (stream.partition < 0 || stream.partition >= this.#partitions(stream.topic))
      throw failedPrecondition(
        `topic ${stream.topic} has partitions 0…${this.#partitions(stream.topic) - 1}, not ${stream.partition}`,
      );
    const name = streamName(stream);
    const reader = new PostgresReader(
      stream,
      after,
      {
        database: this.#database,
        log: this.#log,
        versions: this.#versions,
        closed: (closed) => {
          const readers = this.#readers.get(name);
          readers?.delete(closed);
          if (readers?.size === 0) this.#readers.delete(name);
        },
        redeliver: (messages) => this.#deliverTo(name, messages),
      },
      options,
    );
    const readers = this.#readers.get(name) ?? new Set();
    readers.add(reader);
    this.#readers.set(name, readers);
    this.#wake.start();
    this.#trimmer.start();
    this.#recheck ??= setInterval(() => void this.#lookForMissed(), this.#recheckMs).unref();
    return reader;
  }

  #announce(heads: readonly Head[]): void {
    for (const head of heads)
      for (const reader of this.#readers.get(streamName(head)) ?? []) reader.announce(head.head);
  }

  async #lookForMissed(): Promise<void> {
    const readers = [...this.#readers.values()].flatMap((set) => [...set]);
    if (readers.length === 0) return;
    try {
      const heads = await this.heads(readers.map((reader) => reader.stream));
      for (const [i, reader] of readers.entries()) reader.announce(heads[i]!);
      await this.#wake.prune();
    } catch (error) {
      if (!this.#closed)
        this.#log.warn({ err: toAloftError(error) }, 'the bus could not look for messages; it tries again');
    }
  }

  async heads(streams: readonly Stream[]): Promise<bigint[]> {
    const { rows } = await this.#database.query<{ head: bigint }>(
      `SELECT coalesce(s.head, 0) AS head
       FROM unnest($1::text[], $2::int[]) WITH ORDINALITY AS u(topic, partition, n)
       LEFT JOIN streams s USING (topic, partition) ORDER BY u.n`,
      [streams.map(({ topic }) => topic), streams.map(({ partition }) => partition)],
    );
    return rows.map((row) => row.head);
  }

  async keep(group: string, positions: readonly { stream: Stream; position: bigint }[]): Promise<void> {
    if (positions.length === 0) return;
    await this.#database.query(
      `INSERT INTO groups (group_name, topic, partition, position)
       SELECT $1, u.* FROM unnest($2::text[], $3::int[], $4::int8[]) AS u
       ON CONFLICT (topic, partition, group_name)
       DO UPDATE SET position = greatest(groups.position, excluded.position), seen_at = now()`,
      [
        group,
        positions.map(({ stream }) => stream.topic),
        positions.map(({ stream }) => stream.partition),
        positions.map(({ position }) => position),
      ],
    );
  }

  consume(options: ConsumerOptions): Consumer {
    this.#checkOpen();
    this.#wake.start();
    const consumer = startConsumer(options, this, {
      log: this.#log,
      onReleased: (watcher) => {
        this.#leaseWatchers.add(watcher);
        return () => this.#leaseWatchers.delete(watcher);
      },
      announceRelease: async (group) => {
        // Others in this process have no ears for our own voice.
        for (const watcher of this.#leaseWatchers) watcher(group);
        await this.#wake.released(group);
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

  /** Removes messages that nobody needs now instead of at the next round; returns the number of rows. */
  trim(): Promise<number> {
    return this.#trimmer.run();
  }

  #checkOpen(): void {
    if (this.#closed) throw unavailable('the bus is closed');
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#recheck);
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    await Promise.all([...this.#readers.values()].flatMap((set) => [...set]).map((reader) => reader.close()));
    await this.#storing;
    await this.#trimmer.close();
    await this.#wake.close();
  }
}
