import { attemptOf } from '../data/attempts.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { cacheable } from './asks.js';

/**
 * Gives the node's cache reservation back, if it holds one (C-95). Also after a failure or an abort, so that others needn't wait
 * for its expiry.
 */
export function releaseReservation(run: RunState, work: NodeWork): void {
  if (work.reservedBy < 0) return;
  const owner = attemptOf(run, work, work.reservedBy);
  work.reservedBy = -1;
  run.effects.push({ kind: 'release-reservation', ...cacheable(run, work), attempt: owner });
}
