import { arrayParameter, type Element, type ElementType, type Queryable, type Transaction } from '@aloft/database';
import { TaskUsage, WaitReason } from '@aloft/idl/aloft/v1/bus';
import { Route } from '@aloft/idl/aloft/v1/routing';
import { ExecutionClosure } from '@aloft/idl/flyteidl/admin/execution';
import { NodeExecutionClosure, NodeExecutionMetaData } from '@aloft/idl/flyteidl/admin/node_execution';
import { TaskExecutionClosure } from '@aloft/idl/flyteidl/admin/task_execution';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import { ExecutionError_ErrorKind, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import { Identifier, ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { searchableValues } from '../listing/searchable-values.js';
import { nanosOf, nextTurn } from '../time.js';
import type { ExecutionState } from './fold-execution.js';
import { newNodeState, type NodeState } from './fold-node.js';
import { newTaskState, type TaskState } from './fold-task.js';
import { executionPhaseName, nodePhaseName, taskPhaseName } from './phases.js';

/** An execution's row while a batch is folded into it. */
export interface ProjectedExecution {
  id: bigint;
  uid: string;
  lastSequence: bigint;
  state: ExecutionState;
}

export interface ProjectedNode {
  executionId: bigint;
  state: NodeState;
}

export interface ProjectedTask {
  executionId: bigint;
  state: TaskState;
}

export interface ReachedGate {
  executionId: bigint;
  signalId: string;
  nodeId: string;
  type: Buffer;
}

/** Name, type of its array and value of each column: one statement takes any number of rows, by unnest. */
type Columns<T> = readonly (readonly [name: string, type: ElementType, cell: (row: T) => Element])[];

const outcomeColumns = (error: ExecutionError | undefined) => ({
  kind: error ? (ExecutionError_ErrorKind[error.kind] ?? null) : null,
  code: error?.code ?? null,
});
const errorOf = (result: { $case: string; value: unknown } | undefined): ExecutionError | undefined =>
  result?.$case === 'error' ? (result.value as ExecutionError) : undefined;
type Times = Pick<NodeExecutionClosure, 'startedAt' | 'createdAt' | 'updatedAt' | 'duration'>;
const epoch = { seconds: 0n, nanos: 0 };

function timeColumns<T>(times: (row: T) => Times): Columns<T> {
  return [
    ['started_at', 'timestamptz', (row) => times(row).startedAt ?? null],
    ['created_at', 'timestamptz', (row) => times(row).createdAt ?? epoch],
    ['updated_at', 'timestamptz', (row) => times(row).updatedAt ?? times(row).createdAt ?? epoch],
    [
      'duration_ns',
      'bigint',
      (row) => {
        const { duration } = times(row);
        return duration ? nanosOf(duration) : null;
      },
    ],
  ];
}

const nodeColumns: Columns<ProjectedNode> = [
  ['execution_id', 'bigint', (n) => n.executionId],
  ['node_id', 'text', (n) => n.state.nodeId],
  ['parent_node_id', 'text', (n) => n.state.parentNodeId],
  ['parent_task', 'text', (n) => n.state.parentTask],
  ['spec_node_id', 'text', (n) => n.state.metadata.specNodeId],
  ['phase', 'text', (n) => nodePhaseName(n.state.closure.phase)],
  ['closure', 'bytea', (n) => NodeExecutionClosure.encode(n.state.closure).finish()],
  ['metadata', 'bytea', (n) => NodeExecutionMetaData.encode(n.state.metadata).finish()],
  ['input_uri', 'text', (n) => n.state.inputUri],
  ['inputs', 'bytea', (n) => n.state.inputs],
  ['outputs', 'bytea', (n) => n.state.outputs],
  [
    'dynamic_workflow_id',
    'bytea',
    ({ state }) => (state.dynamicWorkflowId ? Identifier.encode(state.dynamicWorkflowId).finish() : null),
  ],
  ['dynamic_closure_uri', 'text', (n) => n.state.dynamicClosureUri],
  ['is_parent', 'boolean', (n) => n.state.metadata.isParentNode],
  ['is_dynamic', 'boolean', (n) => n.state.metadata.isDynamic],
  ['is_array', 'boolean', (n) => n.state.metadata.isArray],
  ['event_version', 'smallint', (n) => n.state.eventVersion],
  ['wait_kind', 'smallint', (n) => n.state.wait?.kind ?? 0],
  ['wait_detail', 'text', (n) => n.state.wait?.detail ?? ''],
  ['wait', 'bytea', ({ state: { wait } }) => (wait ? WaitReason.encode(wait).finish() : null)],
  ['wait_since', 'timestamptz', (n) => n.state.wait?.since ?? null],
  ...timeColumns<ProjectedNode>((n) => n.state.closure),
  ['error_kind', 'text', (n) => outcomeColumns(errorOf(n.state.closure.outputResult)).kind],
  ['error_code', 'text', (n) => outcomeColumns(errorOf(n.state.closure.outputResult)).code],
  [
    'cache_status',
    'text',
    ({ state }) => {
      const target = state.closure.targetMetadata;
      return target?.$case === 'taskNodeMetadata' ? (CatalogCacheStatus[target.value.cacheStatus] ?? null) : null;
    },
  ],
];

const taskColumns: Columns<ProjectedTask> = [
  ['execution_id', 'bigint', (t) => t.executionId],
  ['node_id', 'text', (t) => t.state.nodeId],
  ['retry_attempt', 'integer', (t) => t.state.retryAttempt],
  ['task_org', 'text', (t) => t.state.task.org],
  ['task_project', 'text', (t) => t.state.task.project],
  ['task_domain', 'text', (t) => t.state.task.domain],
  ['task_name', 'text', (t) => t.state.task.name],
  ['task_version', 'text', (t) => t.state.task.version],
  ['phase', 'text', (t) => taskPhaseName(t.state.closure.phase)],
  ['phase_version', 'bigint', (t) => t.state.phaseVersion],
  ['closure', 'bytea', (t) => TaskExecutionClosure.encode(t.state.closure).finish()],
  ['input_uri', 'text', (t) => t.state.inputUri],
  ['inputs', 'bytea', (t) => t.state.inputs],
  ['outputs', 'bytea', (t) => t.state.outputs],
  ['task_type', 'text', (t) => t.state.closure.taskType],
  ['is_parent', 'boolean', (t) => t.state.isParent],
  ['usage', 'bytea', ({ state }) => (state.usage ? TaskUsage.encode(state.usage).finish() : null)],
  ['route', 'bytea', ({ state }) => (state.route ? Route.encode(state.route).finish() : null)],
  ...timeColumns<ProjectedTask>((t) => t.state.closure),
  ['error_kind', 'text', (t) => outcomeColumns(errorOf(t.state.closure.outputResult)).kind],
  ['error_code', 'text', (t) => outcomeColumns(errorOf(t.state.closure.outputResult)).code],
];

const nodeKey = ['execution_id', 'node_id'];
const taskKey = [
  'execution_id',
  'node_id',
  'retry_attempt',
  'task_project',
  'task_domain',
  'task_name',
  'task_version',
  'task_org',
];

function upsert<T>(name: string, table: string, columns: Columns<T>, key: readonly string[]) {
  const names = columns.map(([column]) => column);
  const kept = new Set([...key, 'created_at']);
  const changes = names.filter((column) => !kept.has(column)).map((column) => `${column} = excluded.${column}`);
  const arrays = columns.map(([, type], i) => `$${i + 1}::${type}[]`);
  return {
    name,
    text: `INSERT INTO ${table} (${names.join(', ')}) SELECT * FROM unnest(${arrays.join(', ')})
ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${changes.join(', ')}`,
  };
}

const upsertNodes = upsert('admin-project-nodes', 'node_executions', nodeColumns, nodeKey);
const upsertTasks = upsert('admin-project-tasks', 'task_executions', taskColumns, taskKey);

/** Of an error's message, what filters look through. */
const maxSearchedError = 2_000;

const executionColumns: Columns<ProjectedExecution> = [
  ['id', 'bigint', (e) => e.id],
  ['phase', 'text', (e) => executionPhaseName(e.state.closure.phase)],
  ['closure', 'bytea', (e) => ExecutionClosure.encode(e.state.closure).finish()],
  ['outputs', 'bytea', (e) => e.state.outputs],
  ['outputs_uri', 'text', (e) => e.state.outputsUri],
  ['output_values', 'jsonb', (e) => searchableValues(e.state.outputs)],
  ['quarantine_reason', 'text', (e) => e.state.quarantineReason],
  ['last_sequence', 'bigint', (e) => e.lastSequence],
  ...timeColumns<ProjectedExecution>((e) => e.state.closure).filter(([name]) => name !== 'created_at'),
  ['error_kind', 'text', (e) => outcomeColumns(errorOf(e.state.closure.outputResult)).kind],
  ['error_code', 'text', (e) => outcomeColumns(errorOf(e.state.closure.outputResult)).code],
  ['error_message', 'text', (e) => errorOf(e.state.closure.outputResult)?.message.slice(0, maxSearchedError) ?? null],
];

const updateExecutions = {
  name: 'admin-project-executions',
  text: `UPDATE executions e SET ${executionColumns
    .slice(1)
    .map(([column]) => `${column} = v.${column}`)
    .join(', ')}
FROM unnest(${executionColumns.map(([, type], i) => `$${i + 1}::${type}[]`).join(', ')})
  AS v(${executionColumns.map(([column]) => column).join(', ')})
WHERE e.id = v.id`,
};

// In one order, so that two writers never wait for each other in a circle.
const lockExecutions = {
  name: 'admin-project-lock',
  text: `SELECT id, uid, closure, outputs, outputs_uri AS "outputsUri", quarantine_reason AS "quarantineReason",
  last_sequence AS "lastSequence" FROM executions WHERE uid = ANY ($1::uuid[]) ORDER BY id FOR NO KEY UPDATE`,
};

const deleteNodes = {
  name: 'admin-project-delete-nodes',
  text: `DELETE FROM node_executions n USING unnest($1::bigint[], $2::text[]) AS k(execution_id, node_id)
WHERE n.execution_id = k.execution_id AND n.node_id = k.node_id`,
};

const loadNodes = {
  name: 'admin-project-load-nodes',
  text: `SELECT n.execution_id AS "executionId", n.node_id AS "nodeId", n.parent_node_id AS "parentNodeId",
  n.parent_task AS "parentTask", n.closure, n.metadata, n.input_uri AS "inputUri", n.inputs, n.outputs,
  n.dynamic_workflow_id AS "dynamicWorkflowId", n.dynamic_closure_uri AS "dynamicClosureUri",
  n.event_version AS "eventVersion", n.wait
FROM unnest($1::bigint[], $2::text[]) AS k(execution_id, node_id)
JOIN node_executions n ON n.execution_id = k.execution_id AND n.node_id = k.node_id`,
};

const loadTasks = {
  name: 'admin-project-load-tasks',
  text: `SELECT x.execution_id AS "executionId", x.node_id AS "nodeId", x.retry_attempt AS "retryAttempt",
  x.task_org AS org, x.task_project AS project, x.task_domain AS domain, x.task_name AS name, x.task_version AS version,
  x.phase_version AS "phaseVersion", x.closure, x.input_uri AS "inputUri", x.inputs, x.outputs, x.is_parent AS "isParent", x.usage, x.route
FROM unnest($1::bigint[], $2::text[], $3::integer[]) AS k(execution_id, node_id, retry_attempt)
JOIN task_executions x ON x.execution_id = k.execution_id AND x.node_id = k.node_id AND x.retry_attempt = k.retry_attempt`,
};

const insertSignals = {
  name: 'admin-project-signals',
  text: `INSERT INTO signals (execution_id, signal_id, node_id, type)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[]) ON CONFLICT DO NOTHING`,
};

interface LoadedExecution {
  id: bigint;
  uid: string;
  closure: Buffer;
  outputs: Buffer | null;
  outputsUri: string | null;
  quarantineReason: string | null;
  lastSequence: bigint;
}

type LoadedNode = Omit<NodeState, 'closure' | 'metadata' | 'dynamicWorkflowId' | 'dynamicClosure' | 'wait'> & {
  executionId: bigint;
  closure: Buffer;
  metadata: Buffer;
  dynamicWorkflowId: Buffer | null;
  wait: Buffer | null;
};

type LoadedTask = Omit<TaskState, 'closure' | 'usage' | 'route' | 'task' | 'phaseVersion'> &
  Omit<Identifier, 'resourceType'> & {
    executionId: bigint;
    closure: Buffer;
    usage: Buffer | null;
    route: Buffer | null;
    phaseVersion: bigint;
  };

/** Reads and writes of the projection: a handful of statements a batch, whatever its size. */
export class ProjectionRepository {
  async lockExecutions(db: Queryable, uids: readonly string[]): Promise<ProjectedExecution[]> {
    const { rows } = await db.query<LoadedExecution>(lockExecutions, [uids]);
    return rows.map(({ id, uid, lastSequence, closure, ...rest }) => ({
      id,
      uid,
      lastSequence,
      state: { ...rest, closure: ExecutionClosure.decode(closure) },
    }));
  }

  async loadNodes(db: Queryable, keys: readonly { executionId: bigint; nodeId: string }[]): Promise<ProjectedNode[]> {
    if (keys.length === 0) return [];
    const { rows } = await db.query<LoadedNode>(loadNodes, [
      keys.map((key) => key.executionId),
      keys.map((key) => key.nodeId),
    ]);
    return rows.map(({ executionId, closure, metadata, dynamicWorkflowId, wait, ...rest }) => ({
      executionId,
      state: {
        ...newNodeState(rest.nodeId),
        ...rest,
        closure: NodeExecutionClosure.decode(closure),
        metadata: NodeExecutionMetaData.decode(metadata),
        dynamicWorkflowId: dynamicWorkflowId ? Identifier.decode(dynamicWorkflowId) : undefined,
        wait: wait ? WaitReason.decode(wait) : undefined,
      },
    }));
  }

  async loadTasks(
    db: Queryable,
    keys: readonly { executionId: bigint; nodeId: string; retryAttempt: number }[],
  ): Promise<ProjectedTask[]> {
    if (keys.length === 0) return [];
    const { rows } = await db.query<LoadedTask>(loadTasks, [
      keys.map((key) => key.executionId),
      keys.map((key) => key.nodeId),
      keys.map((key) => key.retryAttempt),
    ]);
    return rows.map((row) => {
      const { org, project, domain, name, version } = row;
      const task = { resourceType: ResourceType.TASK, org, project, domain, name, version };
      return {
        executionId: row.executionId,
        state: {
          ...newTaskState(row.nodeId, row.retryAttempt, task),
          phaseVersion: Number(row.phaseVersion),
          closure: TaskExecutionClosure.decode(row.closure),
          inputUri: row.inputUri,
          inputs: row.inputs,
          outputs: row.outputs,
          isParent: row.isParent,
          usage: row.usage ? TaskUsage.decode(row.usage) : undefined,
          route: row.route ? Route.decode(row.route) : undefined,
        },
      };
    });
  }

  // What is written travels with the commit.
  saveExecutions(tx: Transaction, rows: readonly ProjectedExecution[]): void {
    if (rows.length > 0) tx.send(updateExecutions, arraysOf(executionColumns, rows));
  }

  /** Nodes that have begun and are to begin anew (X-6). */
  deleteNodes(tx: Transaction, keys: readonly { executionId: bigint; nodeId: string }[]): void {
    if (keys.length > 0) tx.send(deleteNodes, [keys.map((key) => key.executionId), keys.map((key) => key.nodeId)]);
  }

  async saveNodes(tx: Transaction, rows: readonly ProjectedNode[]): Promise<void> {
    for await (const piece of inTurns(inPieces(rows))) tx.send(upsertNodes, arraysOf(nodeColumns, piece));
  }

  async saveTasks(tx: Transaction, rows: readonly ProjectedTask[]): Promise<void> {
    for await (const piece of inTurns(inPieces(rows))) tx.send(upsertTasks, arraysOf(taskColumns, piece));
  }

  saveSignals(tx: Transaction, gates: readonly ReachedGate[]): void {
    if (gates.length === 0) return;
    tx.send(insertSignals, [
      gates.map((gate) => gate.executionId),
      gates.map((gate) => gate.signalId),
      gates.map((gate) => gate.nodeId),
      gates.map((gate) => gate.type),
    ]);
  }
}

/** Bytes of literals in one statement at most: they are held several times over on their way. */
const maxPieceBytes = 8 * 1024 * 1024;
/** Rows in one statement at most: encoding more would keep everything else in this process waiting. */
const maxPieceRows = 1_000;

interface HoldsLiterals {
  state: { inputs: Buffer | null; outputs: Buffer | null };
}

function* inPieces<T extends HoldsLiterals>(rows: readonly T[]): Generator<T[]> {
  let piece: T[] = [];
  let bytes = 0;
  for (const row of rows) {
    piece.push(row);
    bytes += (row.state.inputs?.length ?? 0) + (row.state.outputs?.length ?? 0);
    if (bytes < maxPieceBytes && piece.length < maxPieceRows) continue;
    yield piece;
    piece = [];
    bytes = 0;
  }
  if (piece.length > 0) yield piece;
}

/** Lets others have their turn between one and the next. */
async function* inTurns<T>(items: Iterable<T>): AsyncGenerator<T> {
  let first = true;
  for (const item of items) {
    if (!first) await nextTurn();
    first = false;
    yield item;
  }
}

function arraysOf<T>(columns: Columns<T>, rows: readonly T[]): Buffer[] {
  return columns.map(([, type, cell]) => arrayParameter(type, rows.map(cell)));
}
