import { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { inlined, inlineValue, storedUri } from '../data/values.js';
import { itemChanged } from '../events/array-events.js';
import { ItemState, type ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';

/**
 * Items that succeeded in the recovered run don't run again (C-84): their outputs are taken from its collected ones, element by
 * element, or by reference where those are stored. Of the others, checkpoints go on (C-81). An array of another size isn't the
 * one that was: it takes nothing.
 */
export function takeOverItems(run: RunState, work: NodeWork, items: ArrayItems): void {
  const { recovered } = work;
  const bits = recovered?.recoveredItems;
  if (!recovered || bits?.length !== (items.size + 7) >>> 3) return;
  for (const [index, uri] of Object.entries(recovered.itemCheckpoints)) items.checkpoints.set(Number(index), uri);
  const collected = inlined(recovered.outputs);
  const uri = storedUri(recovered.outputs) ?? '';
  if (!collected && uri === '') return;
  items.takenFrom = uri;
  for (let index = 0; index < items.size; index++) {
    if (((bits[index >>> 3] ?? 0) & (1 << (index & 7))) === 0) continue;
    items.setState(index, ItemState.Succeeded);
    items.succeeded++;
    items.checkpoints.delete(index);
    if (collected) items.outputs.append(index, LiteralsValue.encode(elementsAt(collected, index)).finish());
    itemChanged(run, work, items, index, { phase: TaskExecution_Phase.SUCCEEDED });
  }
}

function elementsAt(collected: Record<string, Literal>, index: number): LiteralsValue {
  const outputs: Record<string, Literal> = {};
  for (const name in collected) {
    const value = collected[name]!.value;
    const element = value?.$case === 'collection' ? value.value.literals[index] : undefined;
    if (element) outputs[name] = element;
  }
  return inlineValue(outputs);
}
