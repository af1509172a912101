import type { ExecutionSnapshot } from '@aloft/idl/aloft/v1/watch';
import { ExecutionClosure } from '@aloft/idl/flyteidl/admin/execution';
import { NodeExecutionClosure, NodeExecutionMetaData } from '@aloft/idl/flyteidl/admin/node_execution';
import { TaskExecutionClosure } from '@aloft/idl/flyteidl/admin/task_execution';
import { toExecution } from '../executions/execution-answers.js';
import type { KnownExecution } from '../executions/execution-lookup.js';
import { toNodeExecution } from '../node-executions/node-answers.js';
import { executionPhaseName } from '../projection/phases.js';
import { toTaskExecution } from '../task-executions/task-answers.js';
import type { FoldedReadModel } from './folded-read-model.js';

const encoded = (message: { finish(): Uint8Array }): Buffer => Buffer.from(message.finish());

/** A folded run in the form in which a watcher gets one, at most so many nodes and tasks. */
export function snapshotOf({ key, row }: KnownExecution, model: FoldedReadModel, limit: number): ExecutionSnapshot {
  const { closure, outputs, outputsUri, quarantineReason } = model.execution;
  const nodes = model.shownNodes.slice(0, limit);
  const tasks = [...model.tasks.values()].slice(0, limit);
  return {
    execution: toExecution({
      ...row,
      phase: executionPhaseName(closure.phase),
      closure: encoded(ExecutionClosure.encode(closure)),
      outputs,
      outputsUri,
      quarantineReason,
    }),
    nodes: nodes.map((node) =>
      toNodeExecution(key, {
        ...node,
        closure: encoded(NodeExecutionClosure.encode(node.closure)),
        metadata: encoded(NodeExecutionMetaData.encode(node.metadata)),
        dynamicWorkflowId: null,
        wait: null,
      }),
    ),
    tasks: tasks.map(({ task, ...state }) =>
      toTaskExecution(key, {
        ...state,
        taskOrg: task.org,
        taskProject: task.project,
        taskDomain: task.domain,
        taskName: task.name,
        taskVersion: task.version,
        closure: encoded(TaskExecutionClosure.encode(state.closure)),
      }),
    ),
    sequence: model.lastSequence,
    parentNodeIds: Object.fromEntries(
      nodes.flatMap(({ nodeId, parentNodeId }) => (parentNodeId === null ? [] : [[nodeId, parentNodeId]])),
    ),
    waits: nodes.flatMap(({ wait }) => (wait ? [wait] : [])),
  };
}
