import type { Queryable } from '@aloft/database';
import type { ItemPage } from '@aloft/idl/aloft/v1/bus';

/** What is read of an attempt to tell where it went and what it used. */
export interface AttemptRow {
  nodeId: string;
  retryAttempt: number;
  org: string;
  project: string;
  domain: string;
  name: string;
  version: string;
  closure: Buffer;
  usage: Buffer | null;
  route: Buffer | null;
}

/** The last attempt of a page. */
export interface AttemptPosition {
  nodeId: string;
  retryAttempt: number;
}

/** When an attempt ran, and where. */
export interface TimesRow {
  startedAt: Date;
  /** Null while it goes on. */
  durationMs: number | null;
  isOver: boolean;
  usage: Buffer | null;
  route: Buffer | null;
}

const columns = `x.node_id AS "nodeId", x.retry_attempt AS "retryAttempt", x.task_org AS org, x.task_project AS project,
  x.task_domain AS domain, x.task_name AS name, x.task_version AS version, x.closure, x.usage, x.route`;

/** Of runs that go on. */
const activePhases = ['UNDEFINED', 'QUEUED', 'RUNNING', 'SUCCEEDING', 'FAILING', 'ABORTING'];

/** Reads of attempts in the order of their key, which is that of the index; the projection writes them. */
export class AttemptsRepository {
  /** At most `limit`, of one node where one is named. A node runs one task per attempt. */
  async page(
    db: Queryable,
    executionId: bigint,
    options: { nodeId: string; after: AttemptPosition | undefined; limit: number },
  ): Promise<AttemptRow[]> {
    const { nodeId, after, limit } = options;
    const { rows } = await db.query<AttemptRow & Record<string, unknown>>(
      `SELECT ${columns} FROM task_executions x
        WHERE x.execution_id = $1 AND ($2 = '' OR x.node_id = $2) AND (x.node_id, x.retry_attempt) > ($3, $4::integer)
        ORDER BY x.node_id, x.retry_attempt LIMIT $5`,
      [executionId, nodeId, after?.nodeId ?? '', after?.retryAttempt ?? -1, limit],
    );
    return rows;
  }

  /** Runs of a project and domain that were told of since then (their ends are), or go on; the newest first, at most `limit` of either. Reads an index of all. */
  async runsSince(
    db: Queryable,
    { org, project, domain }: { org: string; project: string; domain: string },
    since: Date,
    limit: number,
  ): Promise<bigint[]> {
    const { rows } = await db.query<{ id: bigint }>(
      `(SELECT id, created_at FROM executions WHERE org = $1 AND project = $2 AND domain = $3 AND updated_at >= $4
          ORDER BY created_at DESC, id DESC LIMIT $5)
       UNION
       (SELECT id, created_at FROM executions WHERE org = $1 AND project = $2 AND domain = $3 AND phase = ANY($6)
          ORDER BY created_at DESC, id DESC LIMIT $5)
       ORDER BY created_at DESC, id DESC`,
      [org, project, domain, since, limit, activePhases],
    );
    return rows.map(({ id }) => id);
  }

  /** Of attempts that have begun to run. */
  async times(db: Queryable, runs: readonly bigint[], limit: number): Promise<TimesRow[]> {
    const { rows } = await db.query<TimesRow & Record<string, unknown>>(
      `SELECT started_at AS "startedAt", (duration_ns / 1000000)::float8 AS "durationMs",
              phase IN ('SUCCEEDED', 'FAILED', 'ABORTED') AS "isOver", usage, route
         FROM task_executions WHERE execution_id = ANY($1) AND started_at IS NOT NULL LIMIT $2`,
      [runs, limit],
    );
    return rows;
  }

  /** That attempt of a node, or its last one. */
  async closureOf(
    db: Queryable,
    executionId: bigint,
    nodeId: string,
    retryAttempt: number | undefined,
  ): Promise<Pick<AttemptRow, 'retryAttempt' | 'closure'> | undefined> {
    const { rows } = await db.query<Pick<AttemptRow, 'retryAttempt' | 'closure'> & Record<string, unknown>>(
      `SELECT retry_attempt AS "retryAttempt", closure FROM task_executions
        WHERE execution_id = $1 AND node_id = $2 AND ($3::integer IS NULL OR retry_attempt = $3)
        ORDER BY retry_attempt DESC LIMIT 1`,
      [executionId, nodeId, retryAttempt ?? null],
    );
    return rows[0];
  }

  /** Pages of an array's items, from the one that has this index, in their order; at most `limit`. */
  async itemPages(
    db: Queryable,
    executionId: bigint,
    attempt: { nodeId: string; retryAttempt: number },
    options: { from: number; limit: number },
  ): Promise<ItemPage[]> {
    const { rows } = await db.query<ItemPage & Record<string, unknown>>(
      `SELECT first_index AS "firstIndex", states, attempts FROM array_items
        WHERE execution_id = $1 AND node_id = $2 AND retry_attempt = $3 AND first_index >= $4
        ORDER BY first_index LIMIT $5`,
      [executionId, attempt.nodeId, attempt.retryAttempt, options.from, options.limit],
    );
    return rows;
  }
}
