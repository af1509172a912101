import { CacheLookedUp_Result, type CacheLookedUp } from '@aloft/idl/aloft/v1/engine';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import { Behaviour, behaves } from '../behaviours.js';
import { overwritesCache, templateOf } from '../data/task-settings.js';
import { reservationWait } from '../explain/waits.js';
import { enter } from '../lifecycle/active.js';
import { succeed } from '../lifecycle/finish.js';
import { request } from '../lifecycle/requests.js';
import { setTimer } from '../lifecycle/timers.js';
import { tellWait } from '../lifecycle/waits.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, TimerPurpose, type RunState } from '../state/run-state.js';
import { addMillis } from '../time.js';
import { Step } from '../state/work-queue.js';

/** How long to wait for a reservation of somebody else's if the catalog doesn't say, in milliseconds (C-95). */
export const defaultRetryMillis = 10_000;

/** Asks the catalog before anything is launched (C-93); told to overwrite, it doesn't ask, nor reserve (C-94). */
export function lookUpCache(run: RunState, work: NodeWork): void {
  if (overwritesCache(run, work.scope, work.node)) {
    work.cacheStatus = CatalogCacheStatus.CACHE_SKIPPED;
    return proceed(run, work);
  }
  enter(run, work, NodeState.LookingUp);
  request(run, work, Purpose.LookUpCache);
}

export function cacheLookedUp(run: RunState, work: NodeWork, answer: CacheLookedUp): void {
  work.cacheMetadata = answer.metadata;
  switch (answer.result) {
    case CacheLookedUp_Result.HIT:
      work.cacheStatus = CatalogCacheStatus.CACHE_HIT;
      return succeed(run, work, answer.outputs);
    case CacheLookedUp_Result.RESERVED:
      return waitForReservation(run, work, answer);
    case CacheLookedUp_Result.MISS:
      work.cacheStatus = CatalogCacheStatus.CACHE_MISS;
      if (templateOf(work.scope, work.node).metadata?.cacheSerializable) work.reservedBy = work.attempt;
      return proceed(run, work);
    default:
      // C-93: a failed look-up never fails the node.
      work.cacheStatus = CatalogCacheStatus.CACHE_LOOKUP_FAILURE;
      return proceed(run, work);
  }
}

function proceed(run: RunState, work: NodeWork): void {
  work.lookedUp = true;
  run.work.push(Step.Attempt, work.scope, work.node);
}

function waitForReservation(run: RunState, work: NodeWork, answer: CacheLookedUp): void {
  enter(run, work, NodeState.Reserved);
  const at = answer.retryAt ?? addMillis(run.now, defaultRetryMillis);
  tellHolder(run, work, answer.holder, 'waiting', at);
  work.waitTimer = setTimer(run, TimerPurpose.Wait, work, at);
}

/** C-98 Ours: whoever waits is told for whom, once. */
export function tellHolder(run: RunState, work: NodeWork, holder: string, waiting: string, until?: Timestamp): void {
  // A node that no longer waited, and finds the same holder again, waits anew.
  const tellsAgain = behaves(run, Behaviour.TellsWaits) && !work.items && !work.waiting;
  if (work.reservationHolder === holder && !tellsAgain) return;
  work.reservationHolder = holder;
  const since = (!work.items && work.waiting?.since) || run.now;
  const detail = `${waiting} for the cache reservation held by ${holder}`;
  tellWait(run, work, { ...reservationWait(work, since, until), detail });
}
