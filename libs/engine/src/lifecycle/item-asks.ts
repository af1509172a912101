import type { Request } from '../api.js';
import { itemInputs, itemSources } from '../data/array-inputs.js';
import { itemAttemptOf } from '../data/attempts.js';
import { overwritesCache, templateOf } from '../data/task-settings.js';
import { emptyValue } from '../data/values.js';
import { childExecutionName, inputsFile, itemDataPrefix } from '../names.js';
import type { ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, type PendingRequest, type RunState } from '../state/run-state.js';
import { startChild } from './asks.js';

/** What a pending request of one item of an array asks, from the state alone. */
export function itemAskOf(run: RunState, work: NodeWork, pending: PendingRequest): Request['ask'] | undefined {
  const items = work.items;
  const index = pending.item;
  if (!items) return undefined;
  switch (pending.purpose) {
    case Purpose.StoreItemInputs:
      return {
        kind: 'store',
        uri: inputsFile(itemDataPrefix(work.dataPrefix(run.id), work.attempt, index)),
        variables: itemSources(work, items, index),
      };
    case Purpose.LookUpItem:
      return {
        kind: 'cache-lookup',
        ...itemCacheable(run, work, items, index),
        reserve: templateOf(work.scope, work.node).metadata?.cacheSerializable ?? false,
      };
    case Purpose.StoreItem:
      return {
        kind: 'cache-store',
        ...itemCacheable(run, work, items, index),
        outputs: items.storing.get(index) ?? emptyValue,
        overwrite: overwritesCache(run, work.scope, work.node),
      };
    case Purpose.StartItemChild: {
      const attempt = items.attempts[index]!;
      const nodeId = itemChildNode(work, index);
      const inputs = itemInputs(work, items, index) ?? emptyValue;
      const recover = work.recovered?.itemChildren[index];
      return {
        ...startChild(run, work, attempt, inputs),
        ...(recover ? { recover } : {}),
        nodeId,
        name: childExecutionName(run.id.name, nodeId, attempt),
      };
    }
    default:
      return undefined;
  }
}

export function itemCacheable(run: RunState, work: NodeWork, items: ArrayItems, index: number) {
  return {
    template: templateOf(work.scope, work.node),
    inputs: itemInputs(work, items, index) ?? emptyValue,
    settings: run.settings,
    attempt: itemAttemptOf(run, work, index, items.attempts[index]!),
  };
}

/** Node id under which an item's child execution knows its parent: never hashed, so that the item can be read from it. */
export function itemChildNode(work: NodeWork, index: number): string {
  return `${work.id}-${work.attempt}-n${index}`;
}

/** The array's unique id and the item's index. */
export function itemOfChildNode(nodeId: string): { nodeId: string; index: number } | undefined {
  const match = /^(.*)-\d+-n(\d+)$/.exec(nodeId);
  return match ? { nodeId: match[1]!, index: Number(match[2]) } : undefined;
}
