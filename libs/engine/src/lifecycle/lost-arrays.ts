import { collectOutputs } from '../data/array-outputs.js';
import { childExecutionName } from '../names.js';
import { ItemState, type ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { itemChildNode } from './item-asks.js';

/** Child executions and checkpoints of more items than these aren't handed on: their items start from scratch. */
const maxHandedOn = 50_000;

/** An array's items are about to be forgotten without its success: whoever replays the run to recover it may keep them (C-84). */
export function loseArray(run: RunState, work: NodeWork, items: ArrayItems): void {
  if (!run.observer) return;
  const succeeded = new Uint8Array((items.size + 7) >>> 3);
  const children = new Map<number, string>();
  const startsChildren = work.scope.template.targets[work.node]! < 0;
  for (let index = 0; index < items.size; index++) {
    const state = items.states.get(index);
    if (state === ItemState.Succeeded) succeeded[index >>> 3]! |= 1 << (index & 7);
    else if (startsChildren && index < items.next && children.size < maxHandedOn) {
      children.set(index, childExecutionName(run.id.name, itemChildNode(work, index), items.attempts[index]!));
    }
  }
  const checkpoints = new Map([...items.checkpoints].slice(0, maxHandedOn));
  run.observer.arrayLost({
    nodeId: work.id,
    succeeded,
    outputs: collectOutputs(work, items),
    checkpoints,
    children,
  });
}
