import { nodesReset } from '../events/revision-events.js';
import { END } from '../graph/graph.js';
import { assertResettable, isOver, isSatisfied, NodeState } from '../state/node-state.js';
import type { RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';
import { Fresh } from '../state/scope-changes.js';
import { Step } from '../state/work-queue.js';
import { abortNode } from './abort.js';
import { recallSources } from './recall.js';
import { freshOf } from './revisions.js';

/**
 * Puts a node and everything downstream of it that has begun back to where it was before: in flight is aborted, what
 * was counted is counted anew, and their next attempts have numbers of their own. Costs the size of the scope's graph, as
 * only people ask for it. `readsInputs`: whether the node itself will need its inputs again.
 */
export function reset(run: RunState, scope: Scope, node: number, reason: string, readsInputs = true): void {
  const nodes = reachOf(scope, node);
  const changes = scope.change();
  for (const each of nodes) {
    const work = scope.active.get(each);
    if (work) abortNode(run, work, reason);
  }
  const ids = nodes.map((each) => scope.uniqueId(each));
  for (const each of nodes) {
    // Never begun: nothing that its first attempt could be mistaken for.
    if (scope.states[each] !== NodeState.Skipped)
      changes.attempts.set(each, (changes.attempts.get(each) ?? changes.lastAttempt) + 1);
    assertResettable(scope.states[each]!, scope.uniqueId(each));
    scope.states[each] = NodeState.Waiting;
    scope.outputs.delete(each);
    changes.recalls.delete(each);
    changes.early.delete(each);
    if (run.start?.recoverFrom) freshOf(scope)[each] = Fresh.Anew;
  }
  const failed = new Set(ids);
  const failures = scope.failures.filter((failure) => !failed.has(failure.nodeId));
  scope.failures.splice(0, scope.failures.length, ...failures);
  recallSources(run, scope, readsInputs ? nodes : nodes.filter((each) => each !== node));
  recount(scope);
  nodesReset(run, ids);
  for (const each of nodes) if (scope.unmet[each] === 0) run.work.push(Step.Ready, scope, each);
}

/** The node, and what of all that depends on it isn't still waiting; with a case of a branch also the branch, which has to choose it again. */
export function reachOf(scope: Scope, node: number): number[] {
  const { firstDown, down, branchOf } = scope.template;
  const seen = new Set([node]);
  const add = (each: number): void => {
    if (scope.states[each] !== NodeState.Waiting) seen.add(each);
  };
  // A set goes on with what is added while it is walked.
  for (const each of seen) {
    for (let at = firstDown[each]!; at < firstDown[each + 1]!; at++) add(down[at]!);
    if (branchOf[each]! >= 0) add(branchOf[each]!);
  }
  return [...seen];
}

/** Counts the unmet dependencies of waiting nodes from the states, instead of step by step. */
function recount(scope: Scope): void {
  const { firstDown, down, count, branchOf } = scope.template;
  const { states, unmet, blocked } = scope;
  const { early, recalls } = scope.change();
  for (let node = 0; node < count; node++) {
    if (states[node] !== NodeState.Waiting) continue;
    unmet[node] = 0;
    blocked[node] = 0;
  }
  for (let node = 0; node < count; node++) {
    const over = isOver(states[node]!);
    for (let at = firstDown[node]!; at < firstDown[node + 1]!; at++) {
      const next = down[at]!;
      if (states[next] !== NodeState.Waiting) {
        if (!over && early.has(next) && branchOf[next] !== node) unmet[END]!++;
        continue;
      }
      // A branch that has chosen lets its case go before it is over itself.
      const met = over || (branchOf[next] === node && states[node] === NodeState.Chosen);
      if (!met) unmet[next]!++;
      else if (over && !isSatisfied(states[node]!)) blocked[next] = 1;
    }
  }
  for (const readers of recalls.values()) {
    for (const reader of readers) {
      if (states[reader] === NodeState.Waiting) unmet[reader]!++;
      else if (early.has(reader)) unmet[END]!++;
    }
  }
}
