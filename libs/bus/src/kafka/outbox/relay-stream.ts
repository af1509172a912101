import { toAloftError, type AloftError } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import { Backoff } from '../../backoff.js';
import { streamName } from '../../batch.js';
import type { HeldLease } from '../../port.js';
import { toRecord } from '../headers.js';
import type { Producer } from '../producer.js';
import type { Outbox, OutboxPart } from './outbox.js';

/** Bytes of messages that a stream's relay holds; what comes beyond is read from the table when its turn comes. */
const maxBytes = 8 * 1024 * 1024;
const maxSendBytes = 2 * 1024 * 1024;
const maxSendMessages = 4_000;
/** Hand-overs that came before their predecessors (commits answered in another order) and wait for them. */
const maxAhead = 64;

export interface RelayStreamEnvironment {
  outbox: Outbox;
  producer: Producer;
  source: string;
  log: Logger;
  /** Kafka has everything up to a sequence. */
  sent(stream: RelayStream, after: bigint, to: bigint): void;
  /** What is stored does not continue what was sent: somebody else relays this stream. */
  lost(stream: RelayStream): void;
}

/**
 * Sends one stream's outbox to Kafka, in order, one request at a time: from memory what this process commits, as long as
 * that continues what it has; from the table whatever else there is.
 */
export class RelayStream {
  #parts: OutboxPart[] = [];
  #bytes = 0;
  /** Sequence of the last message that was buffered or sent; unknown until the table was looked at. */
  #end: bigint | undefined;
  /** Sequence of the last message that is known to exist. */
  #head = 0n;
  #sent: bigint | undefined;
  readonly #ahead = new Map<bigint, OutboxPart>();
  #reading: Promise<void> | undefined;
  #sending: Promise<void> | undefined;
  readonly #stop = new AbortController();
  /** Why nothing is sent now. */
  problem: AloftError | undefined;
  /** When this process published to it last (milliseconds of `performance.now`), and how often others have since. */
  publishedHere = 0;
  publishedElsewhere = 0;

  constructor(
    readonly lease: HeldLease,
    readonly environment: RelayStreamEnvironment,
  ) {
    this.#read();
  }

  get name(): string {
    return streamName(this.lease.stream);
  }

  /** Messages known of that Kafka does not have yet. */
  get waiting(): bigint {
    return this.#sent === undefined ? this.#head : this.#head - this.#sent;
  }

  /** Everything up to a sequence is with Kafka. */
  hasSent(sequence: bigint): boolean {
    return this.#sent !== undefined && this.#sent >= sequence;
  }

