import { AloftError, toAloftError } from '@aloft/errors';

export interface Gathered<Item> {
  index: number;
  item: Item;
}

export interface ArrayBatcherOptions<Item> {
  /** Milliseconds without a further item, and at most, until those of one key are submitted. */
  windowMs: { idle: number; longest: number };
  maxSize: number;
  /** Submits these, which have different indices in ascending order; answers with the job of each. */
  submit(key: string, items: readonly Gathered<Item>[]): Promise<void>;
}

interface Window<Item> {
  items: Map<number, Gathered<Item>>;
  idle: NodeJS.Timeout;
  longest: NodeJS.Timeout;
}

/** Gathers items of one array that come within a short time. Never more than are in flight, which the host bounds. */
export class ArrayBatcher<Item> {
  private readonly windows = new Map<string, Window<Item>>();

  constructor(private readonly options: ArrayBatcherOptions<Item>) {}

  /** `all`: so many there are altogether; once they are here nothing is waited for. */
  add(key: string, { index, item }: Gathered<Item>, all: number): void {
    const { idle, longest } = this.options.windowMs;
    let window = this.windows.get(key);
    if (!window) {
      const flush = () => this.flush(key);
      window = { items: new Map(), idle: setTimeout(flush, idle), longest: setTimeout(flush, longest) };
      this.windows.set(key, window);
    }
    window.items.set(index, { index, item });
    window.idle.refresh();
    if (window.items.size >= Math.min(this.options.maxSize, all || Infinity)) this.flush(key);
  }

  /** It is not wanted any more; whether it was still waiting here. */
  remove(key: string, index: number): boolean {
    return this.windows.get(key)?.items.delete(index) ?? false;
  }

  stop(): void {
    for (const { idle, longest } of this.windows.values()) {
      clearTimeout(idle);
      clearTimeout(longest);
    }
    this.windows.clear();
  }

  private flush(key: string): void {
    const window = this.windows.get(key);
    if (!window) return;
    this.windows.delete(key);
    clearTimeout(window.idle);
    clearTimeout(window.longest);
    const items = [...window.items.values()].sort((a, b) => a.index - b.index);
    if (items.length > 0) void this.options.submit(key, items);
  }
}

/** For whoever waits for an item that was taken out again. */
export const notWanted = (reason: unknown): AloftError =>
  new AloftError('CANCELLED', `the attempt is not wanted any more: ${toAloftError(reason).message}`);
