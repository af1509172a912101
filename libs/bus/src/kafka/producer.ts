import { AloftError, resourceExhausted, toAloftError, unavailable } from '@aloft/errors';
import { streamName } from '../batch.js';
import type { Stream } from '../port.js';
import { isStale, type Cluster } from './client/cluster.js';
import { errorName, type Link, type OutgoingRecord } from './client/kafkajs.js';

/** One call of `send`: settled when all its records are, or with the first that fails. */
interface Sending {
  open: number;
  settled: boolean;
  resolve(): void;
  reject(error: AloftError): void;
}

interface Item {
  record: OutgoingRecord;
  bytes: number;
  sending: Sending;
}

/** What one stream has to send. A batch, once sent, stays as it is until its fate is known: the broker knows it again. */
interface Line {
  stream: Stream;
  waiting: Item[];
  batch: { items: Item[]; sequence: number } | undefined;
  /** Of the next batch. */
  sequence: number;
  maxBytes: number;
  inFlight: boolean;
  failures: number;
  notBefore: number;
}

const recordOverhead = 32;
const maxBatchRecords = 2_000;
const maxRequestBytes = 4 * 1024 * 1024;
const maxPendingBytes = 64 * 1024 * 1024;
const requestTimeoutMs = 10_000;
const sequenceLimit = 2 ** 31;

/** The producer's identity was lost: another one begins, with sequences from 0. */
const identityErrors = new Set([45, 47, 49, 59, 90]);
const duplicate = 46;
const tooLarge = new Set([10, 18]);
/** Written by too few replicas, or not in time; tried again until it is. */
const retriable = new Set([2, 7, 8, 19, 20, 44, 51, 60]);

/**
 * Appends records with acks from all in-sync replicas, idempotently: one request at a time for each broker, with whatever
 * has come for all its streams meanwhile. Tries again for as long as there is hope; what it does not know the fate of is sent
 * again as it was.
 */
