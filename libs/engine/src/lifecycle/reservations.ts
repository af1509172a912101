import { Behaviour, behaves } from '../behaviours.js';
import { attemptOf } from '../data/attempts.js';
import { templateOf } from '../data/task-settings.js';
import type { ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, type PendingRequest, type RunState } from '../state/run-state.js';
import { cacheable } from './asks.js';
import { itemCacheable } from './item-asks.js';

/**
 * Gives the node's cache reservation back, if it holds one (C-95): when the node is over, however it ended, so that others needn't
 * wait for its expiry. Between two attempts it is kept.
 */
export function releaseReservation(run: RunState, work: NodeWork): void {
  if (work.reservedBy < 0) return;
  const owner = attemptOf(run, work, work.reservedBy);
  work.reservedBy = -1;
  run.effects.push({ kind: 'release-reservation', ...cacheable(run, work), attempt: owner });
}

/**
 * The node, or one item of it, is over while it asks for a reservation: whether it was granted is no longer awaited, but then it
 * must not be held.
 */
export function giveBackUnanswered(run: RunState, work: NodeWork, pending: PendingRequest, items?: ArrayItems): void {
  const asks = pending.purpose === Purpose.LookUpCache || pending.purpose === Purpose.LookUpItem;
  if (!asks || !behaves(run, Behaviour.NothingLeftBehind)) return;
  if (!templateOf(work.scope, work.node).metadata?.cacheSerializable) return;
  const cached = items ? itemCacheable(run, work, items, pending.item) : cacheable(run, work);
  run.effects.push({ kind: 'release-reservation', ...cached });
}
