import type { Queryable } from '@aloft/database';
import { SqlParameters } from '../listing/list-query.js';

export interface WaitingRow {
  id: bigint;
  org: string;
  project: string;
  domain: string;
  name: string;
  nodeId: string;
  wait: Buffer;
  /** Microseconds, as text that Postgres takes back. */
  since: string;
}

export interface WaitsOf {
  org: string;
  project: string;
  domain: string;
  /** Only of this run. */
  name: string | undefined;
  kinds: readonly number[];
  after: { since: string; id: bigint } | undefined;
  limit: number;
}

/** Nodes that wait, longest first: read from an index that holds no others. */
export class WaitsRepository {
  async list(db: Queryable, { org, project, domain, name, kinds, after, limit }: WaitsOf): Promise<WaitingRow[]> {
    const parameters = new SqlParameters();
    const where = [
      'n.wait_kind <> 0',
      'n.wait IS NOT NULL',
      `e.phase NOT IN ('SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT')`,
      `e.org = ${parameters.add(org)}`,
      `e.project = ${parameters.add(project)}`,
      `e.domain = ${parameters.add(domain)}`,
    ];
    if (name !== undefined) where.push(`e.name = ${parameters.add(name)}`);
    if (kinds.length > 0) where.push(`n.wait_kind = ANY (${parameters.add(kinds)}::smallint[])`);
    if (after)
      where.push(`(n.wait_since, n.id) > (${parameters.add(after.since)}::timestamptz, ${parameters.add(after.id)})`);
    const { rows } = await db.query<WaitingRow & Record<string, unknown>>(
      `SELECT n.id, e.org, e.project, e.domain, e.name, n.node_id AS "nodeId", n.wait,
          to_char(n.wait_since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS since
        FROM node_executions n JOIN executions e ON e.id = n.execution_id
        WHERE ${where.join(' AND ')} ORDER BY n.wait_since, n.id LIMIT ${parameters.add(limit)}`,
      parameters.values,
    );
    return rows;
  }
}
