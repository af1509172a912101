import type { ChildEnded, LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { CacheLookedUp_Result, type CacheLookedUp, type RequestAnswered } from '@aloft/idl/aloft/v1/engine';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import {
  ExecutionError_ErrorKind,
  TaskExecution_Phase,
  WorkflowExecution_Phase,
  type ExecutionError,
} from '@aloft/idl/flyteidl/core/execution';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { Behaviour, behaves } from '../behaviours.js';
import { systemError, userError } from '../data/failures.js';
import { executionTimeout, templateOf } from '../data/task-settings.js';
import { emptyValue } from '../data/values.js';
import { itemChanged } from '../events/array-events.js';
import { stopLaunched } from '../lifecycle/abort-items.js';
import { itemAwaitsBackend } from '../lifecycle/ending.js';
import { itemChildNode } from '../lifecycle/item-asks.js';
import { childCause } from '../lifecycle/orphans.js';
import { queueMessage } from '../lifecycle/retry.js';
import { setTimer } from '../lifecycle/timers.js';
import { childExecutionName } from '../names.js';
import { ItemState, type ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, TimerPurpose, type PendingRequest, type RunState } from '../state/run-state.js';
import { addDuration, addMillis, describeDuration } from '../time.js';
import { settleArray } from './array-end.js';
import { ask, itemFailed, itemSucceeded, launchItem, leaveBackend, pump, startItem } from './array-items.js';
import { defaultRetryMillis, tellHolder } from './cache.js';
import { childError } from './child-execution.js';

const P = TaskExecution_Phase;
type Answer = NonNullable<RequestAnswered['answer']>;

/** After every change of an item: others may start, or the array may be done. */
export function goOn(run: RunState, work: NodeWork, items: ArrayItems): void {
  if (work.ending) return;
  pump(run, work, items);
  settleArray(run, work, items);
}

/** The answer to a request of one item. */
export function itemAnswered(run: RunState, work: NodeWork, pending: PendingRequest, answer: Answer): void {
  const items = work.items;
  if (!items) throw new Error(`engine: request ${pending.id} is for an item of ${work.id}, which has none`);
  const index = pending.item;
  items.requests.delete(index);
  switch (answer.$case) {
    case 'stored':
      items.inputs.set(index, { value: answer.value.stored && { $case: 'stored', value: answer.value.stored } });
      startItem(run, work, items, index);
      break;
    case 'cache':
      itemLookedUp(run, work, items, index, answer.value);
      break;
    case 'cacheStored':
      itemStored(run, work, items, index, answer.value.failed);
      break;
    case 'child':
      itemChildStarted(run, work, items, index, answer.value.child);
      break;
    case 'error':
      itemRefused(run, work, items, index, pending.purpose, answer.value);
      break;
    default:
      throw new Error(`engine: an item's request was answered with ${answer.$case}`);
  }
  goOn(run, work, items);
}

function itemRefused(
  run: RunState,
  work: NodeWork,
  items: ArrayItems,
  index: number,
  purpose: Purpose,
  error: ExecutionError,
): void {
  // C-93: what the catalog can't do fails no item.
  if (purpose === Purpose.LookUpItem) return launchItem(run, work, items, index);
  if (purpose === Purpose.StoreItem) return itemStored(run, work, items, index, true);
  itemFailed(run, work, items, index, error, error.kind === ExecutionError_ErrorKind.SYSTEM);
}

function itemLookedUp(run: RunState, work: NodeWork, items: ArrayItems, index: number, answer: CacheLookedUp): void {
  if (answer.result === CacheLookedUp_Result.HIT) {
    const cacheStatus = CatalogCacheStatus.CACHE_HIT;
    return itemSucceeded(run, work, items, index, answer.outputs ?? emptyValue, { cacheStatus });
  }
  if (answer.result === CacheLookedUp_Result.RESERVED) {
    if (behaves(run, Behaviour.TellsMore)) tellHolder(run, work, answer.holder, `item ${index} waits`);
    const at = answer.retryAt ?? addMillis(run.now, defaultRetryMillis);
    items.timers.set(index, setTimer(run, TimerPurpose.ItemReservation, work, at, index));
    return;
  }
  const missed = answer.result === CacheLookedUp_Result.MISS;
  if (missed && templateOf(work.scope, work.node).metadata?.cacheSerializable) {
    items.reserved.set(index, items.attempts[index]!);
  }
  launchItem(run, work, items, index);
  const cacheStatus = missed ? CatalogCacheStatus.CACHE_MISS : CatalogCacheStatus.CACHE_LOOKUP_FAILURE;
  itemChanged(run, work, items, index, { phase: P.QUEUED, cacheStatus });
}

function itemStored(run: RunState, work: NodeWork, items: ArrayItems, index: number, failed: boolean): void {
  const cacheStatus = failed ? CatalogCacheStatus.CACHE_PUT_FAILURE : CatalogCacheStatus.CACHE_POPULATED;
  itemSucceeded(run, work, items, index, items.storing.get(index) as LiteralsValue, { cacheStatus });
}

/** The time limit of an item's attempt (C-50), or the next look at its reservation. */
export function itemTimerFired(run: RunState, work: NodeWork, index: number, purpose: TimerPurpose): void {
  const items = work.items;
  if (!items) return;
  items.timers.delete(index);
  if (purpose === TimerPurpose.ItemReservation) {
    ask(run, work, items, index, Purpose.LookUpItem);
    return;
  }
  if (purpose === TimerPurpose.ItemQueue) {
    const late = queueMessage(run, work, `item ${index}, attempt ${items.attempts[index]}`);
    if (itemAwaitsBackend(run, work, items, index, { purpose, reason: late })) return;
    stopLaunched(run, work, items, index, late);
    itemFailed(run, work, items, index, systemError(run, 'QueueTimeoutExpired', late), true);
    return goOn(run, work, items);
  }
  const limit = executionTimeout(run, work.scope, work.node);
  const message = `item ${index}, attempt ${items.attempts[index]} ran longer than its limit of ${limit ? describeDuration(limit) : '?'}`;
  const child = items.children.get(index);
  if (child) {
    items.children.delete(index);
    run.effects.push({ kind: 'abort-child', child, cause: childCause(run, message) });
  } else {
    if (itemAwaitsBackend(run, work, items, index, { purpose, reason: message })) return;
    stopLaunched(run, work, items, index, message);
    leaveBackend(run, items, index);
  }
  itemFailed(run, work, items, index, userError(run, 'TimeoutExpired', message), true);
  goOn(run, work, items);
}

/** The time of the item's next attempt came (C-36). */
export function itemBackedOff(run: RunState, work: NodeWork, index: number): void {
  const items = work.items;
  if (!items?.delayed.delete(index)) return;
  items.again.push(index);
  goOn(run, work, items);
}

function itemChildStarted(
  run: RunState,
  work: NodeWork,
  items: ArrayItems,
  index: number,
  child: WorkflowExecutionIdentifier | undefined,
): void {
  if (!child) throw new Error(`engine: item ${index} of ${work.id}: a child execution without its id`);
  items.children.set(index, child);
  const limit = executionTimeout(run, work.scope, work.node);
  if (limit) {
    items.timers.set(index, setTimer(run, TimerPurpose.ItemExecution, work, addDuration(run.now, limit), index));
  }
  itemChanged(run, work, items, index, { phase: P.RUNNING, child });
}

/** The end of an item's child execution. */
export function itemChildEnded(run: RunState, work: NodeWork, index: number, ended: ChildEnded): boolean {
  const items = work.items;
  if (!items || work.ending || index >= items.size || items.states.get(index) !== ItemState.Active) return false;
  if (ended.child?.name !== childExecutionName(run.id.name, itemChildNode(work, index), items.attempts[index]!))
    return false;
  const request = items.requests.get(index);
  if (request !== undefined) run.requests.delete(request);
  items.requests.delete(index);
  items.children.delete(index);
  leaveBackend(run, items, index);
  if (ended.phase === WorkflowExecution_Phase.SUCCEEDED) {
    itemSucceeded(run, work, items, index, ended.outputs ?? emptyValue);
  } else {
    itemFailed(run, work, items, index, childError(run, ended), false);
  }
  goOn(run, work, items);
  return true;
}
