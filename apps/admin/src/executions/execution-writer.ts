import type { Bus, OutgoingMessage } from '@aloft/bus';
import { isUniqueViolation, type Database, type GrowingTables, type Transaction } from '@aloft/database';
import type { ExecutionsRepository, NewExecution } from './executions.repository.js';
import { GroupCommit, type Waiting } from '../registry/group-commit.js';

interface Pending extends Waiting {
  row: NewExecution;
  message: OutgoingMessage | undefined;
  resolve(created: boolean): void;
}

/**
 * Writes new executions, many in one commit. Row and start command are in the same transaction, and in one packet with its commit: that
 * a name is taken is rare, and found out by the failure.
 */
export class ExecutionWriter {
  private readonly group = new GroupCommit<Pending>((batch) => this.commit(batch));

  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly bus: Bus,
    private readonly growing: GrowingTables,
  ) {}

  /**
   * Resolves after the commit: `false` if the name is taken (nothing is written then). `message`: the start command; none for a run that a
   * foreign engine runs.
   */
  create(row: NewExecution, message: OutgoingMessage | undefined): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.group.add({ row, message, resolve, reject });
    });
  }

  private async commit(batch: readonly Pending[]): Promise<void> {
    try {
      await this.writeNew(batch);
      this.growing.grew('executions', batch.length);
      for (const pending of batch) pending.resolve(true);
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      // Names are taken: those whose are free.
      const created = await this.writeFree(batch);
      for (const pending of batch) pending.resolve(created.has(pending.row.uid));
    }
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
