import { WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import type { ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { waitOf } from '../explain/waits.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { TimerPurpose, type RunState } from '../state/run-state.js';
import { Step } from '../state/work-queue.js';
import { addMillis, describeDuration } from '../time.js';
import { enter, releasePermit } from './active.js';
import { countsAsParallel, isFull, lineUp, takePermit } from './parallelism.js';
import { setTimer } from './timers.js';
import { tellParked, tellWait } from './waits.js';

/** The next attempt waits (C-36). Meanwhile the node isn't in flight: others may have its permit (C-70). */
export function backOff(run: RunState, work: NodeWork, millis: number, error: ExecutionError): void {
  enter(run, work, NodeState.BackingOff);
  releasePermit(run, work);
  const until = addMillis(run.now, millis);
  work.waitTimer = setTimer(run, TimerPurpose.Backoff, work, until);
  const detail = `attempt ${work.attempt} starts ${describeMillis(millis)} after the last one's ${error.code}`;
  tellBackoff(run, work, detail, until);
}

export function tellBackoff(run: RunState, work: NodeWork, detail: string, until?: Timestamp): void {
  tellWait(run, work, waitOf(work, WaitReason_Kind.BACKOFF, detail, run.now, { until }));
}

export function describeMillis(millis: number): string {
  const { seconds, nanos } = addMillis({ seconds: 0n, nanos: 0 }, millis);
  return describeDuration({ seconds, nanos });
}

/** Its time has come; it may have to wait for a permit first. */
export function backedOff(run: RunState, work: NodeWork): void {
  work.waitTimer = 0;
  if (countsAsParallel(work.scope, work.node)) {
    if (isFull(run)) {
      enter(run, work, NodeState.Parked);
      lineUp(run, work);
      tellParked(run, work);
      return;
    }
    takePermit(run, work);
  }
  run.work.push(Step.Attempt, work.scope, work.node);
}
