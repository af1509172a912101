import { inTransaction, type Database, type Transaction } from '@aloft/database';
import type { DataSource, EntityManager } from 'typeorm';

/**
 * The registry's tables through TypeORM. Repositories take the manager as an argument: `read` outside a transaction, the one
 * that {@link transaction} gives inside. Registering is {@link RegistrationWriter}'s.
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
  get sql(): Database {
    return this.database;
  }

  /** `manager` and `tx` share one connection: rows and outbox messages are committed together. */
  transaction<T>(work: (manager: EntityManager, tx: Transaction) => Promise<T>): Promise<T> {
    return inTransaction(this.source, work);
  }

  close(): Promise<void> {
    return this.source.destroy();
  }
}
