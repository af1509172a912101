import type { Database, Statement } from '@aloft/database';
import { AloftError, errorMapping, toAloftError, unavailable } from '@aloft/errors';
import type { Envelope } from '@aloft/idl/aloft/v1/bus';
import type { Logger } from '@aloft/telemetry';
import { Backoff } from '../backoff.js';
import { tooNew, type ReaderVersions } from '../envelope.js';
import type { IncomingMessage, OutgoingMessage, ReadBatch, ReadOptions, Stream, StreamReader } from '../port.js';
import { streamName, unpackRow } from '../batch.js';

const rowsAtOnce = 64;
/** Hand-overs that came before their predecessors (commits answered in another order) and wait for them. */
const maxAhead = 64;

/** A commit of a wide fan-out is handed over as it is: read from the table, each of its messages would be decoded. */
const maxBufferedByDefault = 16_384;
/** Payloads above it are left in the table: the last one handed over may go beyond. */
const maxBufferedBytes = 32 * 1024 * 1024;

const fetchStatement: Statement = {
  name: 'aloft_bus_fetch',
  text: `SELECT first, last, payload FROM messages WHERE topic = $1 AND partition = $2 AND last > $3
         ORDER BY last LIMIT ${rowsAtOnce}`,
};

/** Re-derivable messages of one `deliver`, until a commit acknowledged them all. */
interface Delivery {
  messages: readonly OutgoingMessage[];
  /** Given out so far. */
  taken: number;
  acknowledged: number;
  resolve(): void;
  reject(error: unknown): void;
}

export interface ReaderEnvironment {
  database: Database;
  log: Logger;
  versions: ReaderVersions;
  closed(reader: PostgresReader): void;
  /** What was delivered to a reader that closed before it gave it out. */
  redeliver(messages: readonly OutgoingMessage[]): Promise<void>;
}

/**
 * Reads one stream: from memory what this process commits, as long as that continues what it has; from the table
 * whatever else there is. Positions have no gaps, so what comes next is always known.
 */
export class PostgresReader implements StreamReader {
  readonly acceptsDelivered: boolean;
  readonly #maxBuffered: number;
  readonly #start: bigint;
  #buffer: IncomingMessage[] = [];
  /** Of their payloads. */
  #bytes = 0;
  /** Position of the last message that was buffered or given out. */
  #end: bigint;
  /** Highest position that is known to exist. */
  #head: bigint;
  readonly #ahead = new Map<bigint, Envelope[]>();
  #deliveries: Delivery[] = [];
  #delivered = 0;
  readonly #unacknowledged = new Set<Delivery>();
  #fetching: Promise<void> | undefined;
  /** Whether the stream's head was compared with where we start. */
  #checked = false;
  #failure: AloftError | undefined;
  #closed = false;
  #waiting: (() => void)[] = [];
  readonly #stop = new AbortController();

  constructor(
    readonly stream: Stream,
    after: bigint,
    readonly environment: ReaderEnvironment,
    options: ReadOptions,
  ) {
    this.#start = after;
    this.#end = after;
    this.#head = after;
    this.#maxBuffered = options.maxBuffered ?? maxBufferedByDefault;
    this.acceptsDelivered = options.acceptDelivered ?? false;
    this.#fetch();
  }

  /** Highest position known. */
  get head(): bigint {
    return this.#head;
  }

  /** Whether everything that is known to exist was buffered: what is delivered now overtakes nothing. */
  get isCaughtUp(): boolean {
    return this.#checked && this.#end === this.#head && this.#failure === undefined && !this.#closed;
  }

  // ---- what comes in ----

