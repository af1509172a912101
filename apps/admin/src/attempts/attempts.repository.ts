import type { Queryable } from '@aloft/database';

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

const columns = `x.node_id AS "nodeId", x.retry_attempt AS "retryAttempt", x.task_org AS org, x.task_project AS project,
  x.task_domain AS domain, x.task_name AS name, x.task_version AS version, x.closure, x.usage, x.route`;

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
}
