import type { Database, Queryable } from '@aloft/database';
import { listQuery } from '../listing/bounded-query.js';
import { nodeExecutionModel } from '../listing/run-models.js';
import { compileList, SqlParameters, type ListRequest } from '../listing/list-query.js';

export interface NodeExecutionRow {
  nodeId: string;
  parentNodeId: string | null;
  /** Of the task execution that it runs under (event version 0): see `parentTaskKey`. */
  parentTask: string | null;
  closure: Buffer;
  metadata: Buffer;
  inputUri: string;
  inputs: Buffer | null;
  outputs: Buffer | null;
  dynamicWorkflowId: Buffer | null;
  dynamicClosureUri: string | null;
  /** Encoded aloft.v1.WaitReason. */
  wait: Buffer | null;
}

const columns = `n.node_id AS "nodeId", n.parent_node_id AS "parentNodeId", n.parent_task AS "parentTask", n.closure, n.metadata, n.input_uri AS "inputUri",
  n.inputs, n.outputs, n.dynamic_workflow_id AS "dynamicWorkflowId", n.dynamic_closure_uri AS "dynamicClosureUri", n.wait`;

/** Whose children are asked for. */
export type NodeParent =
  { kind: 'none' } | { kind: 'node'; nodeId: string } | { kind: 'task'; key: string } | { kind: 'any' };

/** Reads of node executions; the projection writes them. */
export class NodeExecutionsRepository {
  async find(db: Queryable, executionId: bigint, nodeId: string): Promise<NodeExecutionRow | undefined> {
    const { rows } = await db.query<NodeExecutionRow>(
      `SELECT ${columns} FROM node_executions n WHERE n.execution_id = $1 AND n.node_id = $2`,
      [executionId, nodeId],
    );
    return rows[0];
  }

  /** Oldest first unless the request says otherwise. RESOURCE_EXHAUSTED if that takes longer than so many milliseconds. */
  async list(
    database: Database,
    executionId: bigint,
    parent: NodeParent,
    request: ListRequest,
    limitMs: number,
  ): Promise<{ rows: NodeExecutionRow[]; token: string }> {
    const parameters = new SqlParameters();
    const where = [`n.execution_id = ${parameters.add(executionId)}`];
    if (parent.kind === 'none') where.push('n.parent_node_id IS NULL AND n.parent_task IS NULL');
    if (parent.kind === 'node') where.push(`n.parent_node_id = ${parameters.add(parent.nodeId)}`);
    if (parent.kind === 'task') where.push(`n.parent_task = ${parameters.add(parent.key)}`);
    const defaultOrder = ['n.created_at', 'n.id'];
    const list = compileList({ model: nodeExecutionModel, request, parameters, where, defaultOrder });
    const { rows } = await listQuery(database, limitMs, request, (db) =>
      db.query<NodeExecutionRow>(`SELECT ${columns} ${list.tail}`, parameters.values),
    );
    return { rows, token: list.nextToken(rows.length) };
  }

  /** Nodes under which others run, at most 1,000, the latest first. */
  async parents(db: Queryable, executionId: bigint): Promise<NodeExecutionRow[]> {
    const { rows } = await db.query<NodeExecutionRow>(
      `SELECT ${columns} FROM node_executions n WHERE n.execution_id = $1 AND n.is_parent ORDER BY n.id DESC LIMIT 1000`,
      [executionId],
    );
    return rows;
  }

  /** The first so many nodes of a run in order of appearance, whatever their parents. */
  async first(db: Queryable, executionId: bigint, limit: number): Promise<NodeExecutionRow[]> {
    const { rows } = await db.query<NodeExecutionRow>(
      `SELECT ${columns} FROM node_executions n WHERE n.execution_id = $1 ORDER BY n.id LIMIT $2`,
      [executionId, limit],
    );
    return rows;
  }
}
