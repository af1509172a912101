import type { Database } from '@aloft/database';
import type { Logger } from '@aloft/telemetry';
import type { RunsRepository } from '../runs/runs.repository.js';
import type { Alarm, Timing } from '../runs/timing.js';
import { TimerHeap, type DueTimer } from './timer-heap.js';

export interface TimerServiceOptions {
  database: Database;
  repository: RunsRepository;
  logger: Logger;
  timing: Timing;
  now(): number;
  /** Timers due within this time are kept in memory (milliseconds). */
  horizonMs: number;
  /** Read at most so many at once. */
  windowSize: number;
}

/** Longest delay that setTimeout takes. */
const maxDelayMs = 2 ** 31 - 1;
/** Until timers that could not be read are asked for again. */
const retryMs = 1000;

/**
 * Timers are rows; those due soon are in a heap, and one timeout stands for the earliest. When the heap's horizon is reached, the next
 * window is read. Nothing polls: a process without timers sleeps.
 */
export class TimerService {
  private readonly heap = new TimerHeap();
  /** Everything due before this time is in the heap. */
  private horizon = 0;
  private timeout: Alarm | undefined;
  private loading: Promise<void> | undefined;
  private stopped = false;

  constructor(
    private readonly options: TimerServiceOptions,
    private readonly shards: () => number[],
    private readonly wake: () => void,
  ) {}

  /**
   * One was set by an input just applied. Twice the horizon is kept: a row not yet committed when the next window is read
   * would be missed otherwise.
   */
  set(uid: string, timer: bigint, at: number): void {
    if (at > this.options.now() + 2 * this.options.horizonMs) return;
    this.heap.set({ uid, timer, at });
    this.arm();
  }

  cancel(uid: string, timer: bigint): void {
    this.heap.cancel(uid, timer);
  }

  /** Takes out those that are due. */
  due(limit: number): DueTimer[] {
    const due = this.heap.due(this.options.now(), limit);
    this.arm();
    return due;
  }

  get ready(): boolean {
    const next = this.heap.next();
    return next !== undefined && next <= this.options.now();
  }

  /** Reads the next window; after shards were taken over, and at the horizon. */
  async refresh(): Promise<void> {
    // Two reads at once could put a timer back that fired in between.
    while (this.loading) await this.loading.catch(() => undefined);
    this.loading = this.load()
      .catch((error: unknown) => {
        // Tried again by itself, whoever asked.
        this.horizon = this.options.now() + retryMs;
        this.arm();
        throw error;
      })
      .finally(() => (this.loading = undefined));
    await this.loading;
  }

  stop(): void {
    this.stopped = true;
    this.timeout?.cancel();
  }

  private async load(): Promise<void> {
    const { database, repository, now, horizonMs, windowSize } = this.options;
    const until = now() + horizonMs;
    const shards = this.shards();
    const rows = shards.length === 0 ? [] : await repository.timers(database, shards, until, windowSize);
    if (this.stopped) return;
    for (const { uid, timer, at } of rows) this.heap.load({ uid, timer, at });
    this.horizon = rows.length === windowSize ? Number(rows[rows.length - 1]!.at) : until;
    this.arm();
    if (this.ready) this.wake();
  }

  private arm(): void {
    this.timeout?.cancel();
    if (this.stopped) return;
    const next = Math.min(this.heap.next() ?? Infinity, this.horizon);
    if (next === Infinity) return;
    const delay = Math.min(Math.max(next - this.options.now(), 0), maxDelayMs);
    this.timeout = this.options.timing.after(delay, () => this.elapsed());
  }

  private elapsed(): void {
    if (this.ready) return this.wake();
    if (this.options.now() < this.horizon) return this.arm();
    // One read at a time: however long it takes, there is nothing to look for again before it is done.
    this.horizon = Infinity;
    this.refresh().catch((error: unknown) => {
      this.options.logger.warn({ err: error }, 'timers cannot be read yet');
    });
  }
}
