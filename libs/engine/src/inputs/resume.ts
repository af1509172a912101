import { isHeard, abortNode } from '../lifecycle/abort.js';
import { attemptTimedOut, nodeTimedOut, queueTimedOut } from '../lifecycle/retry.js';
import { END } from '../graph/graph.js';
import { takenBack } from '../nodes/ahead.js';
import { itemTimerFired } from '../nodes/array-answers.js';
import { settleArray } from '../nodes/array-end.js';
import type { ArrayItems } from '../state/array-items.js';
import { Because } from '../state/ending.js';
import { isOver } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { ScopeStatus } from '../state/scope.js';
import { Step } from '../state/work-queue.js';
import { perform } from './node-controlled.js';

/** The backends have said that nothing runs any more of a node (or of items) that was to end: now it does, as was decided then. */
export function resume(run: RunState, work: NodeWork): void {
  const { ending, items, scope, node } = work;
  if (!ending) return items && resumeItems(run, work, items);
  if (!isHeard(run, work, ending)) return;
  switch (ending.because) {
    case Because.Upstream:
      return takenBack(run, work, ending.reason);
    case Because.Execution:
      return attemptTimedOut(run, work);
    case Because.Queue:
      return queueTimedOut(run, work);
    case Because.Active:
      return nodeTimedOut(run, work);
    case Because.Items:
      return items && settleArray(run, work, items);
    case Because.Control:
      return ending.command && perform(run, { scope, node }, ending.command);
    case Because.Abort:
      abortNode(run, work, ending.reason);
      // It may have been all that its scope's end waited for.
      if (scope.status !== ScopeStatus.Running || isOver(scope.states[END]!)) run.work.push(Step.Settle, scope, -1);
  }
}

function resumeItems(run: RunState, work: NodeWork, items: ArrayItems): void {
  for (const [index, { purpose, heard }] of [...items.ending]) {
    if (!heard) continue;
    itemTimerFired(run, work, index, purpose);
    // That may have been the item whose failure was one too many.
    if (work.ending || work.items !== items) return;
  }
}
