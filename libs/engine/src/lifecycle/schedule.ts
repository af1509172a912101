import { END, type Kind } from '../graph/graph.js';
import { resume } from '../inputs/resume.js';
import { launchAhead, takeBack, upstreamOver } from '../nodes/ahead.js';
import { settleArray } from '../nodes/array-end.js';
import { takeTurn } from '../nodes/array-items.js';
import { kinds } from '../nodes/kinds.js';
import { NodeState } from '../state/node-state.js';
import type { RunState } from '../state/run-state.js';
import { ScopeStatus, type Scope } from '../state/scope.js';
import { Step } from '../state/work-queue.js';
import { enter, open } from './active.js';
import { skip, skipBranch } from './finish.js';
import { countsAsParallel, isFull, leaveLine, lineUp, takePermit } from './parallelism.js';
import { begin } from './prepare.js';
import { settle } from './settle.js';
import { tellParked } from './waits.js';

/** Does all that the input at hand made possible. Chains of nodes that end at once take a loop, not a stack. */
export function drain(run: RunState): void {
  while (
    run.work.take((step, scope, node) => {
      if (run.isOver) return;
      if (step === Step.Unpark) unpark(run);
      else if (!scope || scope.status === ScopeStatus.Over) return;
      else if (step === Step.Settle) settle(run, scope);
      else if (step === Step.Ready) ready(run, scope, node);
      else if (step === Step.Ahead) launchAhead(run, scope, node);
      else if (step === Step.TakeBack) takeBack(run, scope, node);
      else {
        const work = scope.active.get(node);
        if (work && step === Step.Resume) resume(run, work);
        else if (work && !work.ending) kinds[scope.template.kinds[node] as Kind].start(run, work);
      }
    })
  );
}

/** All upstream nodes are over (C-22). */
function ready(run: RunState, scope: Scope, node: number): void {
  if (scope.status !== ScopeStatus.Running) return;
  if (scope.states[node] === NodeState.Ahead) return upstreamOver(run, scope.active.get(node)!);
  if (scope.states[node] !== NodeState.Waiting) return;
  if (scope.blocked[node]) {
    const branch = scope.active.get(scope.template.branchOf[node]!);
    if (branch) return skipBranch(run, branch, node);
    // Branches not taken don't keep a workflow from its end; failures do.
    if (node !== END || scope.failures.length > 0) return skip(run, scope, node);
  }
  const work = open(run, scope, node);
  if (countsAsParallel(scope, node)) {
    if (isFull(run)) {
      enter(run, work, NodeState.Parked);
      lineUp(run, work);
      tellParked(run, work);
      return;
    }
    takePermit(run, work);
  }
  begin(run, work);
}

function unpark(run: RunState): void {
  while (run.parked.length > 0 && !isFull(run)) {
    const work = run.parked.shift()!;
    if (!work.inLine) continue;
    leaveLine(run, work);
    if (work.items) {
      takeTurn(run, work, work.items);
      settleArray(run, work, work.items);
      continue;
    }
    takePermit(run, work);
    // One that backed off has begun before: its next attempt goes on.
    if (work.queuedAt) run.work.push(Step.Attempt, work.scope, work.node);
    else begin(run, work);
  }
}