  /** A commit of this process. */
  handOver(part: OutboxPart): void {
    const last = lastOf(part);
    if (last > this.#head) this.#head = last;
    if (this.#stop.signal.aborted || this.#end === undefined || last <= this.#end) return;
    if (part.first > this.#end + 1n) {
      if (this.#ahead.size < maxAhead) this.#ahead.set(part.first, part);
      // Its predecessor is often a commit of ours that is answered in the same turn of the loop.
      setImmediate(() => this.#readIfBehind());
      return;
    }
    if (this.#bytes >= maxBytes) return; // Read when there is room.
    this.#append(part);
    for (let next = this.#ahead.get(this.#end + 1n); next; next = this.#ahead.get(this.#end + 1n)) {
      this.#ahead.delete(next.first);
      this.#append(next);
    }
    this.#send();
  }

  /** The stream has messages up to that sequence. */
  announce(head: bigint): void {
    if (head > this.#head) this.#head = head;
    this.#readIfBehind();
  }

  /** Looks at the table: something may have been published unheard. */
  look(): void {
    if (this.#end !== undefined && this.#bytes < maxBytes / 2) this.#read();
  }

  /** Stops after the request under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#sending;
    await this.#reading;
  }

  #append(part: OutboxPart): void {
    this.#parts.push(part);
    this.#end = lastOf(part);
    if (this.#end > this.#head) this.#head = this.#end;
    for (const { bytes } of part.messages) this.#bytes += bytes.length;
  }

  // ---- the table ----

  #readIfBehind(): void {
    if (this.#end !== undefined && this.#end < this.#head && this.#bytes < maxBytes / 2) this.#read();
  }

  #read(): void {
    if (this.#reading || this.#stop.signal.aborted) return;
    this.#reading = this.#readAll().finally(() => {
      this.#reading = undefined;
      this.#readIfBehind();
    });
  }

  async #readAll(): Promise<void> {
    const backoff = new Backoff(20, 2_000);
    while (!this.#stop.signal.aborted) {
      try {
        const from = this.#end;
        const { head, parts, isAll } = await this.environment.outbox.read(this.lease.stream, from ?? 0n);
        if (this.#stop.signal.aborted) return;
        const left = from === undefined ? this.#begin(head, parts, isAll) : parts;
        if (this.#take(from, head, left)) return;
        return this.environment.lost(this);
      } catch (error) {
        this.environment.log.warn(
          { err: toAloftError(error), stream: this.name },
          'could not read the outbox; tried again',
        );
        await backoff.wait(this.#stop.signal);
      }
    }
  }

  /**
   * Where Kafka's part ends: what is there begins with it, for rows leave in order. But a crash of Postgres may undo their removal, which
   * nobody waits for: a row that is gone says that all before it are with Kafka, those still there as well. Returns what is not.
   */
  #begin(head: bigint, parts: readonly OutboxPart[], isAll: boolean): readonly OutboxPart[] {
    let from = 0;
    for (let i = 1; i < parts.length; i++) if (parts[i]!.first > lastOf(parts[i - 1]!) + 1n) from = i;
    if (isAll && parts.length > 0 && lastOf(parts.at(-1)!) < head) from = parts.length;
    const left = parts.slice(from);
    this.#end = left.length > 0 ? left[0]!.first - 1n : head;
    this.#sent = this.#end;
    if (from > 0) this.environment.sent(this, parts[0]!.first - 1n, lastOf(parts[from - 1]!));
    return left;
  }

  /** False when rows that were never sent by us are gone: then they were by somebody else. */
  #take(from: bigint | undefined, head: bigint, parts: readonly OutboxPart[]): boolean {
    if (head > this.#head) this.#head = head;
    for (const part of parts) {
      const last = lastOf(part);
      if (last <= this.#end!) continue;
      if (part.first > this.#end! + 1n) return false;
      const skip = Number(this.#end! + 1n - part.first);
      this.#append(skip === 0 ? part : { ...part, first: this.#end! + 1n, messages: part.messages.slice(skip) });
    }
    if (parts.length === 0 && from !== undefined && head > this.#end!) return false;
    for (const first of this.#ahead.keys()) if (first <= this.#end!) this.#ahead.delete(first);
    this.#send();
    return true;
  }

  // ---- Kafka ----

  #send(): void {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
      if (this.#parts.length > 0 && !this.#stop.signal.aborted) this.#send();
    });
  }

  async #sendAll(): Promise<void> {
    const { producer, source, log, sent } = this.environment;
    const backoff = new Backoff(50, 5_000);
    while (this.#parts.length > 0 && !this.#stop.signal.aborted) {
      const { parts, bytes, to } = this.#next();
      const records = parts.flatMap(({ first, at, messages }) =>
        messages.map(({ envelope, bytes: encoded }, i) =>
          toRecord(envelope, encoded, { source, sequence: first + BigInt(i), at }),
        ),
      );
      try {
        await this.#orStopped(producer.send(this.lease.stream, records));
        if (this.#stop.signal.aborted) return;
        this.#parts.splice(0, parts.length);
        this.#bytes -= bytes;
        this.problem = undefined;
        backoff.reset();
        const after = this.#sent!;
        this.#sent = to;
        sent(this, after, to);
        this.#readIfBehind();
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.problem = toAloftError(error);
        log.error({ err: this.problem, stream: this.name }, 'the outbox of a stream does not move; tried again');
        await backoff.wait(this.#stop.signal);
      }
    }
  }

  #next(): { parts: OutboxPart[]; bytes: number; to: bigint } {
    const parts: OutboxPart[] = [];
    let bytes = 0;
    let messages = 0;
    for (const part of this.#parts) {
      const size = part.messages.reduce((sum, each) => sum + each.bytes.length, 0);
      if (parts.length > 0 && (bytes + size > maxSendBytes || messages + part.messages.length > maxSendMessages)) break;
      parts.push(part);
      bytes += size;
      messages += part.messages.length;
    }
    const last = parts.at(-1)!;
    return { parts, bytes, to: last.first + BigInt(last.messages.length) - 1n };
  }

  /** While Kafka can't be reached, a request has no end; we may have to. */
  async #orStopped(sending: Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    let stop!: () => void;
    const stopped = new Promise<void>((resolve) => (stop = resolve));
    const late = () => setTimeout(stop, 1_000).unref();
    signal.addEventListener('abort', late, { once: true });
    try {
      await Promise.race([sending, stopped]);
    } finally {
      signal.removeEventListener('abort', late);
    }
  }
}

const lastOf = ({ first, messages }: OutboxPart): bigint => first + BigInt(messages.length) - 1n;
