import type { PoolClient, QueryResult, QueryResultRow } from 'pg';

/**
 * A statement that each connection parses and plans once: for hot paths. The name is unique for its text (at most 63
 * bytes); keep both constants of a module.
 */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/**
 * Runs SQL; a pool outside a transaction, one connection inside. `int8` comes back as bigint, `bytea` as Buffer,
 * `timestamptz` as Date (milliseconds). Rejects with {@link DatabaseError}.
 */
export interface Queryable {
  query<R extends QueryResultRow = QueryResultRow>(
    sql: string | Statement,
    values?: readonly unknown[],
  ): Promise<QueryResult<R>>;
}

/** See {@link Transaction.withCommit}. */
export interface CommitStatement {
  sql: string | Statement;
  values: readonly unknown[];
  /** Gets the statement's result when the commit has succeeded, before the effects of {@link Transaction.afterCommit}. */
  committed(result: QueryResult): void;
}

/** An open transaction. Repositories take it as an argument; it is never implied. */
export interface Transaction extends Queryable {
  /** The connection itself, for COPY and the like; await the transaction's earlier statements first. */
  readonly client: PoolClient;
  /**
   * Sends a statement and goes on: its answer is waited for with the commit's, so that a transaction of such statements costs
   * one round trip. It fails the transaction with its error, or with what `explain` makes of that; a statement that must
   * refuse has to raise, since nobody looks at what it returns.
   */
  send(sql: string | Statement, values?: readonly unknown[], explain?: (error: unknown) => unknown): void;
  /**
   * A statement that is sent together with COMMIT, made when the work is done: for what takes locks that everybody wants
   * (the bus's streams) and so should hold them as briefly as can be. Its failure rolls back.
   */
  withCommit(make: () => CommitStatement): void;
  /** Runs after COMMIT succeeded, in order of registration, before `transaction()` resolves; never after a rollback. */
  afterCommit(effect: () => void): void;
}

/** One service's schema in one Postgres database; `search_path` of its connections is that schema. */
export interface Database extends Queryable {
  readonly schema: string;
  /** Connection URL, for drivers that open connections of their own (LISTEN, leases). */
  readonly url: string;
  /**
   * Commits when `work` resolves, rolls back when it rejects. Not nestable. UNAVAILABLE with `outcomeUnknown` when the
   * connection was lost while committing.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
