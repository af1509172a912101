import { attemptOf } from '../data/attempts.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { cacheable } from './asks.js';

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