export class Producer {
  readonly #lines = new Map<string, Line>();
  readonly #busy = new Set<number>();
  #identity: { producerId: string; producerEpoch: number } | undefined;
  #identifying: Promise<void> | undefined;
  #pendingBytes = 0;
  #scheduled = false;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    readonly cluster: Cluster,
    /** Bytes of one batch at most: below the topics' `max.message.bytes`. */
    readonly maxBatchBytes: number,
  ) {}

  /** Sends records to a stream, in order after those before. Resolves when they are stored; rejects when they can't be. */
  send(stream: Stream, records: readonly OutgoingRecord[], timeoutMs?: number): Promise<void> {
    if (this.#closed) return Promise.reject(unavailable('the bus is closed'));
    if (records.length === 0) return Promise.resolve();
    const line = this.#line(stream);
    return new Promise((resolve, reject) => {
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              const reason = this.cluster.problem ? `: ${this.cluster.problem.message}` : '';
              this.#drop(
                line,
                sending,
                unavailable(`${this.#nameOf(stream)}: Kafka did not take it within ${timeoutMs} ms${reason}`),
              );
            }, timeoutMs).unref();
      const sending: Sending = {
        open: records.length,
        settled: false,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      const items = records.map((record) => ({ record, bytes: sizeOf(record), sending }));
      const bytes = items.reduce((sum, item) => sum + item.bytes, 0);
      if (timeoutMs !== undefined && this.#pendingBytes + bytes > maxPendingBytes)
        return sending.reject(
          unavailable(`${this.#pendingBytes} bytes wait for Kafka already, more are not taken: deliver again later`),
        );
      this.#pendingBytes += bytes;
      for (const item of items) line.waiting.push(item);
      this.#schedule();
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    const error = unavailable('the bus was closed before Kafka had taken it');
    for (const line of this.#lines.values())
      for (const { sending } of [...(line.batch?.items ?? []), ...line.waiting]) this.#fail(sending, error);
    this.#lines.clear();
  }

  #nameOf({ topic, partition }: Stream): string {
    return `${this.cluster.external(topic)}/${partition}`;
  }

  #line(stream: Stream): Line {
    const name = streamName(stream);
    let line = this.#lines.get(name);
    if (!line) {
      line = {
        stream,
        waiting: [],
        batch: undefined,
        sequence: 0,
        maxBytes: this.maxBatchBytes,
        inFlight: false,
        failures: 0,
        notBefore: 0,
      };
      this.#lines.set(name, line);
    }
    return line;
  }

  // ---- the rounds ----

  /** At the end of this turn of the loop: what is sent in it leaves in one request. */
  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#round();
    });
  }

  #round(): void {
    if (this.#closed) return;
    const now = Date.now();
    const byLeader = new Map<number, Line[]>();
    let wait = Infinity;
    const lost = new Set<string>();
    for (const line of this.#lines.values()) {
      if (line.inFlight || (!line.batch && line.waiting.length === 0)) continue;
      if (line.notBefore > now) {
        wait = Math.min(wait, line.notBefore - now);
        continue;
      }
      const leader = this.cluster.leader(line.stream);
      if (leader === undefined) lost.add(line.stream.topic);
      else byLeader.set(leader, [...(byLeader.get(leader) ?? []), line]);
    }
    if (lost.size > 0) this.#lookForLeaders(lost);
    if (byLeader.size > 0 && !this.#identity) {
      this.#identify();
      return;
    }
    for (const [leader, lines] of byLeader) if (!this.#busy.has(leader)) this.#start(leader, lines);
    if (wait < Infinity) this.#later(wait);
  }

  #later(ms: number): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#round(), ms);
  }

  #lookForLeaders(topics: Set<string>): void {
    this.cluster.refresh(topics).then(
      () => this.#later(20),
      () => this.#later(200),
    );
  }

  #identify(): void {
    this.#identifying ??= (async () => {
      const link = await this.cluster.any();
      const answer = await link.send('InitProducerId', { transactionalId: null, transactionTimeout: 60_000 });
      if (answer.errorCode !== 0) throw unavailable(`Kafka gives no producer id: ${errorName(answer.errorCode)}`);
      this.#identity = { producerId: answer.producerId, producerEpoch: answer.producerEpoch };
    })()
      .then(
        () => this.#schedule(),
        (error) => {
          this.cluster.log.info({ reason: toAloftError(error).message }, 'Kafka gave no producer id; tried again');
          this.#later(50);
        },
      )
      .finally(() => (this.#identifying = undefined));
  }

  #start(leader: number, lines: Line[]): void {
    const chosen: Line[] = [];
    let bytes = 0;
    for (const line of lines) {
      line.batch ??= this.#nextBatch(line);
      if (!line.batch) continue;
      const size = line.batch.items.reduce((sum, item) => sum + item.bytes, 0);
      if (chosen.length > 0 && bytes + size > maxRequestBytes) continue;
      bytes += size;
      chosen.push(line);
    }
    if (chosen.length === 0) return;
    for (const line of chosen) line.inFlight = true;
    this.#busy.add(leader);
    const identity = this.#identity!;
    void this.#send(leader, chosen, identity).finally(() => {
      for (const line of chosen) line.inFlight = false;
      this.#busy.delete(leader);
      this.#schedule();
    });
  }

  #nextBatch(line: Line): Line['batch'] {
    const items: Item[] = [];
    let bytes = 0;
    let taken = 0;
    for (const item of line.waiting) {
      if (!item.sending.settled) {
        if (items.length > 0 && (bytes + item.bytes > line.maxBytes || items.length >= maxBatchRecords)) break;
        items.push(item);
        bytes += item.bytes;
      } else this.#pendingBytes -= item.bytes;
      taken++;
    }
    line.waiting.splice(0, taken);
    return items.length > 0 ? { items, sequence: line.sequence } : undefined;
  }

  async #send(leader: number, lines: Line[], identity: { producerId: string; producerEpoch: number }): Promise<void> {
    let link: Link;
    try {
      link = await this.cluster.link(leader, 'produce');
      const answer = await link.send(
        'Produce',
        {
          acks: -1,
          timeout: requestTimeoutMs,
          transactionalId: null,
          ...identity,
          topicData: this.cluster.grouped(
            lines.map(({ stream }) => stream),
            ({ partition }, i) => ({
              partition,
              firstSequence: lines[i]!.batch!.sequence,
              messages: lines[i]!.batch!.items.map(({ record }) => record),
            }),
          ),
        },
        requestTimeoutMs + 5_000,
      );
      const codes = new Map(
        answer.topics.flatMap(({ topicName, partitions }) =>
          partitions.map(({ partition, errorCode }) => [`${this.cluster.internal(topicName)}/${partition}`, errorCode]),
        ),
      );
      if (this.#closed) return;
      for (const line of lines) this.#answered(line, codes.get(streamName(line.stream)) ?? -1, identity);
    } catch (error) {
      if (this.#closed) return;
      this.cluster.log.warn({ err: error, leader, streams: lines.length }, 'Kafka did not answer a produce request');
      for (const line of lines) this.#backOff(line);
      this.#lookForLeaders(new Set(lines.map(({ stream }) => stream.topic)));
    }
  }

  #answered(line: Line, code: number, identity: object): void {
    const { items } = line.batch!;
    if (code === 0 || code === duplicate) {
      line.sequence = (line.batch!.sequence + items.length) % sequenceLimit;
      line.batch = undefined;
      line.failures = 0;
      for (const item of items) this.#stored(item);
      return;
    }
    const name = this.#nameOf(line.stream);
    if (identityErrors.has(code)) {
      this.cluster.log.warn({ stream: name, error: errorName(code) }, 'the producer begins anew');
      if (this.#identity === identity) this.#newIdentity();
    } else if (tooLarge.has(code) && items.length > 1) {
      // Nothing of it was stored. The topic takes less than it was set to when we looked.
      line.maxBytes = Math.max(1, Math.floor(items.reduce((sum, item) => sum + item.bytes, 0) / 2));
      line.waiting.unshift(...items);
      line.batch = undefined;
    } else if (isStale(code) || retriable.has(code)) {
      this.cluster.log.debug({ stream: name, error: errorName(code) }, 'Kafka takes nothing for the moment');
      if (isStale(code)) this.#lookForLeaders(new Set([line.stream.topic]));
    } else {
      line.batch = undefined;
      const error = refusal(name, code, items[0]!);
      for (const item of items) {
        this.#pendingBytes -= item.bytes;
        this.#fail(item.sending, error);
      }
      return;
    }
    this.#backOff(line);
  }

  /** Every stream's sequences begin at 0 again; what was in doubt is sent again, perhaps for the second time. */
  #newIdentity(): void {
    this.#identity = undefined;
    for (const line of this.#lines.values()) {
      line.sequence = 0;
      if (line.batch) line.batch.sequence = 0;
    }
  }

  #backOff(line: Line): void {
    const ceiling = Math.min(2_000, 20 * 2 ** Math.min(line.failures++, 10));
    line.notBefore = Date.now() + ceiling * (0.5 + Math.random() / 2);
  }

  #stored(item: Item): void {
    this.#pendingBytes -= item.bytes;
    const { sending } = item;
    if (--sending.open > 0 || sending.settled) return;
    sending.settled = true;
    sending.resolve();
  }

  #fail(sending: Sending, error: AloftError): void {
    if (sending.settled) return;
    sending.settled = true;
    sending.reject(error);
  }

  /** Gives a call up; what of it was not sent yet is never sent. */
  #drop(line: Line, sending: Sending, error: AloftError): void {
    this.#fail(sending, error);
    line.waiting = line.waiting.filter((item) => {
      if (item.sending === sending) this.#pendingBytes -= item.bytes;
      return item.sending !== sending;
    });
  }
}

function sizeOf({ key, value, headers }: OutgoingRecord): number {
  let bytes = recordOverhead + key.length * 3 + value.length;
  for (const name in headers) bytes += 4 + name.length + headers[name]!.length;
  return bytes;
}

function refusal(name: string, code: number, item: Item): AloftError {
  if (tooLarge.has(code))
    return resourceExhausted(
      `${name} refuses a message of ${item.record.value.length} bytes (${errorName(code)}): raise the topic's ` +
        'max.message.bytes (kafka-configs --alter --entity-type topics --add-config max.message.bytes=1048588), and ' +
        "the brokers' message.max.bytes",
    );
  if (code === 29 || code === 31)
    return new AloftError(
      'PERMISSION_DENIED',
      `${name}: this service may not write there (${errorName(code)}): grant it WRITE on the topic`,
    );
  return new AloftError('FAILED_PRECONDITION', `${name}: Kafka refuses what is sent (${errorName(code)})`);
}
