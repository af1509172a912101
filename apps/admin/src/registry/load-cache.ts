import { LRUCache } from 'lru-cache';

/**
 * Bounded cache of what is loaded by key: whoever asks while a load is under way gets that load. Failures and absences aren't
 * kept.
 */
export class LoadCache<V> {
  private readonly entries: LRUCache<string, Promise<V | undefined>>;

  /** `ttlMs`: for values that may change elsewhere; without it they are kept as long as there is room. */
  constructor({ max, ttlMs }: { max: number; ttlMs?: number }) {
    this.entries = new LRUCache(ttlMs === undefined ? { max } : { max, ttl: Math.max(1, ttlMs) });
  }

  get(key: string, load: () => Promise<V | undefined>): Promise<V | undefined> {
    const cached = this.entries.get(key);
    if (cached) return cached;
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
