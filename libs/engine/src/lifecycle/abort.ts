import {
  type ExecutionError,
  ExecutionError_ErrorKind,
  NodeExecution_Phase,
  TaskExecution_Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import { attemptOf } from '../data/attempts.js';
import { templateOf } from '../data/task-settings.js';
import { arrayEvent } from '../events/array-events.js';
import { nodeEvent } from '../events/node-events.js';
import { taskEvent } from '../events/task-events.js';
import { Kind } from '../graph/graph.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, type RunState } from '../state/run-state.js';
import { ScopeStatus, type Scope } from '../state/scope.js';
import { close, enter } from './active.js';
import { abortItems } from './abort-items.js';
import { loseArray } from './lost-arrays.js';
import { childCause, orphan } from './orphans.js';
import { giveBackUnanswered } from './reservations.js';

/** Aborts everything in flight in a scope and below it; its nodes' events say so, and why (C-60). */
export function abortScope(run: RunState, scope: Scope, reason: string): void {
  for (const work of [...scope.active.values()]) abortNode(run, work, reason);
}

/** Drops a scope with all that runs in it: its node is over, or starts anew (C-33). */
export function discardScope(run: RunState, scope: Scope, reason: string): void {
  abortScope(run, scope, reason);
  scope.status = ScopeStatus.Over;
  run.scopes.delete(scope.id);
}

export function abortNode(run: RunState, work: NodeWork, reason: string): void {
  // One that backed off was seen before it was parked; others only if they were told of.
  const wasSeen = work.state !== NodeState.Parked || work.queuedAt !== undefined || behaves(run, Behaviour.TellsWaits);
  stopAttempt(run, work, reason);
  enter(run, work, NodeState.Aborted);
  if (wasSeen) {
    nodeEvent(run, work.scope, work.node, work, NodeExecution_Phase.ABORTED, {
      error: {
        code: 'NodeAborted',
        message: reason,
        errorUri: '',
        kind: ExecutionError_ErrorKind.USER,
        timestamp: run.now,
        worker: '',
      },
    });
  }
  close(run, work);
}

/**
 * Stops whatever the node's current attempt started: task, items, child execution, scope, request. `error`: what a time limit made of it;
 * without, its task is aborted.
 */
export function stopAttempt(run: RunState, work: NodeWork, reason: string, error?: ExecutionError): void {
  const { scope, node } = work;
  const kind = scope.template.kinds[node];
  if (kind === Kind.Task && (work.state === NodeState.Launched || work.state === NodeState.Running)) {
    // Its backend may have been told already, and have answered.
    if (!run.aborting?.heard.has(`${work.id}/${work.attempt}`))
      run.effects.push({
        kind: 'abort',
        attempt: attemptOf(run, work),
        taskType: templateOf(scope, node).type,
        reason,
      });
    work.taskPhase = TaskExecution_Phase.ABORTED;
    if (error && behaves(run, Behaviour.TimeoutsAreFailures))
      taskEvent(run, work, TaskExecution_Phase.FAILED, { reason, error });
    else taskEvent(run, work, TaskExecution_Phase.ABORTED, { reason });
  }
  if (work.items) {
    loseArray(run, work, work.items);
    abortItems(run, work, work.items, reason);
    arrayEvent(run, work, work.items, TaskExecution_Phase.ABORTED);
    work.items = undefined;
  }
  const pending = run.requests.get(work.request);
  if (pending?.purpose === Purpose.StartChild) orphan(run, pending);
  else if (pending) {
    run.requests.delete(pending.id);
    giveBackUnanswered(run, work, pending);
  }
  work.request = 0;
  if (work.child) {
    run.effects.push({ kind: 'abort-child', child: work.child, cause: childCause(run, reason) });
  }
  const child = run.scopes.get(work.childScope);
  if (child) discardScope(run, child, reason);
  work.childScope = -1;
}
