import type { Queryable } from '@aloft/database';
import { type Erasure, Erasure_State, Removed } from '@aloft/idl/aloft/v1/retention';
import type { NameKey } from '../registry/identifiers.js';
import { timestampOf } from '../time.js';

/** A run that is to go with those that its nodes started. */
export interface FamilyRow extends NameKey {
  id: bigint;
  uid: string;
  phase: string;
  parent_uid: string | null;
}

export interface ErasureRow extends NameKey {
  id: string;
  number: bigint;
  uid: string;
  parent_id: string | null;
  reason: string;
  principal: string;
  requested_at: Date;
  removed: Buffer | null;
  done_at: Date | null;
  problem: string;
  attempts: number;
}

const columns = `id, number, uid, org, project, domain, name, parent_id, reason, principal, requested_at, removed, done_at, problem, attempts`;

/** Tables of the read model that have rows of a run, by its row's id. */
const ofRun = [
  'execution_tags',
  'node_executions',
  'task_executions',
  'array_items',
  'signals',
  'node_revisions',
] as const;

/** After it, unless it is extended, the process that works on an erasure counts as lost. */
const leaseSeconds = 20;
export const heartbeatMs = 5_000;

/** Receipts and the rows that they are about. */
export class ErasuresRepository {
  /** The run and, however deep, those that it started; the run first. */
  async family(db: Queryable, key: NameKey): Promise<FamilyRow[]> {
    const { rows } = await db.query<FamilyRow & Record<string, unknown>>(
      `WITH RECURSIVE family AS (
         SELECT e.id, e.uid, e.org, e.project, e.domain, e.name, e.phase, NULL::uuid AS parent_uid, 0 AS depth FROM executions e
         WHERE e.org = $1 AND e.project = $2 AND e.domain = $3 AND e.name = $4
         UNION ALL
         SELECT c.id, c.uid, c.org, c.project, c.domain, c.name, c.phase, f.uid, f.depth + 1
         FROM family f JOIN executions c ON c.parent_execution_id = f.id
       )
       SELECT id, uid, org, project, domain, name, phase, parent_uid FROM family ORDER BY depth, id`,
      [key.org, key.project, key.domain, key.name],
    );
    return rows;
  }

  /** In the order given, parents first; those that there are already stay as they are. */
  async insert(db: Queryable, runs: readonly FamilyRow[], reason: string, principal: string): Promise<void> {
    for (const { uid, org, project, domain, name, parent_uid } of runs)
      await db.query(
        `INSERT INTO erasures (uid, org, project, domain, name, parent_id, reason, principal)
         VALUES ($1, $2, $3, $4, $5, (SELECT id FROM erasures WHERE uid = $6), $7, $8) ON CONFLICT (uid) DO NOTHING`,
        [uid, org, project, domain, name, parent_uid, reason, principal],
      );
  }

  async find(db: Queryable, id: string): Promise<ErasureRow | undefined> {
    return (await this.rows(db, 'WHERE id = $1', [id]))[0];
  }

  /** The latest of a name, or the one of a run. */
  async latest(db: Queryable, key: NameKey, uid: string): Promise<ErasureRow | undefined> {
    const values = [key.org, key.project, key.domain, key.name, uid];
    const where = `WHERE org = $1 AND project = $2 AND domain = $3 AND name = $4 AND ($5 = '' OR uid::text = $5)`;
    return (await this.rows(db, `${where} ORDER BY number DESC LIMIT 1`, values))[0];
  }

  /** An erasure with those of the children, parents first. */
  async withChildren(db: Queryable, id: string): Promise<ErasureRow[]> {
    const { rows } = await db.query<ErasureRow & Record<string, unknown>>(
      `WITH RECURSIVE family AS (
         SELECT x.*, 0 AS depth FROM erasures x WHERE x.id = $1
         UNION ALL SELECT c.*, f.depth + 1 FROM family f JOIN erasures c ON c.parent_id = f.id
       )
       SELECT ${columns} FROM family ORDER BY depth, number`,
      [id],
    );
    return rows;
  }

  list(
    db: Queryable,
    { org, project, domain, name }: NameKey,
    before: bigint | undefined,
    limit: number,
  ): Promise<ErasureRow[]> {
    return this.rows(
      db,
      `WHERE org = $1 AND $2 IN ('', project) AND $3 IN ('', domain) AND $4 IN ('', name) AND ($5::bigint IS NULL OR number < $5)
       ORDER BY number DESC LIMIT $6`,
      [org, project, domain, name, before ?? null, limit],
    );
  }

