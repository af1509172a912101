import type { Database } from '@aloft/database';
import { keyText, type NameKey } from '../registry/identifiers.js';
import type { ExecutionRow, ExecutionsRepository } from './executions.repository.js';

const maxBatch = 200;
const maxInFlight = 2;

interface Waiting {
  key: NameKey;
  promise: Promise<ExecutionRow | undefined>;
  resolve(row: ExecutionRow | undefined): void;
  reject(error: unknown): void;
}

/**
 * Reads single executions as many callers at once want them: what is asked for while a statement is under way is read by the next one
 * together, so that 500 watchers cost a handful of round trips, and a lone reader waits for nothing. Every read begins after it was asked
 * for, so it sees all that was committed before.
 */
export class ExecutionReader {
  private waiting = new Map<string, Waiting>();
  private inFlight = 0;

  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
  ) {}

  find(key: NameKey): Promise<ExecutionRow | undefined> {
    const text = keyText(key);
    const known = this.waiting.get(text);
    if (known) return known.promise;
    let resolve!: Waiting['resolve'];
    let reject!: Waiting['reject'];
    const promise = new Promise<ExecutionRow | undefined>((resolved, rejected) => {
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
      void this.read(batch).finally(() => {
        this.inFlight--;
        this.flush();
      });
    }
  }

  private async read(batch: readonly (readonly [string, Waiting])[]): Promise<void> {
    try {
      const rows = await this.executions.findAll(
        this.database,
        batch.map(([, { key }]) => key),
      );
      const found = new Map(rows.map((row) => [keyText(row), row]));
      for (const [text, { resolve }] of batch) resolve(found.get(text));
    } catch (error) {
      for (const [, { reject }] of batch) reject(error);
    }
  }
}
