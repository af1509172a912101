interface Waiting<Key, Row> {
  key: Key;
  promise: Promise<Row | undefined>;
  resolve(row: Row | undefined): void;
  reject(error: unknown): void;
}

const maxBatch = 200;
const maxInFlight = 2;

/**
 * Reads single rows as many callers at once want them: what is asked for while a statement is under way is read by the next one
 * together, so that 500 watchers cost a handful of round trips, and a lone reader waits for nothing. Every read begins after it was asked
 * for, so it sees all that was committed before.
 */
export class GroupRead<Key, Row> {
  private waiting = new Map<string, Waiting<Key, Row>>();
  private inFlight = 0;

  /** `read`: those of some keys that there are, by their texts. */
  constructor(
    private readonly textOf: (key: Key) => string,
    private readonly read: (keys: readonly Key[]) => Promise<ReadonlyMap<string, Row>>,
  ) {}

  find(key: Key): Promise<Row | undefined> {
    const text = this.textOf(key);
    const known = this.waiting.get(text);
    if (known) return known.promise;
    let resolve!: Waiting<Key, Row>['resolve'];
    let reject!: Waiting<Key, Row>['reject'];
    const promise = new Promise<Row | undefined>((resolved, rejected) => {
      resolve = resolved;
      reject = rejected;
    });
    this.waiting.set(text, { key, promise, resolve, reject });
    this.flush();
    return promise;
  }

  private flush(): void {
    while (this.inFlight < maxInFlight && this.waiting.size > 0) {
      // A second statement only pays for a full one: fewer wait for what runs.
      if (this.inFlight > 0 && this.waiting.size < maxBatch) return;
      const batch = [...this.waiting].slice(0, maxBatch);
      for (const [text] of batch) this.waiting.delete(text);
      this.inFlight++;
      void this.answer(batch).finally(() => {
        this.inFlight--;
        this.flush();
      });
    }
  }

  private async answer(batch: readonly (readonly [string, Waiting<Key, Row>])[]): Promise<void> {
    try {
      const found = await this.read(batch.map(([, { key }]) => key));
      for (const [text, { resolve }] of batch) resolve(found.get(text));
    } catch (error) {
      for (const [, { reject }] of batch) reject(error);
    }
  }
}
