import { assertTransition, type NodeState } from '../state/node-state.js';
import { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';
import { releaseReservation } from './reservations.js';
import { freePermits, leaveLine } from './parallelism.js';
import { cancelTimer } from './timers.js';

/** Puts a node into a state. @throws Error on a transition that isn't declared. */
export function enter(run: RunState, work: NodeWork, state: NodeState): void {
  assertTransition(work.state, state, work.id);
  work.scope.states[work.node] = state;
  work.since = run.now;
}

/** What the engine would keep of a node that became active now. */
export function workOf(run: RunState, scope: Scope, node: number): NodeWork {
  const work = new NodeWork(scope, node, run.now);
  work.attempt = work.replaced = scope.changes?.attempts.get(node) ?? 0;
  return work;
}

/** A node becomes active: from now on reports, answers and timers can reach it. */
export function open(run: RunState, scope: Scope, node: number, work = workOf(run, scope, node)): NodeWork {
  scope.active.set(node, work);
  const inRoot = run.root.template.indexOf(work.id);
  if (scope.parent !== undefined || inRoot !== node) {
    // Ids longer than 20 characters are hashes (C-161): two active nodes of one id couldn't be told apart.
    if (run.nested.has(work.id) || (inRoot !== undefined && run.root.active.has(inRoot))) {
      throw new Error(`engine: two nodes of run ${run.id.name} have the id ${work.id}`);
    }
    run.nested.set(work.id, work);
  }
  return work;
}

/** The node is over: nothing can reach it any more, and its permit is free. */
export function close(run: RunState, work: NodeWork): void {
  stopTimers(run, work);
  if (work.request > 0) run.requests.delete(work.request);
  work.request = 0;
  releaseReservation(run, work);
  leaveLine(run, work);
  releasePermit(run, work);
  if (work.attempt > 0) work.scope.change().attempts.set(work.node, work.attempt);
  work.scope.active.delete(work.node);
  if (run.nested.get(work.id) === work) run.nested.delete(work.id);
}

export function stopTimers(run: RunState, work: NodeWork): void {
  cancelTimer(run, work.executionTimer);
  cancelTimer(run, work.activeTimer);
  cancelTimer(run, work.waitTimer);
  work.executionTimer = work.activeTimer = work.waitTimer = 0;
}

/** Also before a node's end: a dynamic task whose nodes run holds none, or they could never get theirs. */
export function releasePermit(run: RunState, work: NodeWork): void {
  if (!work.permit) return;
  work.permit = false;
  freePermits(run, 1);
}
