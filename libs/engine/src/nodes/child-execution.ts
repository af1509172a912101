import type { ChildEnded } from '@aloft/idl/aloft/v1/bus';
import type { ChildStarted } from '@aloft/idl/aloft/v1/engine';
import { NodeExecution_Phase, WorkflowExecution_Phase, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { userError } from '../data/failures.js';
import { nodeEvent } from '../events/node-events.js';
import { childWait } from '../explain/waits.js';
import { enter } from '../lifecycle/active.js';
import { fail, succeed } from '../lifecycle/finish.js';
import { request } from '../lifecycle/requests.js';
import { limitAttempt } from '../lifecycle/retry.js';
import { told } from '../lifecycle/waits.js';
import { childExecutionName } from '../names.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, type RunState } from '../state/run-state.js';
import type { NodeKind } from './kind.js';

/** A launch plan's node starts an execution of its own, under a derived name, and waits for its end (C-13). */
export const childExecutionNode: NodeKind = {
  start(run, work) {
    enter(run, work, NodeState.ChildStarting);
    request(run, work, Purpose.StartChild);
  },
};

export function childStarted(run: RunState, work: NodeWork, answer: ChildStarted): void {
  running(run, work, answer.child);
}

function running(run: RunState, work: NodeWork, child: WorkflowExecutionIdentifier | undefined): void {
  work.child = child;
  enter(run, work, NodeState.ChildRunning);
  limitAttempt(run, work);
  const waiting = told(run, childWait(work));
  nodeEvent(run, work.scope, work.node, work, NodeExecution_Phase.RUNNING, { waiting });
}

/** The end of the current attempt's child; it may come before the answer to its creation. */
export function childEnded(run: RunState, work: NodeWork, ended: ChildEnded): boolean {
  if (work.state !== NodeState.ChildRunning && work.state !== NodeState.ChildStarting) return false;
  if (ended.child?.name !== childExecutionName(run.id.name, work.id, work.attempt)) return false;
  if (work.state === NodeState.ChildStarting) {
    run.requests.delete(work.request);
    work.request = 0;
    running(run, work, ended.child);
  }
  if (ended.phase === WorkflowExecution_Phase.SUCCEEDED) succeed(run, work, ended.outputs);
  else fail(run, work, childError(run, ended));
  return true;
}

/** C-13: a child's failure is the user's, and says which child it was. */
export function childError(run: RunState, ended: ChildEnded): ExecutionError {
  const name = ended.child?.name ?? '';
  if (ended.phase === WorkflowExecution_Phase.ABORTED) {
    const cause = ended.error ? `: ${ended.error.message}` : '';
    return userError(run, 'RemoteChildWorkflowExecutionFailed', `child execution ${name} was aborted${cause}`);
  }
  const code = ended.error?.code || 'LaunchPlanExecutionFailed';
  return {
    ...userError(run, code, `child execution ${name} failed: ${ended.error?.message ?? 'it gave no error'}`),
    errorUri: ended.error?.errorUri ?? '',
  };
}
