import type { Queryable, Statement } from '@aloft/database';

/** What is stored of a run beside its log. */
export interface StoredRunRow {
  org: string;
  project: string;
  domain: string;
  name: string;
  phase: number;
  quarantine: string | null;
  history_uri: string | null;
  snapshot_seq: bigint | null;
  snapshot: Buffer | null;
  snapshot_graphs: Record<string, string> | null;
}

export interface LogPageRow {
  first_seq: bigint;
  entry_count: number;
  segment: Buffer;
}

const find: Statement = {
  name: 'propeller_history_find',
  text: `SELECT r.org, r.project, r.domain, r.name, r.phase, r.quarantine, r.history_uri, NULL::bigint AS snapshot_seq,
      NULL::bytea AS snapshot, NULL::jsonb AS snapshot_graphs FROM runs r WHERE r.uid = $1`,
};
const stored: Statement = {
  name: 'propeller_history_stored',
  text: `SELECT r.org, r.project, r.domain, r.name, r.phase, r.quarantine, r.history_uri, s.next_seq AS snapshot_seq,
      s.state AS snapshot, s.graphs AS snapshot_graphs
    FROM runs r LEFT JOIN snapshots s ON s.run_uid = r.uid WHERE r.uid = $1`,
};
// The row that holds the entry asked for may begin before it.
const page: Statement = {
  name: 'propeller_history_page',
  text: `SELECT first_seq, entry_count, segment FROM log
    WHERE run_uid = $1 AND first_seq >= coalesce((SELECT max(first_seq) FROM log WHERE run_uid = $1 AND first_seq <= $2), $2)
    ORDER BY first_seq LIMIT $3`,
};

/** Reads of the log for others: of any run, whoever owns its shard. */
export class RunLogRepository {
  async find(db: Queryable, uid: string): Promise<StoredRunRow | undefined> {
    return (await db.query<StoredRunRow & Record<string, unknown>>(find, [uid])).rows[0];
  }

  /** With its snapshot, as of one moment. */
  async stored(db: Queryable, uid: string): Promise<StoredRunRow | undefined> {
    return (await db.query<StoredRunRow & Record<string, unknown>>(stored, [uid])).rows[0];
  }

  /** Rows of the log from the one that holds entry `from`, at most `limit`. */
  async page(db: Queryable, uid: string, from: bigint, limit: number): Promise<LogPageRow[]> {
    return (await db.query<LogPageRow & Record<string, unknown>>(page, [uid, from, limit])).rows;
  }
}
