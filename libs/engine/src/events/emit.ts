import type { ExecutionEvent, ItemPage, TaskUsage, WaitReason } from '@aloft/idl/aloft/v1/bus';
import type { Route } from '@aloft/idl/aloft/v1/routing';
import type { RunState } from '../state/run-state.js';

/** Events name their producer; the empty and this one are accepted for any cluster. */
export const producer = 'propeller';

/** What is told with an event, beyond Flyte's own message. */
export interface Besides {
  usage?: TaskUsage | undefined;
  waiting?: WaitReason | undefined;
  route?: Route | undefined;
  itemPages?: ItemPage[];
}

export function emit(
  run: RunState,
  event: ExecutionEvent['event'],
  { usage, waiting, route, itemPages = [] }: Besides = {},
): void {
  run.effects.push({
    kind: 'event',
    event: { sequence: BigInt(++run.sequence), event, usage, waiting, route, itemPages },
  });
}
