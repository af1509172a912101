import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import type { NodeWork } from '../state/node-work.js';
import type { RunState, TimerPurpose } from '../state/run-state.js';

/** Asks to be woken at log time `at`; returns the timer's number. */
export function setTimer(
  run: RunState,
  purpose: TimerPurpose,
  work: NodeWork | undefined,
  at: Timestamp,
  item = -1,
): number {
  const id = ++run.lastTimer;
  run.timers.set(id, { id, purpose, work, item, at });
  run.effects.push({ kind: 'set-timer', timer: BigInt(id), at });
  return id;
}

/** Harmless for 0 and for timers that fired. */
export function cancelTimer(run: RunState, id: number): void {
  if (id > 0 && run.timers.delete(id)) run.effects.push({ kind: 'cancel-timer', timer: BigInt(id) });
}