  /** One that is due, this process's from now on. */
  async claim(db: Queryable): Promise<ErasureRow | undefined> {
    const { rows } = await db.query<ErasureRow & Record<string, unknown>>(
      `UPDATE erasures SET due_at = now() + ${leaseSeconds} * interval '1 second', attempts = attempts + 1
       WHERE id = (SELECT id FROM erasures WHERE done_at IS NULL AND due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING ${columns}`,
    );
    return rows[0];
  }

  /** What failed is tried again now. */
  async hasten(db: Queryable, ids: readonly string[]): Promise<void> {
    await db.query(
      `UPDATE erasures SET due_at = now(), problem = '', attempts = 0 WHERE id = ANY($1::uuid[]) AND done_at IS NULL AND problem <> ''`,
      [ids],
    );
  }

  /** Milliseconds until the next one is due. */
  async nextDueMs(db: Queryable): Promise<number | undefined> {
    const { rows } = await db.query<{ ms: number | null }>(
      `SELECT (extract(epoch FROM min(due_at) - now()) * 1000)::float8 AS ms FROM erasures WHERE done_at IS NULL`,
    );
    const ms = rows[0]?.ms;
    return ms === null || ms === undefined ? undefined : Math.max(0, ms);
  }

  /** What there was, once: whoever goes on with it later must not count what is left. */
  async keepInventory(db: Queryable, id: string, removed: Removed): Promise<void> {
    await db.query('UPDATE erasures SET removed = $2 WHERE id = $1 AND removed IS NULL', [
      id,
      Buffer.from(Removed.encode(removed).finish()),
    ]);
  }

  async failed(db: Queryable, id: string, problem: string, retryMs: number): Promise<void> {
    await db.query(
      `UPDATE erasures SET problem = $2, due_at = now() + $3 * interval '1 millisecond' WHERE id = $1 AND done_at IS NULL`,
      [id, problem, retryMs],
    );
  }

  async extend(db: Queryable, id: string): Promise<void> {
    await db.query(
      `UPDATE erasures SET due_at = now() + ${leaseSeconds} * interval '1 second' WHERE id = $1 AND done_at IS NULL`,
      [id],
    );
  }

  /** Rows of the read model that a run has, itself among them. */
  async countRows(db: Queryable, id: bigint): Promise<number> {
    const counts = ofRun.map((table) => `(SELECT count(*) FROM ${table} WHERE execution_id = $1)`).join(' + ');
    const { rows } = await db.query<{ rows: bigint }>(`SELECT 1 + ${counts} AS rows`, [id]);
    return Number(rows[0]!.rows);
  }

  /** The name is free from the commit on. */
  async removeRows(db: Queryable, erasure: ErasureRow, id: bigint | undefined): Promise<void> {
    if (id !== undefined) {
      for (const table of ofRun) await db.query(`DELETE FROM ${table} WHERE execution_id = $1`, [id]);
      await db.query('DELETE FROM executions WHERE id = $1', [id]);
    }
    await db.query(`UPDATE erasures SET done_at = now(), problem = '' WHERE id = $1 AND done_at IS NULL`, [erasure.id]);
  }

  /** What names the places of its raw data: attempts and items of tasks. */
  async attempts(db: Queryable, id: bigint): Promise<{ node_id: string; retry_attempt: number; is_array: boolean }[]> {
    const { rows } = await db.query<{ node_id: string; retry_attempt: number; is_array: boolean }>(
      `SELECT x.node_id, x.retry_attempt, coalesce(n.is_array, false) AS is_array
       FROM task_executions x LEFT JOIN node_executions n ON n.execution_id = x.execution_id AND n.node_id = x.node_id
       WHERE x.execution_id = $1`,
      [id],
    );
    return rows;
  }

  private async rows(db: Queryable, tail: string, values: readonly unknown[]): Promise<ErasureRow[]> {
    return (await db.query<ErasureRow & Record<string, unknown>>(`SELECT ${columns} FROM erasures ${tail}`, values))
      .rows;
  }
}

export function erasureOf(row: ErasureRow): Erasure {
  const { org, project, domain, name } = row;
  return {
    id: row.id,
    execution: { org, project, domain, name },
    executionUid: row.uid,
    state: row.done_at ? Erasure_State.DONE : Erasure_State.RUNNING,
    reason: row.reason,
    principal: row.principal,
    requestedAt: timestampOf(row.requested_at),
    doneAt: row.done_at ? timestampOf(row.done_at) : undefined,
    removed: row.removed ? Removed.decode(row.removed) : undefined,
    problem: row.problem,
    parentId: row.parent_id ?? '',
  };
}
