import { inTransaction, isUniqueViolation, type Database, type Queryable, type Transaction } from '@aloft/database';
import type { DataSource, EntityManager } from 'typeorm';

/**
 * The registry's tables through TypeORM. Repositories take the manager as an argument: `read` outside a transaction, the one
 * that {@link transaction} gives inside. Registering is by hand-written SQL: it is what clients do thousands of times in a row.
 */
export class Registry {
  constructor(
    private readonly source: DataSource,
    private readonly database: Database,
  ) {}

  get read(): EntityManager {
    return this.source.manager;
  }

  /** For hand-written SQL outside a transaction. */
  get sql(): Queryable {
    return this.database;
  }

  /** `manager` and `tx` share one connection: rows and outbox messages are committed together. */
  transaction<T>(work: (manager: EntityManager, tx: Transaction) => Promise<T>): Promise<T> {
    return inTransaction(this.source, work);
  }

  /**
   * Writes a version with all that belongs to it, in the one packet of its commit. `false` if `table` has that version already, which is
   * found out by the failure: nothing is written then.
   */
  async register(table: string, write: (tx: Transaction) => Promise<void>): Promise<boolean> {
    try {
      await this.database.transaction(write);
      return true;
    } catch (error) {
      if (isUniqueViolation(error, `${table}_pkey`)) return false;
      throw error;
    }
  }

  close(): Promise<void> {
    return this.source.destroy();
  }
}
