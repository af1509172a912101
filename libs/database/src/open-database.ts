import type { Writable } from 'node:stream';
import { AloftError } from '@aloft/errors';
import { createLogger, currentTrace, inSpan, isRecorded, spanFrom, type Logger, type OpenSpan } from '@aloft/telemetry';
import pg, { type PoolClient, type QueryResult, type QueryResultRow } from 'pg';
import { bindWithoutCopies, type BindingConnection } from './bind.js';
import type { CommitStatement, Database, Statement, Transaction } from './database.js';
import { DatabaseError, toDatabaseError } from './database-error.js';

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
      pipeline: true,
    } as pg.PoolConfig);
    this.#pool.on('connect', (client) => {
      const { connection } = client as unknown as { connection?: BindingConnection };
      if (connection) bindWithoutCopies(connection);
    });
    // An idle connection that breaks is dropped by the pool; the next query opens another.
    this.#pool.on('error', (error) => {
      if (!this.#closed) this.#log.warn({ reason: error.message, schema: this.schema }, 'idle connection lost');
    });
  }

  async query<R extends QueryResultRow>(sql: string | Statement, values?: readonly unknown[]): Promise<QueryResult<R>> {
    try {
      return await run<R>(this.#pool, sql, values);
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const trace = currentTrace();
    if (!isRecorded(trace)) return this.#transaction(work, undefined);
    const attributes = { 'db.system.name': 'postgresql', 'db.namespace': this.schema };
    const span = spanFrom(trace, `${this.schema} transaction`, attributes, { kind: 'client', scope: 'aloft.database' });
    return inSpan(span, () => this.#transaction(work, span));
  }

  async #transaction<T>(work: (tx: Transaction) => Promise<T>, span: OpenSpan | undefined): Promise<T> {
    let client: PoolClient;
    try {
      client = await this.#pool.connect();
    } catch (error) {
      throw toDatabaseError(error);
    }
    // Without a listener, the loss of a connection between two statements would end the process; the next statement
    // on it rejects, which is how the transaction learns of it.
    let lost = false;
    const onError = () => (lost = true);
    client.on('error', onError);
    const tx = new OpenTransaction(client, span);
    try {
      tx.begin();
      const result = await work(tx);
      await tx.commit();
      client.off('error', onError);
      tx.release();
      tx.committed(this.#log);
      return result;
    } catch (error) {
      await rollBack(tx, lost || (error instanceof DatabaseError && error.outcomeUnknown));
      client.off('error', onError);
      // What a statement that nobody waited for said comes first: later ones only say that the transaction is aborted.
      throw tx.failure ?? toDatabaseError(error);
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#pool.end();
    return this.#closed;
  }
}

/** Leaves the connection clean for the next user, or drops it when that is no longer possible. */
async function rollBack(tx: OpenTransaction, broken: boolean): Promise<void> {
  if (broken) return tx.release(true);
  try {
    await tx.rollBack();
    tx.release();
  } catch (error) {
    tx.release(error instanceof Error ? error : true);
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

/** What `pg` 8.23 lets one do beyond its published types. */
interface Pipelined {
  /** Statements are sent without waiting for the answers to those before. */
  pipeline?: boolean;
  /** `I` idle, `T` in a transaction, `E` in a failed one. */
  getTransactionStatus?(): string | null;
  connection?: { stream?: Partial<Pick<Writable, 'cork' | 'uncork'>> };
}

/** Code of Postgres: a statement came after a failed one of its transaction. */
const failedTransaction = '25P02';

/** A transaction on a connection that somebody else begins. */
export class OpenTransaction implements Transaction {
  #sent: Promise<unknown>[] = [];
  /** Of the first statement sent by {@link send} that failed. */
  failure: unknown;
  #statements: (() => CommitStatement)[] = [];
  #effects: (() => void)[] = [];
  #results: (() => void)[] = [];
  #pipelined: boolean;
  #gathering = false;
  readonly #client: Omit<PoolClient, keyof Pipelined> & Pipelined;

  /** `span`: notes the names of the statements, if somebody records the transaction. */
  constructor(
    client: PoolClient,
    private readonly span?: OpenSpan,
  ) {
    this.#client = client;
    this.#pipelined = this.#client.pipeline ?? false;
  }

  get client(): PoolClient {
    // Streams (COPY, cursors) don't work over a pipelined connection.
    if (this.#pipelined) this.#client.pipeline = false;
    return this.#client as PoolClient;
  }

  /** Not awaited: it travels with the first statement. */
  begin(): void {
    this.send('BEGIN');
  }

  send(sql: string | Statement, values?: readonly unknown[], explain = (error: unknown) => error): void {
    this.#gather();
    this.span?.event(nameOf(sql));
    const answer = run(this.#client as PoolClient, sql, values);
    this.#sent.push(answer);
    answer.catch((error: unknown) => {
      // One before it failed, and is heard of by whoever sent that.
      if ((error as { code?: string }).code !== failedTransaction) this.failure ??= explain(toDatabaseError(error));
    });
  }

  async query<R extends QueryResultRow>(sql: string | Statement, values?: readonly unknown[]): Promise<QueryResult<R>> {
    try {
      this.#gather();
      this.span?.event(nameOf(sql));
      return await run<R>(this.#client as PoolClient, sql, values);
    } catch (error) {
      throw toDatabaseError(error);
    }
  }

  withCommit(make: () => CommitStatement): void {
    this.#statements.push(make);
  }

  afterCommit(effect: () => void): void {
    this.#effects.push(effect);
  }

  /** Sends the last statements and COMMIT at once (one after the other where the connection is not pipelined). */
  async commit(): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    if (this.#client.getTransactionStatus?.() === 'E') throw rolledBack();
    const last = this.#statements.map((make) => make());
    this.#gather();
    const answers: Promise<QueryResult>[] = [];
    for (const { sql, values } of last) {
      this.span?.event(nameOf(sql));
      const answer = run(this.#client as PoolClient, sql, values);
      answers.push(answer);
      if (!this.#client.pipeline) await answer;
    }
    this.span?.event('COMMIT');
    const commit = this.#client.query('COMMIT');
    const [ended, ...results] = await Promise.allSettled([commit, ...answers]);
    // Each has been answered by now, or the connection is gone.
    await Promise.allSettled(this.#sent);
    const failed = results.find((result) => result.status === 'rejected');
    const committing = ended.status === 'rejected';
    // Of those that fail together with COMMIT, only a lost connection leaves the outcome open.
    if (this.failure !== undefined && !committing) throw this.failure;
    if (failed) throw toDatabaseError(failed.reason, { committing });
    if (ended.status === 'rejected') throw toDatabaseError(ended.reason, { committing });
    // Postgres answers COMMIT of a failed transaction with a rollback, and no error.
    if (ended.value.command !== 'COMMIT') throw rolledBack();
    this.#results = last.map(({ committed }, i) => () => {
      const result = results[i]!;
      if (result.status === 'fulfilled') committed(result.value);
    });
  }

  /** Travels behind whatever was sent and not answered: the connection must stay pipelined until all of that is. */
  async rollBack(): Promise<void> {
    await this.#client.query('ROLLBACK');
  }

  /** What this turn of the loop sends leaves in one write: a system call each costs more than most statements do. */
  #gather(): void {
    const stream = this.#client.connection?.stream;
    if (this.#gathering || !this.#client.pipeline || !stream?.cork || !stream.uncork) return;
    this.#gathering = true;
    stream.cork();
    process.nextTick(() => {
      this.#gathering = false;
      stream.uncork!();
    });
  }

  /** Runs the effects. One that throws can't undo the commit, so it is logged and the others still run. */
  committed(log: Logger): void {
    const effects = [...this.#results, ...this.#effects];
    this.#results = [];
    this.#effects = [];
    for (const effect of effects) {
      try {
        effect();
      } catch (error) {
        log.error({ err: error }, 'an effect after a commit failed');
      }
    }
  }

  /** Gives the connection back to its pool; drops it when it is broken. */
  release(broken: Error | boolean = false): void {
    if (this.#pipelined) this.#client.pipeline = true;
    this.#client.release(broken);
  }
}

/** What a statement is called in a trace: its name, or its first word and table. Values are parameters, and never in it. */
function nameOf(sql: string | Statement): string {
  if (typeof sql !== 'string') return sql.name;
  const verb = /^\s*(\w+)/.exec(sql)?.[1]?.toUpperCase() ?? 'SQL';
  const table = /\b(?:FROM|INTO|UPDATE)\s+(?!SKIP\b)([a-z_][\w.]*)/i.exec(sql)?.[1];
  return table ? `${verb} ${table}` : verb;
}

function rolledBack(): AloftError {
  return new AloftError(
    'ABORTED',
    'the transaction was rolled back: a statement in it had failed, and its error was not passed on',
  );
}
