import type { ExecutionEvent, TaskUsage, WaitReason } from '@aloft/idl/aloft/v1/bus';
import type { RunState } from '../state/run-state.js';

/** Events name their producer; the empty and this one are accepted for any cluster. */
export const producer = 'propeller';

export function emit(run: RunState, event: ExecutionEvent['event'], usage?: TaskUsage, waiting?: WaitReason): void {
  run.effects.push({ kind: 'event', event: { sequence: BigInt(++run.sequence), event, usage, waiting } });
}
