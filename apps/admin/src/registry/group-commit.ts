import { toAloftError } from '@aloft/errors';

/** Somebody who waits for a commit. */
export interface Waiting {
  reject(error: unknown): void;
}

const maxBatch = 128;
const maxInFlight = 2;

/**
 * What arrives while a transaction is under way goes into the next one together, so that 500 calls at once cost a handful of commits, and a lone
 * one waits for nothing. `commit` settles everyone of a batch; when it throws, each is tried alone: one of them is at fault (a message too
 * large, say), and the others must not fail with it.
 */
export class GroupCommit<P extends Waiting> {
  private queue: P[] = [];
  private inFlight = 0;

  constructor(private readonly commit: (batch: readonly P[]) => Promise<void>) {}

  add(pending: P): void {
    this.queue.push(pending);
    this.flush();
  }

  private flush(): void {
    while (this.inFlight < maxInFlight && this.queue.length > 0) {
      // A second transaction only pays for a full one: smaller ones wait for what runs.
      if (this.inFlight > 0 && this.queue.length < maxBatch) return;
      const batch = this.queue.splice(0, maxBatch);
      this.inFlight++;
      void this.settle(batch).finally(() => {
        this.inFlight--;
        this.flush();
      });
    }
  }

  private async settle(batch: readonly P[]): Promise<void> {
    try {
      await this.commit(batch);
    } catch (error) {
      // Without a database nobody is at fault; and of a commit with unknown outcome, a second try would find its own rows.
      if (batch.length === 1 || toAloftError(error).code === 'UNAVAILABLE')
        for (const pending of batch) pending.reject(error);
      else for (const pending of batch) await this.settle([pending]);
    }
  }
}
