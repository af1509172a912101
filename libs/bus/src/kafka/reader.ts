import { AloftError, toAloftError } from '@aloft/errors';
import { Envelope } from '@aloft/idl/aloft/v1/bus';
import type { Logger } from '@aloft/telemetry';
import { streamName } from '../batch.js';
import { tooNew, type ReaderVersions } from '../envelope.js';
import type { IncomingMessage, ReadBatch, ReadOptions, Stream, StreamReader } from '../port.js';
import type { FetchedRecord } from './client/kafkajs.js';
import { originOf } from './headers.js';
import { Marks } from './marks.js';

export interface ReaderEnvironment {
  log: Logger;
  versions: ReaderVersions;
  /** There is room in the reader, or there is no such reader any more. */
  changed(reader: KafkaReader): void;
  closed(reader: KafkaReader): void;
}

interface Buffered {
  position: bigint;
  value: Buffer;
}

/** Bytes that a reader holds before it takes no more; one answer of the broker may go beyond. */
const maxBytes = 4 * 1024 * 1024;

/** Reads one stream from what the fetcher brings, in order; leaves repeats out, and stops where something is missing. */
export class KafkaReader implements StreamReader {
  /** The fetcher's: a request that this reader's next records may come with is under way. */
  inFlight = false;
  readonly #maxBuffered: number;
  readonly #marks: Marks;
  #buffer: Buffered[] = [];
  #bytes = 0;
  /** Position of the last record that was taken in, repeats included. */
  #end: bigint;
  /** Position of the last message that was taken in. */
  #lastMessage: bigint;
  #head: bigint;
  #checked = false;
  #failure: AloftError | undefined;
  #closed = false;
  #waiting: (() => void)[] = [];
  readonly #given: { last: bigint; settled: boolean }[] = [];

  constructor(
    readonly stream: Stream,
    after: bigint,
    readonly environment: ReaderEnvironment,
    options: ReadOptions,
  ) {
    this.#end = after;
    this.#lastMessage = after;
    this.#head = after;
    this.#maxBuffered = options.maxBuffered ?? 4096;
    this.#marks = new Marks(after, options.mark);
  }

  get head(): bigint {
    return this.#head;
  }

  get isCaughtUp(): boolean {
    return this.#checked && this.#end >= this.#head && this.#failure === undefined && !this.#closed;
  }

  /** Offset of the next record it wants; undefined while it has no room, or is at its end. */
  get wants(): bigint | undefined {
    if (this.#closed || this.#failure) return undefined;
    if (this.#buffer.length >= this.#maxBuffered || this.#bytes >= maxBytes) return undefined;
    return this.#end;
  }

  // ---- what comes in ----

  /** Records of the stream from the offset asked for on, and how far it reaches now. */
  fetched(records: readonly FetchedRecord[], head: bigint): void {
    if (this.#closed || this.#failure) return;
    this.#checked = true;
    if (head > this.#head) this.#head = head;
    try {
      for (const record of records) this.#take(record);
    } catch (error) {
      this.fail(toAloftError(error));
    }
    if (this.#end > this.#head) this.#head = this.#end;
    this.#wake();
  }

  #take(record: FetchedRecord): void {
    const position = BigInt(record.offset) + 1n;
    // A batch is given out whole, also when the offset asked for lies within.
    if (position <= this.#end) return;
    if (!record.isControlRecord && record.value !== null) {
      const where = `${streamName(this.stream)} at position ${position}`;
      const origin = originOf(record, where);
      if (!origin || this.#marks.take(position, origin, where)) {
        this.#buffer.push({ position, value: record.value });
        this.#bytes += record.value.length;
        this.#lastMessage = position;
      } else
        this.environment.log.debug({ where, ...origin, sequence: String(origin.sequence) }, 'a repeat is left out');
    }
    this.#end = position;
  }

  fail(error: AloftError): void {
    if (this.#failure || this.#closed) return;
    this.#failure = error;
    this.environment.log.error({ err: error, stream: this.stream }, 'a reader of the bus stops');
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
    const messages: IncomingMessage[] = [];
    let taken = 0;
    const most = Math.min(limit, this.#maxBuffered, this.#buffer.length);
    for (; taken < most; taken++) {
      const { position, value } = this.#buffer[taken]!;
      const envelope = this.#decode(position, value);
      if (!envelope) break;
      this.#bytes -= value.length;
      messages.push({ stream: this.stream, position, envelope });
    }
    this.#buffer.splice(0, taken);
    if (messages.length === 0) {
      if (this.#failure && this.#buffer.length === 0) throw this.#failure;
      return undefined;
    }
    this.environment.changed(this);
    const given = { last: messages.at(-1)!.position!, settled: false };
    this.#given.push(given);
    return { messages, acknowledge: () => this.#settle(given), reject: () => undefined };
  }

  /** Undefined when it can't be read: then nothing after it will be given out. */
  #decode(position: bigint, value: Buffer): Envelope | undefined {
    const where = `${streamName(this.stream)} at position ${position}`;
    let problem: Error | undefined;
    try {
      const envelope = Envelope.decode(value);
      problem = tooNew(envelope, where, this.environment.versions);
      if (!problem) return envelope;
    } catch (error) {
      problem = new AloftError('DATA_LOSS', `${where}: is no envelope of Aloft's (${(error as Error).message})`, {
        cause: error,
      });
    }
    this.#buffer = [];
    this.#bytes = 0;
    this.#failure = undefined;
    this.fail(toAloftError(problem));
    return undefined;
  }

  #settle(given: { settled: boolean }): void {
    given.settled = true;
    while (this.#given[0]?.settled) this.#marks.settle(this.#given.shift()!.last);
  }

  mark(position: bigint): string | undefined {
    return this.#marks.at(position);
  }

  reach(position: bigint): bigint {
    return position >= this.#lastMessage && this.#end > position ? this.#end : position;
  }

  ready(): Promise<void> {
    if (this.#buffer.length > 0 || this.#failure || this.#closed) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    if (this.#buffer.length === 0 && !this.#failure && !this.#closed) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#buffer = [];
    this.environment.closed(this);
    this.#wake();
  }
}
