import { arrayProgressed } from '../events/array-events.js';
import { enter } from '../lifecycle/active.js';
import { patienceOver } from '../lifecycle/ending.js';
import { request } from '../lifecycle/requests.js';
import { backedOff } from '../lifecycle/backing-off.js';
import { attemptTimedOut, nodeTimedOut, queueTimedOut } from '../lifecycle/retry.js';
import { runTimedOut } from '../lifecycle/run-limit.js';
import { itemBackedOff, itemTimerFired } from '../nodes/array-answers.js';
import { slept } from '../nodes/gate.js';
import { NodeState } from '../state/node-state.js';
import { Purpose, TimerPurpose, type RunState } from '../state/run-state.js';

/** A timer's time came; cancelled ones that fired all the same change nothing. */
export function timerFired(run: RunState, id: number): boolean {
  const timer = run.timers.get(id);
  if (!timer) return false;
  run.timers.delete(id);
  const { work } = timer;
  if (!work) {
    if (timer.purpose === TimerPurpose.Abort) patienceOver(run);
    else runTimedOut(run);
    return true;
  }
  switch (timer.purpose) {
    case TimerPurpose.Execution:
      attemptTimedOut(run, work);
      return true;
    case TimerPurpose.Active:
      nodeTimedOut(run, work);
      return true;
    case TimerPurpose.Wait:
      work.waitTimer = 0;
      if (work.state === NodeState.Reserved) {
        enter(run, work, NodeState.LookingUp);
        request(run, work, Purpose.LookUpCache);
      } else {
        slept(run, work);
      }
      return true;
    case TimerPurpose.ItemEvents:
      arrayProgressed(run, work);
      return true;
    case TimerPurpose.Backoff:
      backedOff(run, work);
      return true;
    case TimerPurpose.Queue:
      queueTimedOut(run, work);
      return true;
    case TimerPurpose.ItemBackoff:
      itemBackedOff(run, work, timer.item);
      return true;
    case TimerPurpose.ItemQueue:
    case TimerPurpose.ItemExecution:
    case TimerPurpose.ItemReservation:
      itemTimerFired(run, work, timer.item, timer.purpose);
      return true;
    default:
      throw new Error(`engine: timer ${id} has the unknown purpose ${timer.purpose}`);
  }
}
