import type { Bus, HeldLease, ReadBatch, StoredPosition, Stream, StreamReader } from '@aloft/bus';
import { PositionTracker } from './position-tracker.js';

/** One stream that this process owns: its reader, how far it is applied, and the epoch that commits are fenced with. */
export class StreamSource {
  readonly stream: Stream;
  readonly epoch: bigint;
  readonly tracker: PositionTracker;
  /** Stored, or on its way in a commit. */
  stored: bigint;
  /** Stored for certain. */
  durable: bigint;
  /** There may be something to take. */
  readable = false;
  /** Messages that are taken at once. */
  portion = 1;
  private readonly reader: StreamReader;
  private drained: (() => void) | undefined;
  private closed = false;

  constructor(
    bus: Bus,
    lease: HeldLease,
    { position, mark }: StoredPosition,
    options: { acceptDelivered: boolean; maxBuffered: number },
    /** Called when there may be something to take. */
    private readonly wake: () => void,
  ) {
    this.stream = lease.stream;
    this.epoch = lease.epoch;
    this.stored = position;
    this.durable = position;
    this.tracker = new PositionTracker(position);
    this.reader = bus.read(lease.stream, position, { ...options, mark });
    void this.watch();
  }

  /** For the lag: what is durably done of what is known to be there. */
  get status() {
    const { stream, reached, reader } = this;
    return { stream, position: reached, head: reached > reader.head ? reached : reader.head };
  }

  /** What is there now, at most `limit`; `undefined` when there is nothing. */
  take(limit: number): ReadBatch | undefined {
    if (!this.readable) return undefined;
    const batch = this.reader.poll(limit);
    if (batch && batch.messages.length > 0) return batch;
    this.readable = false;
    this.drained?.();
    return undefined;
  }

  /** What is stored with a position. */
  mark(position: bigint): string | undefined {
    return this.reader.mark(position);
  }

  /** The position that is stored for certain, past repeats that the bus left out. */
  get reached(): bigint {
    return this.reader.reach(this.durable);
  }

  async close(): Promise<void> {
    this.closed = true;
    this.drained?.();
    await this.reader.close();
  }

  private async watch(): Promise<void> {
    while (!this.closed) {
      await this.reader.ready();
      if (this.closed) return;
      const drained = new Promise<void>((resolve) => (this.drained = resolve));
      this.readable = true;
      this.wake();
      await drained;
    }
  }
}
