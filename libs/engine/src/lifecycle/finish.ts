import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { type ExecutionError, NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { Behaviour, behaves } from '../behaviours.js';
import { releaseSources } from '../data/compose.js';
import { keptFailure } from '../data/failures.js';
import { nodeEvent } from '../events/node-events.js';
import { END } from '../graph/graph.js';
import { isSatisfied, NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { Fresh } from '../state/scope-changes.js';
import { ScopeStatus, type Scope } from '../state/scope.js';
import { Step } from '../state/work-queue.js';
import { abortScope } from './abort.js';
import { close, enter } from './active.js';
import { launchesAhead, lookAtNode } from './followers.js';

/** A node succeeded (or was recovered): its outputs are there for its readers, and what waited only for it may start. */
export function succeed(
  run: RunState,
  work: NodeWork,
  outputs: LiteralsValue | undefined,
  occurredAt?: Timestamp,
  state: typeof NodeState.Succeeded | typeof NodeState.Recovered = NodeState.Succeeded,
): void {
  const { scope, node } = work;
  enter(run, work, state);
  const phase = state === NodeState.Recovered ? NodeExecution_Phase.RECOVERED : NodeExecution_Phase.SUCCEEDED;
  const inputs = state === NodeState.Recovered || node <= END ? work.inputs : undefined;
  nodeEvent(run, scope, node, work, phase, { outputs, inputs, occurredAt });
  close(run, work);
  publish(scope, node, outputs);
  if (state === NodeState.Recovered && behaves(run, Behaviour.WholeBranches)) skipInside(scope, node);
  advance(run, scope, node);
  const branch = scope.template.branchOf[node]!;
  const parent = branch >= 0 ? scope.active.get(branch) : undefined;
  // C-123: a branch's outputs are its chosen node's.
  if (parent) succeed(run, parent, outputs, occurredAt);
  if (node === scope.template.failureNode) run.work.push(Step.Settle, scope, -1);
}

/** Keeps a node's outputs while somebody will read them; the end node's are its scope's. */
export function publish(scope: Scope, node: number, outputs: LiteralsValue | undefined): void {
  if (outputs && (scope.readers[node]! > 0 || node === END)) scope.outputs.set(node, outputs);
}

/** A node failed for good. The nearest workflow's policy decides what becomes of the rest of its scope (C-60, C-61). */
export function fail(
  run: RunState,
  work: NodeWork,
  error: ExecutionError,
  timedOut = false,
  /** The node that really failed, where that is one inside the branch `work`. */
  origin = work.id,
): void {
  const { scope, node } = work;
  enter(run, work, timedOut ? NodeState.TimedOut : NodeState.Failed);
  const phase = timedOut ? NodeExecution_Phase.TIMED_OUT : NodeExecution_Phase.FAILED;
  nodeEvent(run, scope, node, work, phase, { error });
  close(run, work);
  failed(run, work, error, timedOut, origin);
}

/** What a node's failure means to its scope: it is over already, however it was told. */
export function failed(run: RunState, work: NodeWork, error: ExecutionError, timedOut = false, origin = work.id): void {
  const { scope, node } = work;
  const branch = scope.template.branchOf[node]!;
  const parent = branch >= 0 ? scope.active.get(branch) : undefined;
  if (parent)
    return fail(run, parent, error, timedOut, behaves(run, Behaviour.BoundedFailureList) ? origin : undefined);
  if (node === scope.template.failureNode) {
    // C-62: the failure node's own failure hides the first.
    scope.failures.length = 0;
    scope.failures.push({ nodeId: work.id, error, timedOut });
    run.work.push(Step.Settle, scope, -1);
    return;
  }
  scope.failures.push(keptFailure(scope, { nodeId: origin, error, timedOut }));
  if (scope.failAfterExecutable) {
    skipInside(scope, node);
    advance(run, scope, node);
    if (node === END && behaves(run, Behaviour.SettlesFailedEnd)) run.work.push(Step.Settle, scope, -1);
    return;
  }
  scope.status = ScopeStatus.Failing;
  abortScope(run, scope, `node ${work.id} failed`);
  run.work.push(Step.Settle, scope, -1);
}

/** A node that never starts: something upstream failed or was skipped, or a branch chose another case (C-22, C-120). */
export function skip(run: RunState, scope: Scope, node: number): void {
  scope.states[node] = NodeState.Skipped;
  nodeEvent(run, scope, node, undefined, NodeExecution_Phase.SKIPPED);
  releaseSources(scope, node);
  skipInside(scope, node);
  advance(run, scope, node);
  if (node === END) run.work.push(Step.Settle, scope, -1);
}

/** The node that a branch chose can't start: the branch is skipped with it. */
export function skipBranch(run: RunState, branch: NodeWork, chosen: number): void {
  const { scope, node } = branch;
  if (scope.states[chosen] === NodeState.Waiting) {
    scope.states[chosen] = NodeState.Skipped;
    nodeEvent(run, scope, chosen, undefined, NodeExecution_Phase.SKIPPED);
    releaseSources(scope, chosen);
  }
  enter(run, branch, NodeState.Skipped);
  nodeEvent(run, scope, node, branch, NodeExecution_Phase.SKIPPED);
  close(run, branch);
  advance(run, scope, node);
  const outer = scope.active.get(scope.template.branchOf[node]!);
  if (outer) skipBranch(run, outer, node);
}

/** Nodes inside a branch that chose nothing are never seen; what they would have read needn't be kept for them. */
export function skipInside(scope: Scope, branch: number): void {
  for (const node of scope.template.branches.get(branch)?.nodes ?? []) {
    if (scope.states[node] !== NodeState.Waiting) continue;
    scope.states[node] = NodeState.Skipped;
    releaseSources(scope, node);
    skipInside(scope, node);
  }
}

/**
 * The node is over: each node that depends on it has one unmet dependency less. Costs the node's out-degree. (The nodes inside a
 * branch don't wait for its end: the one it chose was released then, the others were skipped.)
 */
export function advance(run: RunState, scope: Scope, node: number): void {
  const { firstDown, down } = scope.template;
  const satisfied = isSatisfied(scope.states[node]!);
  run.work.taken += firstDown[node + 1]! - firstDown[node]!;
  const { changes } = scope;
  for (let at = firstDown[node]!; at < firstDown[node + 1]!; at++) {
    const next = down[at]!;
    if (changes?.fresh?.[node]) changes.fresh[next] = Fresh.Anew;
    if (!satisfied) scope.blocked[next] = 1;
    // A branch lets its case go when it chooses: its end is nothing that the case, or the end node for it, waits for.
    if (changes && scope.template.branchOf[next] === node) continue;
    met(run, scope, next);
  }
}

/** One of the node's dependencies is met. */
export function met(run: RunState, scope: Scope, node: number): void {
  const unmet = --scope.unmet[node]!;
  const waits = scope.states[node] === NodeState.Waiting || scope.states[node] === NodeState.Ahead;
  if (unmet === 0 && waits) run.work.push(Step.Ready, scope, node);
  else if (scope.changes?.early.has(node)) met(run, scope, END);
  else if (waits && launchesAhead(run)) lookAtNode(run, scope, node);
}

/**
 * A person is about to bring a waiting node to its end. What it waits for is still to be over before its scope is: for what
 * hangs on the node alone, the end node now waits in its stead.
 */
export function endEarly(scope: Scope, node: number): void {
  if (scope.unmet[node]! <= 0) return;
  scope.unmet[END]! += scope.unmet[node]!;
  scope.change().early.add(node);
}
