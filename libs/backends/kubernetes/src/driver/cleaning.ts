import type PQueue from 'p-queue';

export interface CleaningOptions {
  /** Deletions at once. */
  concurrency: number;
  /** Milliseconds in which nothing more urgent was asked for, and nothing told of work that goes on, after which they are done at once. */
  quietMs: number;
  /** Until then so many a second, for a cluster that is never quiet. */
  perSecond: number;
  /** So many may wait; those beyond take turns with everything else. A cluster's own collector lets 12,500 ended pods lie. */
  most: number;
}

/**
 * Deletions of what is over, behind everything else: each costs an API server about what a creation does, nobody waits for it, and it would be at the
 * expense of pods that are on their way.
 */
export class Cleaning {
  private readonly due: (() => Promise<void>)[] = [];
  private running = 0;
  private quietAt = -Infinity;
  /** When the next one may be done although the cluster is busy. */
  private nextAt: number;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly urgent: PQueue,
    private readonly options: CleaningOptions,
  ) {
    this.nextAt = performance.now() + 1_000 / options.perSecond;
    urgent.on('active', () => this.hold());
    urgent.on('idle', () => this.hold());
  }

  /** Never settles if {@link stop} comes first. */
  add<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.due.push(() => work().then(resolve, reject));
      this.pump();
    });
  }

  /** The cluster is busy with something that matters more. */
  hold(): void {
    this.quietAt = performance.now() + this.options.quietMs;
  }

  stop(): void {
    clearTimeout(this.timer);
    this.due.length = 0;
  }

  private pump(): void {
    const { concurrency, most, perSecond } = this.options;
    while (this.due.length > 0 && this.running < concurrency) {
      const now = performance.now();
      if (this.due.length <= most && this.isBusy(now)) {
        if (now < this.nextAt) return this.pumpIn(this.nextAt - now);
        this.nextAt = now + 1_000 / perSecond;
      }
      void this.run(this.due.shift()!);
    }
  }

  private async run(work: () => Promise<void>): Promise<void> {
    this.running++;
    await work();
    this.running--;
    this.pump();
  }

  private isBusy(now: number): boolean {
    return now < this.quietAt || this.urgent.size + this.urgent.pending > 0;
  }

  private pumpIn(ms: number): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.pump();
    }, ms).unref();
  }
}
