import { NodeExecution_Phase, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import { releaseSources } from '../data/compose.js';
import { nodeEvent } from '../events/node-events.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';
import { abortNode, stopAttempt } from './abort.js';
import { close, enter } from './active.js';
import { advance, failed, skipBranch, skipInside } from './finish.js';

/**
 * A person ends a node: its attempts are aborted, and it shows ABORTED with who did it and why. It then counts as failed
 * (C-60, C-61), or, with `skipDownstream`, what hangs on it is skipped and its scope goes on without.
 */
export function cancelNode(run: RunState, work: NodeWork, error: ExecutionError, skipDownstream: boolean): void {
  const { scope, node } = work;
  abortCases(run, scope, node, error.message);
  if (!work.queuedAt) releaseSources(scope, node);
  stopAttempt(run, work, error.message);
  enter(run, work, NodeState.Aborted);
  nodeEvent(run, scope, node, work, NodeExecution_Phase.ABORTED, { error });
  close(run, work);
  if (!skipDownstream) return failed(run, work, error);
  skipInside(scope, node);
  advance(run, scope, node);
  const branch = scope.active.get(scope.template.branchOf[node]!);
  if (branch) skipBranch(run, branch, node);
}

/** What a branch chose, and if that is a branch what it chose: in flight is aborted, and what waits will not begin. */
function abortCases(run: RunState, scope: Scope, branch: number, reason: string): void {
  for (const inner of scope.template.branches.get(branch)?.nodes ?? []) {
    abortCases(run, scope, inner, reason);
    const active = scope.active.get(inner);
    if (active) abortNode(run, active, reason);
    skipInside(scope, inner);
  }
}
