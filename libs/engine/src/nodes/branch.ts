import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { evaluate, MalformedBranch } from '../data/condition.js';
import { userError } from '../data/failures.js';
import { inlined } from '../data/values.js';
import { nodeEvent } from '../events/node-events.js';
import type { BranchCases } from '../graph/graph.js';
import { enter } from '../lifecycle/active.js';
import { fail, skip } from '../lifecycle/finish.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { Step } from '../state/work-queue.js';
import type { NodeKind } from './kind.js';

/** A branch runs the first case whose condition holds; the others are skipped (C-120). */
export const branchNode: NodeKind = {
  start(run, work) {
    const cases = work.scope.template.branches.get(work.node) as BranchCases;
    // Stored inputs were read before; they aren't kept beyond this.
    const literals = inlined(work.inputs) ?? work.loaded ?? {};
    work.loaded = undefined;
    try {
      choose(run, work, cases, literals);
    } catch (error) {
      if (!(error instanceof MalformedBranch)) throw error;
      fail(run, work, userError(run, 'MalformedBranchUserError', error.message));
    }
  },
};

function choose(run: RunState, work: NodeWork, cases: BranchCases, literals: Record<string, Literal>): void {
  const { scope } = work;
  const chosen = cases.conditions.findIndex((condition) => !condition || evaluate(condition, literals));
  if (chosen < 0) {
    // C-122
    const error = cases.elseFail
      ? userError(run, 'UserProvidedError', cases.elseFail.message)
      : userError(run, 'MalformedBranchUserError', 'no case is true, and there is no else');
    return fail(run, work, error);
  }
  enter(run, work, NodeState.Chosen);
  nodeEvent(run, scope, work.node, work, NodeExecution_Phase.RUNNING);
  for (let at = 0; at < cases.nodes.length; at++) if (at !== chosen) skip(run, scope, cases.nodes[at]!);
  const node = cases.nodes[chosen]!;
  scope.unmet[node] = scope.unmet[node]! - 1;
  if (scope.unmet[node] === 0) run.work.push(Step.Ready, scope, node);
}
