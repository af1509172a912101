import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { itemAttemptOf } from '../data/attempts.js';
import { templateOf } from '../data/task-settings.js';
import { attemptRoute, meansOfItem } from '../routing/attempt-route.js';
import { listedItems } from '../events/item-pages.js';
import { ItemState, type ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, type RunState } from '../state/run-state.js';
import { childCause, orphan } from './orphans.js';
import { itemCacheable } from './item-asks.js';
import { freePermits } from './parallelism.js';
import { giveBackUnanswered } from './reservations.js';
import { cancelTimer } from './timers.js';

/** Stops every item in flight. What is kept of those in flight is all that needs looking at. */
export function abortItems(run: RunState, work: NodeWork, items: ArrayItems, reason: string): void {
  for (const index of [...items.launched.keys()]) stopLaunched(run, work, items, index, reason);
  quietItems(run, work, items, reason);
  for (const index of [...items.reserved.keys()]) releaseItem(run, work, items, index);
  cancelTimer(run, items.eventTimer);
  items.eventTimer = 0;
  if (items.shared) freePermits(run, items.active);
  items.active = 0;
}

/** Nothing begins or goes on by itself any more; attempts that were launched are left as they are. */
export function quietItems(run: RunState, work: NodeWork, items: ArrayItems, reason: string): void {
  for (const id of items.requests.values()) {
    const pending = run.requests.get(id);
    if (pending?.purpose === Purpose.StartItemChild) orphan(run, pending);
    else if (pending) {
      run.requests.delete(id);
      giveBackUnanswered(run, work, pending, items);
    }
  }
  for (const child of items.children.values()) {
    run.effects.push({ kind: 'abort-child', child, cause: childCause(run, reason) });
  }
  for (const timer of [...items.timers.values(), ...items.delayed.values()]) cancelTimer(run, timer);
  items.requests.clear();
  items.children.clear();
  items.timers.clear();
  items.delayed.clear();
}

/** Takes an item's attempt away from its backend, which may have been told already. */
export function stopLaunched(run: RunState, work: NodeWork, items: ArrayItems, index: number, reason: string): void {
  const attempt = items.attempts[index]!;
  if (!work.ending && !items.ending.has(index)) tellItem(run, work, items, index, reason);
  items.ending.delete(index);
  items.launched.delete(index);
  if (items.states.get(index) !== ItemState.Active || index >= listedItems) return;
  const known = items.changes.get(index);
  items.changes.set(index, {
    phase: TaskExecution_Phase.ABORTED,
    attempt,
    cacheStatus: known?.cacheStatus ?? 0,
    logs: known?.attempt === attempt ? known.logs : [],
    child: known?.child,
  });
}

/** Tells the item's backend to end its attempt. */
export function tellItem(run: RunState, work: NodeWork, items: ArrayItems, index: number, reason: string): void {
  const attempt = itemAttemptOf(run, work, index, items.attempts[index]!);
  const taskType = templateOf(work.scope, work.node).type;
  const routed = attemptRoute(run, work, meansOfItem(run, work, items, index));
  run.effects.push({ kind: 'abort', attempt, taskType, routed, reason });
}

/** Gives an item's cache reservation back, if it holds one (C-95). */
export function releaseItem(run: RunState, work: NodeWork, items: ArrayItems, index: number): void {
  const owner = items.reserved.get(index);
  if (owner === undefined) return;
  items.reserved.delete(index);
  run.effects.push({
    kind: 'release-reservation',
    ...itemCacheable(run, work, items, index),
    attempt: itemAttemptOf(run, work, index, owner),
  });
}
