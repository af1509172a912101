import { Purpose, type PendingRequest, type RunState } from '../state/run-state.js';
import { effectOf } from './requests.js';

export function childCause(run: RunState, reason: string): string {
  return `cascading abort as parent execution ${run.id.name} no longer needs it: ${reason}`;
}

/** The child was asked for and may exist: its creation's answer is awaited, then it is stopped. */
export function orphan(run: RunState, pending: PendingRequest): void {
  const { ask } = effectOf(run, pending);
  if (ask.kind !== 'start-child') throw new Error(`engine: request ${pending.id} starts no child execution`);
  run.requests.set(pending.id, { id: pending.id, purpose: Purpose.StopChild, work: undefined, item: -1, child: ask });
}
