import { ExecutionClosure } from '@aloft/idl/flyteidl/admin/execution';
import type { ReplayDifference } from '@aloft/idl/aloft/v1/history';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { ExecutionRow } from '../executions/executions.repository.js';
import { executionPhaseName, isTerminalExecution, nodePhaseName, taskPhaseName } from '../projection/phases.js';
import type { NodeState } from '../projection/fold-node.js';
import type { TaskState } from '../projection/fold-task.js';
import { differences } from './differences.js';
import { attemptKey, type FoldedReadModel } from './folded-read-model.js';
import type { StoredState } from './read-model.repository.js';

const where = 'read model';

/** Compares rows with what the log makes of them; what was compared is taken out of the model, so that the rest is missing. */
export class ReadModelComparison {
  constructor(private readonly derived: FoldedReadModel) {}

  /** What events say of the run as a whole; what calls of people changed (archived, aborting) is not in the log. */
  execution(row: ExecutionRow): ReplayDifference[] {
    const { closure, outputs, outputsUri } = this.derived.execution;
    const stored = ExecutionClosure.decode(row.closure);
    // TerminateExecution says ABORTING before its command is in the log.
    const aborting = stored.phase === Phase.ABORTING && !isTerminalExecution(closure.phase);
    const of = (side: ExecutionClosure) => ({
      phase: aborting ? '' : executionPhaseName(side.phase),
      startedAt: side.startedAt,
      duration: side.duration,
      // Whose abort it was is told by the call itself.
      outputResult: side.outputResult?.$case === 'abortMetadata' ? undefined : side.outputResult,
    });
    return [
      ...differences(of(closure), of(stored), 'closure'),
      ...differences(
        {
          phase: aborting ? '' : executionPhaseName(closure.phase),
          outputs: outputs ?? undefined,
          outputsUri,
          lastSequence: this.derived.lastSequence,
        },
        {
          phase: aborting ? '' : row.phase,
          outputs: row.outputs ?? undefined,
          outputsUri: row.outputsUri,
          lastSequence: row.lastSequence,
        },
      ),
    ].map((difference) => ({ where, what: 'execution', ...difference }));
  }

  node({ phase, state: stored }: StoredState<NodeState>): ReplayDifference[] {
    const what = `node ${stored.nodeId}`;
    const derived = this.derived.nodes.get(stored.nodeId);
    this.derived.nodes.delete(stored.nodeId);
    if (!derived) return [{ where, what, field: '', derived: 'no such node', stored: phase }];
    return differences(nodeFields(derived, nodePhaseName(derived.closure.phase)), nodeFields(stored, phase)).map(
      (difference) => ({ where, what, ...difference }),
    );
  }

  task({ phase, state: stored }: StoredState<TaskState>): ReplayDifference[] {
    const { nodeId, retryAttempt, task } = stored;
    const what = `task ${nodeId} attempt ${retryAttempt}`;
    const key = attemptKey(nodeId, retryAttempt, task);
    const derived = this.derived.tasks.get(key);
    this.derived.tasks.delete(key);
    if (!derived) return [{ where, what, field: '', derived: 'no such attempt', stored: phase }];
    return differences(taskFields(derived, taskPhaseName(derived.closure.phase)), taskFields(stored, phase)).map(
      (difference) => ({ where, what, ...difference }),
    );
  }

  /** What the log has and no row was given for. */
  missing(): ReplayDifference[] {
    return [
      ...this.derived.shownNodes.map(({ nodeId, closure }) => ({
        where,
        what: `node ${nodeId}`,
        field: '',
        derived: nodePhaseName(closure.phase),
        stored: 'no such node',
      })),
      ...[...this.derived.tasks.values()].map(({ nodeId, retryAttempt, closure }) => ({
        where,
        what: `task ${nodeId} attempt ${retryAttempt}`,
        field: '',
        derived: taskPhaseName(closure.phase),
        stored: 'no such attempt',
      })),
    ];
  }
}

function nodeFields(state: NodeState, phase: string) {
  // Where a workflow that came by value is kept is the projection's own choice, and why a node waits may be told in more
  // words by a newer version.
  const { nodeId: _id, dynamicClosure: _closure, dynamicClosureUri: _uri, wait, ...rest } = state;
  return { phase, ...rest, wait: { kind: wait?.kind, detail: wait?.detail } };
}

function taskFields(state: TaskState, phase: string) {
  const { nodeId: _id, retryAttempt: _attempt, task: _task, ...rest } = state;
  return { phase, ...rest };
}
