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
    this.wake?.();
  }

  /** What is there now, possibly nothing. */
  take(): T[] {
    return this.items.splice(0);
  }

  /** Ends the watcher with an error. */
  fail(error: unknown): void {
    this.error = error;
    this.wake?.();
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
      await new Promise<void>((resolve) => {
        const wake = () => {
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.wake = wake;
        signal.addEventListener('abort', wake);
      });
      this.wake = undefined;
    }
  }

  close(): void {
    this.closed = true;
    this.items = [];
    this.onClose();
  }
}
