import { AloftError } from '@aloft/errors';
import { createLogger, type Logger } from '@aloft/telemetry';
import pg, { type PoolClient, type QueryResult, type QueryResultRow } from 'pg';
import type { Database, Statement, Transaction } from './database.js';
import { toDatabaseError } from './database-error.js';

export interface DatabaseOptions {
  /** `postgresql://user:password@host:port/database`. */
  url: string;
  schema: string;
  /** Role that the connections take on (SET ROLE); default: the one that logs in. */
  role?: string;
  /** Connections at most (default 8). Each is a Postgres process: keep the sum of all pools under `max_connections`. */
  poolSize?: number;
  /** What Postgres shows in pg_stat_activity (default: the schema's name). */
  applicationName?: string;
  logger?: Logger;
}

/** Opens a pool whose connections have the schema as search_path. Connects when first used. */
export function openDatabase(options: DatabaseOptions): Database {
  return new PooledDatabase(options);
}

/** Names of schemas and roles: plain lower-case identifiers, so that they never need quoting. */
export function checkIdentifier(what: string, name: string): string {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name))
    throw new TypeError(`${what} "${name}" must be lower-case letters, digits and "_" (at most 63, no digit first)`);
  return name;
}

const int8 = 20;
const int8Array = 1016;
const textArray = 1009;

/** `pg`'s parsers, with int8 as bigint: positions and counters pass 2^53 in principle, and ports say bigint. */
export const typeParsers = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === int8 && format !== 'binary') return BigInt;
    if (oid === int8Array && format !== 'binary') {
      const strings = pg.types.getTypeParser(textArray as never, 'text') as (value: string) => (string | null)[];
      return (value: string) => strings(value).map((item) => (item === null ? null : BigInt(item)));
    }
    return pg.types.getTypeParser(oid, format as 'text');
  },
} as unknown as typeof pg.types;

class PooledDatabase implements Database {
  readonly schema: string;
  readonly url: string;
  readonly #pool: pg.Pool;
  readonly #log: Logger;
  #closed: Promise<void> | undefined;

  constructor(options: DatabaseOptions) {
    this.schema = checkIdentifier('schema', options.schema);
    this.url = options.url;
    this.#log = options.logger ?? createLogger('database', { level: 'warn' });
    const role = options.role === undefined ? '' : ` -c role=${checkIdentifier('role', options.role)}`;
    this.#pool = new pg.Pool({
      connectionString: options.url,
      max: options.poolSize ?? 8,
      application_name: options.applicationName ?? `aloft-${options.schema}`,
      // A paused process must not hold its rows' locks for ever.
      options: `-c search_path=${options.schema} -c idle_in_transaction_session_timeout=60s${role}`,
      idleTimeoutMillis: 60_000,
      connectionTimeoutMillis: 15_000,
      allowExitOnIdle: true,
      types: typeParsers,
    });
    // An idle connection that breaks is dropped by the pool; the next query opens another.
    this.#pool.on('error', (error) => this.#log.warn({ err: error, schema: this.schema }, 'idle connection lost'));
  }

  async query<R extends QueryResultRow>(sql: string | Statement, values?: readonly unknown[]): Promise<QueryResult<R>> {
    try {
      return await run<R>(this.#pool, sql, values);
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  async transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    let client: PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw toDatabaseError(error);
    }
    // Without a listener, the loss of a connection between two statements would end the process; the next statement
    // on it rejects, which is how the transaction learns of it.
    let lost: Error | undefined;
    const onError = (error: Error) => (lost = error);
    client.on('error', onError);
    const tx = new OpenTransaction(client);
    let committing = false;
    try {
      await client.query('BEGIN');
      const result = await work(tx);
      await tx.prepareCommit();
      committing = true;
      await client.query('COMMIT');
      client.off('error', onError);
      client.release();
      tx.committed(this.#log);
      return result;
    } catch (error) {
      await rollBack(client, lost ?? (committing ? error : undefined));
      client.off('error', onError);
      throw toDatabaseError(error, { committing });
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#pool.end();
    return this.#closed;
  }
}

/** Leaves the connection clean for the next user, or drops it when that is no longer possible. */
async function rollBack(client: PoolClient, broken: unknown): Promise<void> {
  if (broken !== undefined) {
    client.release(true);
    return;
  }
  try {
    await client.query('ROLLBACK');
    client.release();
  } catch (error) {
    client.release(error instanceof Error ? error : true);
  }
}

/** Runs one statement; a {@link Statement} is prepared under its name. */
export function run<R extends QueryResultRow>(
  on: pg.Pool | PoolClient,
  sql: string | Statement,
  values?: readonly unknown[],
): Promise<QueryResult<R>> {
  return typeof sql === 'string'
    ? on.query<R>(sql, values as unknown[])
    : on.query<R>({ name: sql.name, text: sql.text, values: values as unknown[] });
}

/** A transaction on a connection that somebody else begins and ends. */
export class OpenTransaction implements Transaction {
  #last: (() => Promise<void>)[] = [];
  #effects: (() => void)[] = [];

  constructor(readonly client: PoolClient) {}

  async query<R extends QueryResultRow>(sql: string | Statement, values?: readonly unknown[]): Promise<QueryResult<R>> {
    try {
      return await run<R>(this.client, sql, values);
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  beforeCommit(work: () => Promise<void>): void {
    this.#last.push(work);
  }

  /** Runs what was to run before COMMIT. */
  async prepareCommit(): Promise<void> {
    this.#checkHealthy();
    for (let work = this.#last.shift(); work !== undefined; work = this.#last.shift()) {
      await work();
      this.#checkHealthy();
    }
  }

  /** Postgres would answer the COMMIT of a failed transaction with a rollback, and no error. */
  #checkHealthy(): void {
    const { getTransactionStatus } = this.client as unknown as { getTransactionStatus(): string | null };
    if (getTransactionStatus.call(this.client) === 'E')
      throw new AloftError(
        'ABORTED',
        'the transaction was rolled back: a statement in it had failed, and its error was not passed on',
      );
  }

  afterCommit(effect: () => void): void {
    this.#effects.push(effect);
  }

  /** Runs the effects. One that throws can't undo the commit, so it is logged and the others still run. */
  committed(log: Logger): void {
    const effects = this.#effects;
    this.#effects = [];
    for (const effect of effects) {
      try {
        effect();
      } catch (error) {
        log.error({ err: error }, 'an effect after a commit failed');
      }
    }
  }
}
