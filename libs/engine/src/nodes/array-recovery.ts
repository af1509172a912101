import { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { inlined, inlineValue, storedUri } from '../data/values.js';
import { ItemState, type ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';

/**
 * Items that succeeded in the recovered run don't run again (C-84): their outputs are taken from its collected ones, element by
 * element, or by reference where those are stored.
 */
export function takeOverItems(work: NodeWork, items: ArrayItems): void {
  const bits = work.recovered?.recoveredItems;
  const collected = inlined(work.recovered?.outputs);
  items.takenFrom = storedUri(work.recovered?.outputs) ?? '';
  if (!bits || bits.length === 0 || (!collected && items.takenFrom === '')) return;
  for (let index = 0; index < items.size; index++) {
    if (((bits[index >>> 3] ?? 0) & (1 << (index & 7))) === 0) continue;
    items.states.set(index, ItemState.Succeeded);
    items.succeeded++;
    if (!collected) continue;
    const outputs: Record<string, Literal> = {};
    for (const name in collected) {
      const value = collected[name]!.value;
      const element = value?.$case === 'collection' ? value.value.literals[index] : undefined;
      if (element) outputs[name] = element;
    }
    items.outputs.append(index, LiteralsValue.encode(inlineValue(outputs)).finish());
  }
}
