import { createLogger } from '@aloft/telemetry';
import type { PoolClient } from 'pg';
import { DataSource, type EntityManager, type EntitySchema } from 'typeorm';
import type { Database, Transaction } from './database.js';
import { toDatabaseError } from './database-error.js';
import { OpenTransaction } from './open-database.js';

export interface DataSourceOptions {
  // TypeORM's own type for entity classes.
  // eslint-disable-next-line @typescript-eslint/no-unsafe-function-type
  entities: (Function | EntitySchema)[];
  /** Connections at most (default 4): a pool of its own beside the database's. */
  poolSize?: number;
}

/** A connected TypeORM data source on the database's schema; `destroy()` closes it. Tables come from migrations only. */
export async function createDataSource(database: Database, options: DataSourceOptions): Promise<DataSource> {
  const source = new DataSource({
    type: 'postgres',
    url: database.url,
    schema: database.schema,
    entities: options.entities,
    synchronize: false,
    migrationsRun: false,
    poolSize: options.poolSize ?? 4,
    applicationName: `aloft-${database.schema}-orm`,
    extra: { options: `-c search_path=${database.schema}`, idleTimeoutMillis: 60_000, allowExitOnIdle: true },
  });
  tellDatabaseErrors(source);
  try {
    return await source.initialize();
  } catch (error) {
    throw toDatabaseError(error);
  }
}

/**
 * Whatever goes through the source, find or query, fails with the errors that hand-written SQL fails with: a client that reads while
 * the server is away is told UNAVAILABLE, and comes again.
 */
function tellDatabaseErrors(source: DataSource): void {
  const create = source.createQueryRunner.bind(source);
  source.createQueryRunner = (mode) => {
    const runner = create(mode);
    const [connect, query] = [runner.connect.bind(runner), runner.query.bind(runner) as typeof runner.query];
    const told = (thrown: unknown): never => {
      throw toDatabaseError((thrown as { driverError?: unknown } | undefined)?.driverError ?? thrown);
    };
    runner.connect = () => connect().catch(told) as ReturnType<typeof connect>;
    runner.query = ((...args: Parameters<typeof query>) => query(...args).catch(told)) as typeof runner.query;
    return runner;
  };
}

const log = createLogger('database', { level: 'warn' });

/**
 * One transaction for repositories and hand-written SQL: `manager` and `tx` share its connection, so that an entity, a
 * row and `bus.publish(tx, …)` are committed together. Rejects as {@link Database.transaction} does.
 */
export async function inTransaction<T>(
  source: DataSource,
  work: (manager: EntityManager, tx: Transaction) => Promise<T>,
): Promise<T> {
  const runner = source.createQueryRunner();
  try {
    const client = (await runner.connect()) as PoolClient;
    await runner.startTransaction();
    const tx = new OpenTransaction(client);
    const result = await work(runner.manager, tx);
    await tx.commit();
    // Already committed, with the statements that travel with it: this tells TypeORM so (and its own COMMIT is idle).
    await runner.commitTransaction().catch((error) => log.warn({ err: error }, 'lost a connection after its commit'));
    tx.committed(log);
    return result;
  } catch (error) {
    // The error that brought us here says more than a rollback on a broken connection could.
    if (runner.isTransactionActive) await runner.rollbackTransaction().catch(() => undefined);
    throw toDatabaseError(error);
  } finally {
    await runner.release();
  }
}
