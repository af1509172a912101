import { ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import { ExecutionClosure } from '@aloft/idl/flyteidl/admin/execution';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { ExecutionRow } from '../executions/executions.repository.js';
import { foldExecutionEvent, type ExecutionState } from '../projection/fold-execution.js';
import { foldAttemptOfNode, foldNodeEvent, newNodeState, type NodeState } from '../projection/fold-node.js';
import { foldTaskEvent, newTaskState, type TaskState } from '../projection/fold-task.js';
import { foldWait, nodeToldOf } from '../projection/fold-wait.js';

/** The read model of one run as its events make it: with the projection's own folds, in memory. */
export class FoldedReadModel {
  readonly execution: ExecutionState;
  readonly nodes = new Map<string, NodeState>();
  /** By {@link attemptKey}. */
  readonly tasks = new Map<string, TaskState>();
  lastSequence = 0n;

  /** Begins with what the row was when the run was created. */
  constructor(row: Pick<ExecutionRow, 'closure'>) {
    const { createdAt, notifications, workflowId, computedInputs, stateChangeDetails } = ExecutionClosure.decode(
      row.closure,
    );
    this.execution = {
      closure: ExecutionClosure.fromPartial({
        phase: Phase.UNDEFINED,
        createdAt,
        updatedAt: createdAt,
        notifications,
        workflowId,
        computedInputs,
        stateChangeDetails,
      }),
      outputs: null,
      outputsUri: null,
      quarantineReason: null,
    };
  }

  /** An event of the engine, in order. */
  apply(told: ExecutionEvent): void {
    // As it is after its way over the bus: what is absent there is absent here.
    const event = ExecutionEvent.decode(ExecutionEvent.encode(told).finish());
    this.lastSequence = event.sequence;
    switch (event.event?.$case) {
      case 'workflow':
        foldExecutionEvent(this.execution, event.event.value);
        break;
      case 'node': {
        const state = this.node(event.event.value.id?.nodeId ?? '');
        foldWait(state, event, foldNodeEvent(state, event.event.value));
        break;
      }
      case 'task': {
        const { parentNodeExecutionId, retryAttempt, taskId } = event.event.value;
        const verdict = foldTaskEvent(
          this.task(parentNodeExecutionId?.nodeId ?? '', retryAttempt, taskId),
          event.event.value,
          event.usage,
          event.route,
        );
        const nodeId = nodeToldOf(event);
        if (nodeId !== undefined) foldAttemptOfNode(this.node(nodeId), event, verdict);
        break;
      }
      case 'wait':
        foldWait(this.node(event.event.value.nodeId), event);
        break;
      default:
    }
  }

  /** Those that the read model shows: a wait alone makes no node. */
  get shownNodes(): NodeState[] {
    return [...this.nodes.values()].filter(({ closure }) => closure.createdAt !== undefined);
  }

  private node(nodeId: string): NodeState {
    let state = this.nodes.get(nodeId);
    if (!state) this.nodes.set(nodeId, (state = newNodeState(nodeId)));
    return state;
  }

  private task(nodeId: string, attempt: number, id: Identifier | undefined): TaskState {
    const task = id ?? Identifier.fromPartial({});
    const key = attemptKey(nodeId, attempt, task);
    let state = this.tasks.get(key);
    if (!state) this.tasks.set(key, (state = newTaskState(nodeId, attempt, task)));
    return state;
  }
}

/** One attempt of a node, of one task. */
export function attemptKey(nodeId: string, attempt: number, task: Omit<Identifier, 'resourceType'>): string {
  return JSON.stringify([nodeId, attempt, task.org, task.project, task.domain, task.name, task.version]);
}
