import type { Queryable, Transaction } from '@aloft/database';

export interface ErasableRun {
  org: string;
  project: string;
  domain: string;
  name: string;
  phase: number;
  history_uri: string | null;
}

/** Statements that remove what the engine keeps of a run. */
export class RunEraseRepository {
  async find(db: Queryable, uid: string): Promise<ErasableRun | undefined> {
    const { rows } = await db.query<ErasableRun & Record<string, unknown>>(
      'SELECT org, project, domain, name, phase, history_uri FROM runs WHERE uid = $1',
      [uid],
    );
    return rows[0];
  }

  /** One process at a time changes an object, until the transaction ends. */
  async lockObject(tx: Transaction, uri: string): Promise<void> {
    await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 8))', [uri]);
  }

  /** The row stays, so that a late command finds the run ended, without anything that a person gave. An empty history: erased. */
  async bury(tx: Transaction, uid: string, start: Uint8Array): Promise<void> {
    await tx.query(
      `UPDATE runs SET start = $2, history_uri = '', traceparent = '', tracestate = '', quarantine = NULL, attention = false
        WHERE uid = $1`,
      [uid, start],
    );
    for (const table of ['log', 'snapshots', 'timers', 'reservations', 'child_aborts'])
      await tx.query(`DELETE FROM ${table} WHERE run_uid = $1`, [uid]);
  }
}
