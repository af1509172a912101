import type { ControlNode } from '@aloft/idl/aloft/v1/bus';
import {
  type ExecutionError,
  ExecutionError_ErrorKind,
  NodeExecution_Phase,
  TaskExecution_Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import { attemptOf } from '../data/attempts.js';
import { saysOver } from '../data/phases.js';
import { templateOf } from '../data/task-settings.js';
import { arrayEvent } from '../events/array-events.js';
import { nodeEvent } from '../events/node-events.js';
import { taskEvent } from '../events/task-events.js';
import { Kind } from '../graph/graph.js';
import { attemptRoute, meansOf } from '../routing/attempt-route.js';
import { Because, type Ending } from '../state/ending.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, TimerPurpose, type RunState } from '../state/run-state.js';
import { ScopeStatus, type Scope } from '../state/scope.js';
import { Step } from '../state/work-queue.js';
import { addDuration } from '../time.js';
import { close, enter } from './active.js';
import { abortItems, quietItems, tellItem } from './abort-items.js';
import { attemptLost } from './followers.js';
import { loseArray } from './lost-arrays.js';
import { childCause, orphan } from './orphans.js';
import { leaveLine } from './parallelism.js';
import { giveBackUnanswered } from './reservations.js';
import { cancelTimer, setTimer } from './timers.js';

/** How long a backend has to say what became of an attempt that it was told to end: nobody waits for one that is gone. */
export const patience = { seconds: 30n, nanos: 0 };

/** Stands among an array's items for a task, which has none. */
export const theTask = -1;

/** Aborts everything in flight in a scope and below it; its nodes' events say so, and why (C-60). */
export function abortScope(run: RunState, scope: Scope, reason: string): void {
  for (const work of [...scope.active.values()]) abortNode(run, work, reason);
}

/** Likewise, for a scope that comes to its end with that: `settle` brings it there when the last of its nodes is over. */
export function endScope(run: RunState, scope: Scope, reason: string): void {
  scope.status = ScopeStatus.Ending;
  abortScope(run, scope, reason);
  run.work.push(Step.Settle, scope, -1);
}

/** Drops a scope with all that runs in it: its node is over, or starts anew (C-33). */
function discardScope(run: RunState, scope: Scope, reason: string): void {
  abortScope(run, scope, reason);
  scope.status = ScopeStatus.Over;
  run.scopes.delete(scope.id);
}

/** Aborts a node; where something of it runs, as soon as nothing does. */
export function abortNode(run: RunState, work: NodeWork, reason: string): void {
  if (awaitsBackends(run, work, { because: Because.Abort, reason })) return;
  const { scope, node } = work;
  // One that backed off was seen before it was parked; others only if they were told of.
  const wasSeen = work.state !== NodeState.Parked || work.queuedAt !== undefined || behaves(run, Behaviour.TellsWaits);
  stopAttempt(run, work, reason);
  enter(run, work, NodeState.Aborted);
  if (wasSeen) {
    nodeEvent(run, scope, node, work, NodeExecution_Phase.ABORTED, {
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
 * Whether a node that is to end has to wait before it does. A launch may be on its way to its backend, and its attempt begin after the
 * node was told to be over: so what was launched is told to end first, and the node ends when its backends have said that nothing of it
 * runs. Then `resume` comes back to where this was asked, and the answer is no. Of several reasons the strongest counts.
 */
export function awaitsBackends(
  run: RunState,
  work: NodeWork,
  why: { because: Because; reason: string; command?: ControlNode },
): boolean {
  if (!behaves(run, Behaviour.AbortsHearBackends)) return false;
  const { ending } = work;
  if (!ending) return begin(run, work, { command: undefined, ...why, since: run.now, unheard: new Set() });
  if (why.because < ending.because) return true;
  Object.assign(ending, { command: undefined, ...why });
  return !isHeard(run, work, ending);
}

function begin(run: RunState, work: NodeWork, ending: Ending): boolean {
  const { items } = work;
  const { reason, unheard } = ending;
  attemptLost(run, work);
  if (mayRun(work)) {
    tellTask(run, work, reason);
    unheard.add(theTask);
  }
  for (const index of items?.launched.keys() ?? []) {
    unheard.add(index);
    if (!items!.ending.has(index)) tellItem(run, work, items!, index, reason);
  }
  const child = run.scopes.get(work.childScope);
  if (child) endScope(run, child, reason);
  if (isHeard(run, work, ending)) return false;
  work.ending = ending;
  if (items) {
    leaveLine(run, work);
    quietItems(run, work, items, reason);
  }
  cancelTimer(run, work.executionTimer);
  cancelTimer(run, work.waitTimer);
  work.executionTimer = work.waitTimer = 0;
  waitAtMost(run);
  return true;
}

/** Nothing runs any more of a node that ends. */
export function isHeard(run: RunState, work: NodeWork, { unheard }: Ending): boolean {
  return unheard.size === 0 && !(run.scopes.get(work.childScope)?.active.size ?? 0);
}

export function waitAtMost(run: RunState): void {
  if (run.patience === 0) run.patience = setTimer(run, TimerPurpose.Abort, undefined, addDuration(run.now, patience));
}

function runsTask({ scope, node, state, taskPhase }: NodeWork): boolean {
  if (scope.template.kinds[node] !== Kind.Task) return false;
  if (state === NodeState.Ahead) return taskPhase !== TaskExecution_Phase.UNDEFINED;
  return state === NodeState.Launched || state === NodeState.Running;
}

/** One that failed a moment ago has not launched its next attempt yet; one that was launched ahead may have said that it is over. */
function mayRun(work: NodeWork): boolean {
  return runsTask(work) && work.taskPhase !== TaskExecution_Phase.UNDEFINED && !saysOver(work.held);
}

function tellTask(run: RunState, work: NodeWork, reason: string): void {
  const taskType = templateOf(work.scope, work.node).type;
  const routed = attemptRoute(run, work, meansOf(run, work));
  run.effects.push({ kind: 'abort', attempt: attemptOf(run, work), taskType, routed, reason });
}

/**
 * Stops whatever the node's current attempt started: task, items, child execution, scope, request. `error`: what a time limit made of it;
 * without, its task is aborted.
 */
export function stopAttempt(run: RunState, work: NodeWork, reason: string, error?: ExecutionError): void {
  attemptLost(run, work);
  if (runsTask(work)) {
    if (!work.ending && !saysOver(work.held)) tellTask(run, work, reason);
    work.taskPhase = TaskExecution_Phase.ABORTED;
    const usage = work.ending?.usage ?? work.held?.usage;
    const logs = work.held?.logs;
    if (error && behaves(run, Behaviour.TimeoutsAreFailures))
      taskEvent(run, work, TaskExecution_Phase.FAILED, { reason, error, usage });
    else taskEvent(run, work, TaskExecution_Phase.ABORTED, { reason, usage, logs });
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
  work.ending = undefined;
}
