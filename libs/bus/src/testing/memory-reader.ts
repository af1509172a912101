import { AloftError, toAloftError, unavailable } from '@aloft/errors';
import { streamName } from '../batch.js';
import { tooNew } from '../envelope.js';
import type { IncomingMessage, OutgoingMessage, ReadBatch, ReadOptions, Stream, StreamReader } from '../port.js';
import type { MemoryBroker } from './memory-broker.js';

interface Delivery {
  messages: readonly OutgoingMessage[];
  taken: number;
  acknowledged: number;
  resolve(): void;
  reject(error: unknown): void;
}

export interface ReaderSurroundings {
  broker: MemoryBroker;
  /** The bus that it belongs to. */
  bus: unknown;
  /** Something that takes its time: news of other processes, the first look at the stream. */
  later(work: () => void): void;
  /** Untouched deliveries of a reader that closes find another way. */
  redeliver(messages: readonly OutgoingMessage[]): Promise<void>;
}

/** Reads a stream of a {@link MemoryBroker} up to where it has heard of it. */
export class MemoryReader implements StreamReader {
  private end: bigint;
  private known: bigint;
  private checked = false;
  private closed = false;
  private failure: AloftError | undefined;
  private deliveries: Delivery[] = [];
  private readonly unacknowledged = new Set<Delivery>();
  private delivered = 0;
  private waiting: (() => void)[] = [];
  private readonly maxBuffered: number;

  constructor(
    readonly stream: Stream,
    after: bigint,
    private readonly around: ReaderSurroundings,
    private readonly options: ReadOptions,
  ) {
    this.end = after;
    this.known = after;
    this.maxBuffered = options.maxBuffered ?? 4096;
    around.broker.register(this);
    around.later(() => this.look());
  }

  get head(): bigint {
    return this.known;
  }

  /** Whether all that is known of has room: what is delivered now overtakes nothing. */
  get isCaughtUp(): boolean {
    return this.checked && this.room >= 0 && this.failure === undefined && !this.closed;
  }

  belongsTo(bus: unknown): boolean {
    return this.around.bus === bus;
  }

  /** The stream has grown: known at once in the process that did it, later in others. */
  appended(head: bigint, by: unknown): void {
    const hear = () => {
      if (head > this.known) this.known = head;
      this.wake();
    };
    if (by === this.around.bus) hear();
    else this.around.later(hear);
  }

  /** Takes messages without positions into memory; false when they would overtake others or find no room. */
  accept(messages: readonly OutgoingMessage[], resolve: () => void, reject: (error: unknown) => void): boolean {
    if (!this.options.acceptDelivered || !this.isCaughtUp) return false;
    if (this.room < messages.length) return false;
    this.deliveries.push({ messages, taken: 0, acknowledged: 0, resolve, reject });
    this.delivered += messages.length;
    this.wake();
    return true;
  }

  async next(limit: number): Promise<ReadBatch | undefined> {
    for (;;) {
      const batch = this.poll(limit);
      if (batch) return batch;
      if (this.closed) return undefined;
      await this.ready();
    }
  }

  poll(limit: number): ReadBatch | undefined {
    if (this.closed) return undefined;
    const messages = this.takeStored(Math.min(limit, this.maxBuffered));
    const parts = this.takeDelivered(limit - messages.length, messages);
    if (messages.length === 0) {
      if (this.failure) throw this.failure;
      return undefined;
    }
    return {
      messages,
      acknowledge: () => {
        for (const { delivery, count } of parts.splice(0)) {
          delivery.acknowledged += count;
          if (delivery.acknowledged < delivery.messages.length) continue;
          this.unacknowledged.delete(delivery);
          delivery.resolve();
        }
      },
      reject: (error) => {
        for (const { delivery } of parts.splice(0)) {
          this.unacknowledged.delete(delivery);
          this.drop(delivery);
          delivery.reject(error);
        }
      },
    };
  }

  mark(): undefined {
    return undefined;
  }

  reach(position: bigint): bigint {
    return position;
  }

  ready(): Promise<void> {
    if (this.hasSomething || this.closed) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.around.broker.forget(this);
    this.wake();
    const untouched = this.deliveries.filter(({ taken }) => taken === 0);
    const lost = unavailable(`the consumer of ${streamName(this.stream)} closed before it committed: deliver again`);
    for (const delivery of new Set([...this.unacknowledged, ...this.deliveries]))
      if (delivery.taken > 0) delivery.reject(lost);
    this.deliveries = [];
    this.unacknowledged.clear();
    for (const { messages, resolve, reject } of untouched) this.around.redeliver(messages).then(resolve, reject);
  }

  private get room(): number {
    return this.maxBuffered - Number(this.known - this.end) - this.delivered;
  }

  private get hasSomething(): boolean {
    return this.checked && (this.end < this.known || this.delivered > 0 || this.failure !== undefined);
  }

  private look(): void {
    if (this.closed) return;
    const head = this.around.broker.head(this.stream);
    if (head < this.end) {
      this.failure = new AloftError(
        'OUT_OF_RANGE',
        `${streamName(this.stream)} ends at position ${head}, reading was to go on after ${this.end}`,
      );
    } else if (head > this.known) this.known = head;
    this.checked = true;
    this.wake();
  }

  private takeStored(limit: number): IncomingMessage[] {
    const taken: IncomingMessage[] = [];
    if (!this.checked) return taken;
    const stored = this.around.broker.messages(this.stream);
    while (taken.length < limit && this.end < this.known && !this.failure) {
      const envelope = stored[Number(this.end)]!;
      const position = this.end + 1n;
      const problem = tooNew(envelope, `${streamName(this.stream)} at position ${position}`, {});
      if (problem) this.failure = toAloftError(problem);
      else {
        taken.push({ stream: this.stream, position, envelope });
        this.end = position;
      }
    }
    return taken;
  }

  private takeDelivered(limit: number, into: IncomingMessage[]): { delivery: Delivery; count: number }[] {
    const parts: { delivery: Delivery; count: number }[] = [];
    while (limit > 0 && this.deliveries.length > 0) {
      const delivery = this.deliveries[0]!;
      const count = Math.min(limit, delivery.messages.length - delivery.taken);
      for (const { envelope } of delivery.messages.slice(delivery.taken, delivery.taken + count))
        into.push({ stream: this.stream, position: null, envelope });
      delivery.taken += count;
      this.delivered -= count;
      limit -= count;
      parts.push({ delivery, count });
      this.unacknowledged.add(delivery);
      if (delivery.taken === delivery.messages.length) this.deliveries.shift();
    }
    return parts;
  }

  /** The part of a rejected delivery that was not given out goes, too: its sender delivers all of it again. */
  private drop(delivery: Delivery): void {
    const at = this.deliveries.indexOf(delivery);
    if (at < 0) return;
    this.deliveries.splice(at, 1);
    this.delivered -= delivery.messages.length - delivery.taken;
  }

  private wake(): void {
    if (!this.hasSomething && !this.closed) return;
    const { waiting } = this;
    this.waiting = [];
    for (const resolve of waiting) resolve();
  }
}
