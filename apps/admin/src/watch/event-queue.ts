/**
 * What one watcher has not taken yet: bounded. When it is full, everything in it is dropped and the watcher is told, who then
 * begins anew with a snapshot: a slow client costs no memory.
 */
export class EventQueue<T> {
  private items: T[] = [];
  /** Newest of what was dropped, until the watcher has been told. */
  private dropped: T | undefined;
  private closed = false;
  private error: unknown;
  private wake: (() => void) | undefined;
  private heeded: AbortSignal | undefined;

  constructor(
    private readonly capacity: number,
    private readonly onClose: () => void,
  ) {}

  push(item: T): void {
    if (this.closed) return;
    if (this.dropped !== undefined || this.items.length >= this.capacity) {
      this.items = [];
      this.dropped = item;
    } else this.items.push(item);
    this.woken();
  }

  /** What is there now, possibly nothing. */
  take(): T[] {
    return this.items.splice(0);
  }

  /** Ends the watcher with an error. */
  fail(error: unknown): void {
    this.error = error;
    this.woken();
  }

  /** All that is there, at least one; after a drop the newest of what is gone; `undefined` when `signal` is aborted. */
  async next(signal: AbortSignal): Promise<{ items: T[] } | { dropped: T } | undefined> {
    for (;;) {
      if (this.error !== undefined) throw this.error;
      if (signal.aborted) return undefined;
      if (this.dropped !== undefined) {
        const { dropped } = this;
        this.dropped = undefined;
        return { dropped };
      }
      if (this.items.length > 0) {
        const { items } = this;
        this.items = [];
        return { items };
      }
      this.heed(signal);
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  /** A listener for each wait would cost more than the wait. */
  private heed(signal: AbortSignal): void {
    if (this.heeded === signal) return;
    this.heeded = signal;
    signal.addEventListener('abort', () => this.woken(), { once: true });
  }

  private woken(): void {
    const { wake } = this;
    this.wake = undefined;
    wake?.();
  }

  close(): void {
    this.closed = true;
    this.items = [];
    this.onClose();
  }
}
