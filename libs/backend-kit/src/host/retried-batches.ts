export interface RetriedBatchesOptions<T> {
  /** Writes them and tells everybody; throwing, it is called again with the same. */
  write(batch: readonly T[]): Promise<void>;
  /** It threw, and is tried again after a pause. */
  onRetry(error: unknown, count: number): void;
}

const maxBatch = 500;
const pauseMs = { first: 50, longest: 2_000 };

/** Writes in batches: what gathers while one is under way goes into the next. Tried again, with growing pauses, for as long as the database is away. */
export class RetriedBatches<T> {
  private pending: T[] = [];
  private running: Promise<void> | undefined;
  private stopped = false;
  private wake: (() => void) | undefined;

  constructor(private readonly options: RetriedBatchesOptions<T>) {}

  add(item: T): void {
    this.pending.push(item);
    this.begin();
  }

  /** Resolves when everything given until now is written, or `timeoutMs` have passed. */
  async drain(timeoutMs: number): Promise<void> {
    if (!this.running) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([this.running, new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)))]);
    clearTimeout(timer);
  }

  /** Nothing more is begun. Resolves, once nothing is under way, to what was not written. */
  async stop(): Promise<readonly T[]> {
    this.stopped = true;
    this.wake?.();
    await this.running;
    return this.pending.splice(0);
  }

  private begin(): void {
    if (this.stopped) return;
    this.running ??= this.run().finally(() => {
      this.running = undefined;
      // Whoever was told of the last batch may have added something since the loop looked.
      if (this.pending.length > 0) this.begin();
    });
  }

  private async run(): Promise<void> {
    // What comes in the same turn goes together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    for (let pause = pauseMs.first; this.pending.length > 0 && !this.stopped;) {
      const batch = this.pending.splice(0, maxBatch);
      try {
        await this.options.write(batch);
        pause = pauseMs.first;
      } catch (error) {
        this.pending.unshift(...batch);
        if (this.stopped) return;
        this.options.onRetry(error, batch.length);
        await this.rest(pause);
        pause = Math.min(pauseMs.longest, pause * 2);
      }
    }
  }

  private async rest(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
  }
}
