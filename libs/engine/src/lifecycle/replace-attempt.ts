import { inlined } from '../data/values.js';
import { Kind } from '../graph/graph.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, type RunState } from '../state/run-state.js';
import { Step } from '../state/work-queue.js';
import { stopAttempt } from './abort.js';
import { enter } from './active.js';
import { backedOff } from './backing-off.js';
import { request } from './requests.js';
import { toNextAttempt } from './retry.js';
import { cancelTimer } from './timers.js';

/** Aborts the node's attempt and begins another. The aborted one counts against no budget. */
export function retryNow(run: RunState, work: NodeWork, reason: string): void {
  if (work.state === NodeState.BackingOff) {
    // The next attempt is due already: it needn't wait.
    cancelTimer(run, work.waitTimer);
    return backedOff(run, work);
  }
  stopAttempt(run, work, reason);
  toNextAttempt(run, work);
  work.replaced++;
  work.outputs = undefined;
  // An array knew the lengths of its stored lists only while it made its items.
  if (work.scope.template.kinds[work.node] === Kind.Array && !inlined(work.inputs)) {
    enter(run, work, NodeState.Resolving);
    request(run, work, Purpose.LoadInputs);
    return;
  }
  run.work.push(Step.Attempt, work.scope, work.node);
}
