import type { WaitReason } from '@aloft/idl/aloft/v1/bus';
import { NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import { emit } from '../events/emit.js';
import { nodeEvent } from '../events/node-events.js';
import { parkedWait } from '../explain/waits.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';

/** A reason as events may tell it: runs from before {@link Behaviour.TellsWaits} told none. */
export function told(run: RunState, wait: WaitReason): WaitReason | undefined {
  return behaves(run, Behaviour.TellsWaits) ? wait : undefined;
}

/** Says by an event of its own why a node waits: where no phase changes with it. */
export function tellWait(run: RunState, work: NodeWork, wait: WaitReason): void {
  // From then on the next event that doesn't say so ends it.
  if (behaves(run, Behaviour.TellsWaits)) work.waiting = wait;
  emit(run, { $case: 'wait', value: wait });
}

/** Ready, but others are in flight: seen as QUEUED from now on, with the reason; one that has begun before keeps its phase. */
export function tellParked(run: RunState, work: NodeWork): void {
  const waiting = told(run, parkedWait(run, work));
  if (!waiting) return;
  if (work.queuedAt) tellWait(run, work, waiting);
  else nodeEvent(run, work.scope, work.node, work, NodeExecution_Phase.QUEUED, { waiting });
}
