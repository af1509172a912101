import { LRUCache } from 'lru-cache';

/**
 * Bounded cache of what is loaded by key: whoever asks while a load is under way gets that load. Failures and absences aren't
 * kept. What is asked for when more than half of its time is over is loaded again meanwhile, so that nobody waits for what is asked
 * for all the time.
 */
export class LoadCache<V> {
  private readonly entries: LRUCache<string, Promise<V | undefined>>;
  private readonly refreshing = new WeakSet<Promise<V | undefined>>();
  private readonly ttlMs: number | undefined;

  /** `ttlMs`: for values that may change elsewhere; without it they are kept as long as there is room. */
  constructor({ max, ttlMs }: { max: number; ttlMs?: number }) {
    this.ttlMs = ttlMs;
    this.entries = new LRUCache(ttlMs === undefined ? { max } : { max, ttl: Math.max(1, ttlMs), ttlResolution: 0 });
  }

  get(key: string, load: () => Promise<V | undefined>): Promise<V | undefined> {
    const cached = this.entries.get(key);
    if (!cached) return this.load(key, load);
    if (this.ttlMs !== undefined && this.entries.getRemainingTTL(key) < this.ttlMs / 2) this.refresh(key, cached, load);
    return cached;
  }

  /** The old value is given out until the new one is there, or its own time is over. */
  private refresh(key: string, cached: Promise<V | undefined>, load: () => Promise<V | undefined>): void {
    if (this.refreshing.has(cached)) return;
    this.refreshing.add(cached);
    const began = performance.now();
    load().then(
      (value) => {
        // Cleared, or loaded anew, since then.
        if (this.entries.peek(key) !== cached) return;
        if (value === undefined) this.entries.delete(key);
        else this.entries.set(key, Promise.resolve(value), { start: began });
      },
      // Whoever asks when its time is over hears why it can't be loaded.
      () => this.refreshing.delete(cached),
    );
  }

  private load(key: string, load: () => Promise<V | undefined>): Promise<V | undefined> {
    const forget = () => {
      if (this.entries.peek(key) === loading) this.entries.delete(key);
    };
    const loading = load().then(
      (value) => {
        if (value === undefined) forget();
        return value;
      },
      (error: unknown) => {
        forget();
        throw error;
      },
    );
    this.entries.set(key, loading);
    return loading;
  }

  delete(key: string): void {
    this.entries.delete(key);
  }

  clear(): void {
    this.entries.clear();
  }
}
