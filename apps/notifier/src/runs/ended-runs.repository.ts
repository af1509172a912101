import type { Queryable } from '@aloft/database';
import type { EndPhase, RunEnd } from './run-ends.js';

export interface EndedRun extends RunEnd {
  /** Earlier attempts at finding out whom to tell. */
  attempts: number;
}

/** The queue of ended runs. */
export class EndedRunsRepository {
  async add(db: Queryable, runs: readonly RunEnd[]): Promise<void> {
    if (runs.length === 0) return;
    const column = (name: keyof RunEnd) => runs.map((run) => run[name]);
    await db.query(
      `INSERT INTO ended_runs (uid, org, project, domain, name, phase, error, traceparent, told_at)
       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
         $8::text[], $9::timestamptz[])
       ON CONFLICT DO NOTHING`,
      [
        column('uid'),
        column('org'),
        column('project'),
        column('domain'),
        column('name'),
        column('phase'),
        column('error'),
        column('traceparent'),
        column('toldAt'),
      ],
    );
  }

  /** Takes up to `limit` due ones for `forMs`; another process passes over them until then. */
  async claim(db: Queryable, limit: number, forMs: number): Promise<EndedRun[]> {
    const { rows } = await db.query<EndedRun & { phase: EndPhase }>(
      `UPDATE ended_runs SET due_at = clock_timestamp() + make_interval(secs => $2::float8 / 1000)
       WHERE uid IN (SELECT uid FROM ended_runs WHERE due_at <= clock_timestamp() ORDER BY due_at LIMIT $1
                     FOR UPDATE SKIP LOCKED)
       RETURNING uid, org, project, domain, name, phase, error, attempts,
         traceparent, told_at AS "toldAt"`,
      [limit, forMs],
    );
    return rows;
  }

  async remove(db: Queryable, uids: readonly string[]): Promise<void> {
    await db.query('DELETE FROM ended_runs WHERE uid = ANY($1)', [uids]);
  }

  async postpone(db: Queryable, uid: string, delayMs: number): Promise<void> {
    await db.query(
      `UPDATE ended_runs SET attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => $2::float8 / 1000)
       WHERE uid = $1`,
      [uid, delayMs],
    );
  }

  /** Milliseconds until the next one is due (0 = now); `undefined` if there is none. */
  async nextDue(db: Queryable): Promise<number | undefined> {
    const { rows } = await db.query<{ ms: number | null }>(
      'SELECT (extract(epoch FROM min(due_at) - clock_timestamp()) * 1000)::float8 AS ms FROM ended_runs',
    );
    const ms = rows[0]?.ms ?? undefined;
    return ms === undefined ? undefined : Math.max(0, ms);
  }
}
