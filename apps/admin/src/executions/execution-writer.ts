import type { Bus, OutgoingMessage } from '@aloft/bus';
import { isUniqueViolation, type Database, type Transaction } from '@aloft/database';
import { toAloftError } from '@aloft/errors';
import type { ExecutionsRepository, NewExecution } from './executions.repository.js';

interface Pending {
  row: NewExecution;
  message: OutgoingMessage | undefined;
  resolve(created: boolean): void;
  reject(error: unknown): void;
}

const maxBatch = 128;
const maxInFlight = 2;

/**
 * Group commit of new executions: what arrives while a transaction is under way goes into the next one together, so that 500
 * creates at once cost a handful of commits, and a lone one waits for nothing. Row and start command are in the same
 * transaction, and in one packet with its commit: that a name is taken is rare, and found out by the failure.
 */
export class ExecutionWriter {
  private queue: Pending[] = [];
  private inFlight = 0;

  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly bus: Bus,
  ) {}

  /**
   * Resolves after the commit: `false` if the name is taken (nothing is written then). `message`: the start command; none for a run that a
   * foreign engine runs.
   */
  create(row: NewExecution, message: OutgoingMessage | undefined): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.queue.push({ row, message, resolve, reject });
      this.flush();
    });
  }

  private flush(): void {
    while (this.inFlight < maxInFlight && this.queue.length > 0) {
      // A second transaction only pays for a full one: smaller ones wait for what runs.
      if (this.inFlight > 0 && this.queue.length < maxBatch) return;
      const batch = this.queue.splice(0, maxBatch);
      this.inFlight++;
      void this.commit(batch).finally(() => {
        this.inFlight--;
        this.flush();
      });
    }
  }

  private async commit(batch: readonly Pending[]): Promise<void> {
    try {
      await this.writeNew(batch);
      for (const pending of batch) pending.resolve(true);
    } catch (error) {
      if (isUniqueViolation(error)) await this.commitFree(batch);
      else await this.failed(batch, error);
    }
  }

  /** Names are taken: those whose are free. */
  private async commitFree(batch: readonly Pending[]): Promise<void> {
    try {
      const created = await this.writeFree(batch);
      for (const pending of batch) pending.resolve(created.has(pending.row.uid));
    } catch (error) {
      await this.failed(batch, error);
    }
  }

  private async failed(batch: readonly Pending[], error: unknown): Promise<void> {
    // Without a database nobody is at fault; and of a commit with unknown outcome, a second try would find its own rows.
    const { code } = toAloftError(error);
    if (batch.length === 1 || code === 'UNAVAILABLE') for (const pending of batch) pending.reject(error);
    // One of them is at fault (a message too large, say): the others must not fail with it.
    else for (const pending of batch) await this.commit([pending]);
  }

  private writeNew(batch: readonly Pending[]): Promise<void> {
    return this.database.transaction(async (tx) => {
      this.executions.sendNew(
        tx,
        batch.map(({ row }) => row),
      );
      await this.publish(tx, batch);
    });
  }

  private writeFree(batch: readonly Pending[]): Promise<Map<string, bigint>> {
    return this.database.transaction(async (tx) => {
      const created = await this.executions.insert(
        tx,
        batch.map(({ row }) => row),
      );
      const free = batch.filter(({ row }) => created.has(row.uid));
      await this.publish(tx, free);
      return created;
    });
  }

  private async publish(tx: Transaction, batch: readonly Pending[]): Promise<void> {
    const messages = batch.flatMap(({ message }) => message ?? []);
    if (messages.length > 0) await this.bus.publish(tx, messages);
  }
}
