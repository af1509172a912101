import type { Database, Queryable } from '@aloft/database';
import { listQuery } from '../listing/bounded-query.js';
import { taskExecutionModel } from '../listing/run-models.js';
import { compileList, SqlParameters, type ListRequest } from '../listing/list-query.js';
import type { EntityKey } from '../registry/identifiers.js';

export interface TaskExecutionRow {
  nodeId: string;
  retryAttempt: number;
  taskOrg: string;
  taskProject: string;
  taskDomain: string;
  taskName: string;
  taskVersion: string;
  closure: Buffer;
  inputUri: string;
  inputs: Buffer | null;
  outputs: Buffer | null;
  isParent: boolean;
}

const columns = `x.node_id AS "nodeId", x.retry_attempt AS "retryAttempt", x.task_org AS "taskOrg",
  x.task_project AS "taskProject", x.task_domain AS "taskDomain", x.task_name AS "taskName", x.task_version AS "taskVersion",
  x.closure, x.input_uri AS "inputUri", x.inputs, x.outputs, x.is_parent AS "isParent"`;

/** Reads of task executions; the projection writes them. */
export class TaskExecutionsRepository {
  async find(
    db: Queryable,
    executionId: bigint,
    nodeId: string,
    retryAttempt: number,
    task: EntityKey,
  ): Promise<TaskExecutionRow | undefined> {
    const { rows } = await db.query<TaskExecutionRow>(
      `SELECT ${columns} FROM task_executions x WHERE x.execution_id = $1 AND x.node_id = $2 AND x.retry_attempt = $3::bigint
         AND x.task_project = $4 AND x.task_domain = $5 AND x.task_name = $6 AND x.task_version = $7`,
      [executionId, nodeId, retryAttempt, task.project, task.domain, task.name, task.version],
    );
    return rows[0];
  }

  /** Any task's: a node runs one task per attempt. */
  async findAttempt(
    db: Queryable,
    executionId: bigint,
    nodeId: string,
    retryAttempt: number,
  ): Promise<TaskExecutionRow | undefined> {
    const { rows } = await db.query<TaskExecutionRow>(
      `SELECT ${columns} FROM task_executions x WHERE x.execution_id = $1 AND x.node_id = $2 AND x.retry_attempt = $3::bigint
       ORDER BY x.id LIMIT 1`,
      [executionId, nodeId, retryAttempt],
    );
    return rows[0];
  }

  /** RESOURCE_EXHAUSTED if it takes longer than so many milliseconds. */
  async list(
    database: Database,
    executionId: bigint,
    nodeId: string,
    request: ListRequest,
    limitMs: number,
  ): Promise<{ rows: TaskExecutionRow[]; token: string }> {
    const parameters = new SqlParameters();
    const where = [`x.execution_id = ${parameters.add(executionId)}`, `x.node_id = ${parameters.add(nodeId)}`];
    const list = compileList({ model: taskExecutionModel, request, parameters, where });
    const { rows } = await listQuery(database, limitMs, request, (db) =>
      db.query<TaskExecutionRow>(`SELECT ${columns} ${list.tail}`, parameters.values),
    );
    return { rows, token: list.nextToken(rows.length) };
  }

  /** The first so many of a run in order of appearance. */
  async first(db: Queryable, executionId: bigint, limit: number): Promise<TaskExecutionRow[]> {
    const { rows } = await db.query<TaskExecutionRow>(
      `SELECT ${columns} FROM task_executions x WHERE x.execution_id = $1 ORDER BY x.id LIMIT $2`,
      [executionId, limit],
    );
    return rows;
  }
}
