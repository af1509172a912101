import type { PoolClient, QueryResult, QueryResultRow } from 'pg';

/** Runs SQL; a pool outside a transaction, one connection inside. */
export interface Queryable {
  query<R extends QueryResultRow = QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<QueryResult<R>>;
}

/** An open transaction. Repositories take it as an argument; it is never implied. */
export interface Transaction extends Queryable {
  /** The connection itself, for COPY and the like. */
  readonly client: PoolClient;
  /** Runs after COMMIT succeeded, in order of registration, before `transaction()` resolves; never after a rollback. */
  afterCommit(effect: () => void): void;
}

/** One service's schema in one Postgres database; `search_path` of its connections is that schema. */
export interface Database extends Queryable {
  readonly schema: string;
  /** Connection URL, for drivers that open connections of their own (LISTEN, leases). */
  readonly url: string;
  /** Commits when `work` resolves, rolls back when it rejects. Not nestable. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