  /** A commit of this process, with its positions. */
  handOver(first: bigint, envelopes: readonly Envelope[]): void {
    const last = first + BigInt(envelopes.length) - 1n;
    if (last > this.#head) this.#head = last;
    if (this.#closed || last <= this.#end) return;
    if (first > this.#end + 1n) {
      if (this.#ahead.size < maxAhead) this.#ahead.set(first, [...envelopes]);
      // Its predecessor is often a commit of ours that is answered in the same turn of the loop.
      setImmediate(() => this.#fetchIfBehind());
      return;
    }
    if (this.#room < envelopes.length) {
      // What does not fit is read from the table when there is room.
      this.#append(first, envelopes.slice(0, Math.max(0, this.#room)));
      this.#wake();
      return this.#fetchIfBehind();
    }
    this.#append(first, envelopes);
    for (
      let next = this.#ahead.get(this.#end + 1n);
      next && next.length <= this.#room;
      next = this.#ahead.get(this.#end + 1n)
    ) {
      this.#ahead.delete(this.#end + 1n);
      this.#append(this.#end + 1n, next);
    }
    this.#wake();
  }

  /** The stream has messages up to that position. */
  announce(head: bigint): void {
    if (head > this.#head) this.#head = head;
    this.#fetchIfBehind();
  }

  /** Takes delivered messages into memory; false when they'd overtake others or find no room. */
  accept(messages: readonly OutgoingMessage[], resolve: () => void, reject: (error: unknown) => void): boolean {
    if (!this.acceptsDelivered || !this.isCaughtUp || this.#room < messages.length) return false;
    this.#deliveries.push({ messages, taken: 0, acknowledged: 0, resolve, reject });
    this.#delivered += messages.length;
    this.#wake();
    return true;
  }

  get #room(): number {
    if (this.#bytes >= maxBufferedBytes) return 0;
    return this.#maxBuffered - this.#buffer.length - this.#delivered;
  }

  #append(first: bigint, envelopes: readonly Envelope[]): void {
    let position = first;
    for (const envelope of envelopes) {
      if (this.#failure) return;
      if (position > this.#end) {
        const where = `${streamName(this.stream)} at position ${position}`;
        const problem = tooNew(envelope, where, this.environment.versions);
        if (problem) return this.#fail(toAloftError(problem));
        this.#buffer.push({ stream: this.stream, position, envelope });
        this.#bytes += envelope.payload.length;
        this.#end = position;
      }
      position++;
    }
  }

  #fail(error: AloftError): void {
    this.#failure = error;
    this.environment.log.error({ err: error, stream: this.stream }, 'a reader of the bus stops');
    this.#wake();
  }

  // ---- the table ----

  #fetchIfBehind(): void {
    if (this.#end < this.#head && this.#room >= Math.min(this.#maxBuffered / 2, 256)) this.#fetch();
  }

  #fetch(): void {
    if (this.#closed || this.#failure || this.#fetching) return;
    this.#fetching = this.#fetchAll().finally(() => {
      this.#fetching = undefined;
      // Room may have been made, or more announced, while the last round ended.
      if (this.#checked) this.#fetchIfBehind();
    });
  }

  async #fetchAll(): Promise<void> {
    const backoff = new Backoff();
    do {
      try {
        if (!this.#checked) await this.#check();
        if (this.#end < this.#head) await this.#fetchRows();
        backoff.reset();
      } catch (thrown) {
        const error = toAloftError(thrown);
        if (this.#closed) return;
        if (errorMapping[error.code].bus === 'park') return this.#fail(error);
        this.environment.log.warn({ err: error, stream: this.stream }, 'the bus could not read; it tries again');
        await backoff.wait(this.#stop.signal);
      }
    } while (!this.#closed && !this.#failure && (!this.#checked || (this.#end < this.#head && this.#room > 0)));
  }

  /** Compares the position we start at with what there is. */
  async #check(): Promise<void> {
    const { rows } = await this.environment.database.query<{ head: bigint }>(
      'SELECT head FROM streams WHERE topic = $1 AND partition = $2',
      [this.stream.topic, this.stream.partition],
    );
    const head = rows[0]?.head ?? 0n;
    if (head > this.#head) this.#head = head;
    if (head < this.#start)
      throw new AloftError(
        'OUT_OF_RANGE',
        `${streamName(this.stream)} ends at position ${head}, reading was to go on after ${this.#start}: ` +
          'the bus is older than its consumer (was it restored from a backup?)',
      );
    this.#checked = true;
    this.#wake();
  }

  async #fetchRows(): Promise<void> {
    const asked = this.#end;
    const known = this.#head;
    const { rows } = await this.environment.database.query<{ first: bigint; last: bigint; payload: Buffer }>(
      fetchStatement,
      [this.stream.topic, this.stream.partition, asked],
    );
    if (this.#closed) return;
    // Positions have no gaps: what is not there was trimmed. `known` was committed before we asked.
    const from = rows[0]?.first ?? known + 1n;
    if (from > asked + 1n)
      throw new AloftError(
        'DATA_LOSS',
        `${streamName(this.stream)}: messages ${asked + 1n} to ${from - 1n} are no longer on the bus, and this consumer ` +
          'has not read them',
      );
    for (const { first, last, payload } of rows) {
      if (last <= this.#end) continue;
      const skip = first > this.#end ? 0 : Number(this.#end - first + 1n);
      if (this.#room <= 0) break;
      this.#append(first + BigInt(skip), unpackRow(payload, skip).slice(0, this.#room));
      if (last > this.#end) break;
    }
    if (this.#end > this.#head) this.#head = this.#end;
    for (const first of this.#ahead.keys()) if (first <= this.#end) this.#ahead.delete(first);
    this.#wake();
  }

  // ---- what goes out ----

  async next(limit: number): Promise<ReadBatch | undefined> {
    for (;;) {
      const batch = this.poll(limit);
      if (batch) return batch;
      if (this.#closed) return undefined;
      await this.ready();
    }
  }

  poll(limit: number): ReadBatch | undefined {
    if (this.#closed) return undefined;
    const messages = this.#buffer.splice(0, limit);
    for (const { envelope } of messages) this.#bytes -= envelope.payload.length;
    const parts = this.#takeDelivered(limit - messages.length, messages);
    if (messages.length === 0) {
      if (this.#failure) throw this.#failure;
      return undefined;
    }
    this.#fetchIfBehind();
    return {
      messages,
      acknowledge: () => {
        for (const { delivery, count } of parts.splice(0)) {
          delivery.acknowledged += count;
          if (delivery.acknowledged < delivery.messages.length) continue;
          this.#unacknowledged.delete(delivery);
          delivery.resolve();
        }
      },
      reject: (error) => {
        for (const { delivery } of parts.splice(0)) {
          this.#unacknowledged.delete(delivery);
          this.#forget(delivery);
          delivery.reject(error);
        }
      },
    };
  }

  #takeDelivered(limit: number, into: IncomingMessage[]): { delivery: Delivery; count: number }[] {
    const parts: { delivery: Delivery; count: number }[] = [];
    while (limit > 0 && this.#deliveries.length > 0) {
      const delivery = this.#deliveries[0]!;
      const count = Math.min(limit, delivery.messages.length - delivery.taken);
      for (const { envelope } of delivery.messages.slice(delivery.taken, delivery.taken + count))
        into.push({ stream: this.stream, position: null, envelope });
      delivery.taken += count;
      this.#delivered -= count;
      limit -= count;
      parts.push({ delivery, count });
      this.#unacknowledged.add(delivery);
      if (delivery.taken === delivery.messages.length) this.#deliveries.shift();
    }
    return parts;
  }

  /** Drops the part of a rejected delivery that was not given out: its sender delivers all of it again. */
  #forget(delivery: Delivery): void {
    const index = this.#deliveries.indexOf(delivery);
    if (index < 0) return;
    this.#deliveries.splice(index, 1);
    this.#delivered -= delivery.messages.length - delivery.taken;
  }

  /** Positions say it all: the stream has no repeats. */
  mark(): undefined {
    return undefined;
  }

  reach(position: bigint): bigint {
    return position;
  }

  ready(): Promise<void> {
    if (this.#buffer.length > 0 || this.#delivered > 0 || this.#failure || this.#closed) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    if (this.#buffer.length === 0 && this.#delivered === 0 && !this.#failure && !this.#closed) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop.abort();
    this.environment.closed(this);
    this.#wake();
    const untouched = this.#deliveries.filter((delivery) => delivery.taken === 0);
    const lost = unavailable(`the consumer of ${streamName(this.stream)} closed before it committed: deliver again`);
    for (const delivery of new Set([...this.#unacknowledged, ...this.#deliveries]))
      if (delivery.taken > 0) delivery.reject(lost);
    this.#deliveries = [];
    this.#unacknowledged.clear();
    this.#buffer = [];
    this.#bytes = 0;
    this.#ahead.clear();
    for (const { messages, resolve, reject } of untouched) this.environment.redeliver(messages).then(resolve, reject);
    await this.#fetching;
  }
}
