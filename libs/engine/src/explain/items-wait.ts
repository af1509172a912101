import { WaitReason_Kind as Kind, type WaitReason } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import { TimerPurpose, type RunState } from '../state/run-state.js';
import { waitOf } from './waits.js';

/**
 * An array waits when all of its items in flight wait for the same; else it runs, and the detail counts its items. `position`: its
 * place in the line for the run's permits, if its items take those.
 */
export function itemsWait(run: RunState, work: NodeWork, position = 0): WaitReason | undefined {
  const { items } = work;
  if (!items) return undefined;
  const reason = reasonOf(run, work, items);
  const limit = reason?.kind === Kind.PARALLELISM ? { limit: run.settings.maxParallelism, position } : {};
  const detail = reason ? `${reason.words}: ${countsOf(items)}` : countsOf(items);
  return waitOf(work, reason?.kind ?? Kind.NONE, detail, work.since, limit);
}

function reasonOf(run: RunState, work: NodeWork, items: ArrayItems): { kind: Kind; words: string } | undefined {
  if (items.active === 0) {
    if (work.inLine) return { kind: Kind.PARALLELISM, words: "waiting for the run's permits" };
    return items.delayed.size > 0 ? { kind: Kind.BACKOFF, words: 'waiting for the next attempts' } : undefined;
  }
  if (allOf(items, items.launched.values(), ({ phase }) => phase === Phase.WAITING_FOR_RESOURCES))
    return { kind: Kind.CAPACITY, words: 'waiting for room at its backend' };
  if (allOf(items, items.timers.values(), (id) => run.timers.get(id)?.purpose === TimerPurpose.ItemReservation))
    return { kind: Kind.RESERVATION, words: 'waiting for cache reservations' };
  if (allOf(items, items.children.values(), () => true))
    return { kind: Kind.CHILD, words: 'waiting for child executions' };
  return undefined;
}

/** Whether these are all items in flight, and all fit; the first that doesn't ends the search. */
function allOf<T>({ active }: ArrayItems, found: Iterable<T>, fits: (each: T) => boolean): boolean {
  let count = 0;
  for (const each of found) {
    if (!fits(each)) return false;
    count++;
  }
  return count === active;
}

function countsOf(items: ArrayItems): string {
  const waiting = items.size - items.succeeded - items.failed - items.active;
  const delayed = items.delayed.size > 0 ? ` (${items.delayed.size} for their next attempt's time)` : '';
  return `${items.active} items in flight, ${waiting} waiting${delayed}, ${items.succeeded} succeeded, ${items.failed} failed`;
}
