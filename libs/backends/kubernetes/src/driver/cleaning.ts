import PQueue from 'p-queue';

export interface CleaningOptions {
  /** Deletions at once. */
  concurrency: number;
  /** Milliseconds without anything more urgent after which it begins. */
  quietMs: number;
  /** So many may wait; from then on they take turns with everything else. A cluster's own collector lets 12,500 ended pods lie. */
  most: number;
}

/**
 * Deletions of what is over, behind everything else: each costs an API server about what a creation does, and nobody waits for it. They begin
 * when nothing more urgent was asked for a while.
 */
export class Cleaning {
  private readonly queue: PQueue;
  private quiet: NodeJS.Timeout | undefined;

  constructor(
    private readonly urgent: PQueue,
    private readonly options: CleaningOptions,
  ) {
    this.queue = new PQueue({ concurrency: options.concurrency });
    urgent.on('active', () => this.hold());
    urgent.on('idle', () => this.letGo());
    this.queue.on('next', () => this.busy && this.hold());
  }

  add<T>(work: () => Promise<T>): Promise<T> {
    const done = this.queue.add(work);
    if (this.queue.size > this.options.most) this.queue.start();
    return done;
  }

  stop(): void {
    clearTimeout(this.quiet);
    this.queue.clear();
  }

  private get busy(): boolean {
    return this.urgent.size + this.urgent.pending > 0 || this.quiet !== undefined;
  }

  private hold(): void {
    clearTimeout(this.quiet);
    this.quiet = undefined;
    if (this.queue.size > this.options.most) return;
    this.queue.pause();
    if (this.urgent.size + this.urgent.pending === 0) this.letGo();
  }

  private letGo(): void {
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => {
      this.quiet = undefined;
      this.queue.start();
    }, this.options.quietMs).unref();
  }
}
