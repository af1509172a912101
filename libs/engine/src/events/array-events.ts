import { WaitReason, WaitReason_Kind, type LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { Route } from '@aloft/idl/aloft/v1/routing';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import { TaskExecution_Phase, type ExecutionError, type TaskLog } from '@aloft/idl/flyteidl/core/execution';
import { ResourceType, type WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { ExternalResourceInfo, TaskExecutionEvent, TaskExecutionMetadata } from '@aloft/idl/flyteidl/event/event';
import { Behaviour, behaves } from '../behaviours.js';
import { itemsWait } from '../explain/items-wait.js';
import { taskIfAny } from '../data/task-settings.js';
import { setTimer } from '../lifecycle/timers.js';
import { taskName } from '../names.js';
import { attemptRoute, meansOfItem } from '../routing/attempt-route.js';
import type { ArrayItems, ItemChange } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import { TimerPurpose, type RunState } from '../state/run-state.js';
import { addMillis } from '../time.js';
import { emit, producer } from './emit.js';
import { listedItems, pagesOverflow, takeItemPages } from './item-pages.js';
import { inputOf, outcomeOf } from './workflow-events.js';

/** Most items in one event: with their logs they must fit into a message. */
const itemsPerEvent = 250;
/** How long changes wait for others to be told of with them, in milliseconds. */
const coalesceMillis = 500;

/**
 * Something changed of an item. Changes are told of together: when there are enough for an event, or half a second after the first. Both
 * depend on the log alone, so that a replay counts the same events.
 */
export function itemChanged(
  run: RunState,
  work: NodeWork,
  items: ArrayItems,
  index: number,
  change: {
    phase: TaskExecution_Phase;
    logs?: TaskLog[];
    cacheStatus?: CatalogCacheStatus;
    child?: WorkflowExecutionIdentifier;
  },
): void {
  items.dirty = true;
  if (index < listedItems) {
    const known = items.changes.get(index);
    const attempt = items.attempts[index]!;
    const same = known?.attempt === attempt;
    items.changes.set(index, {
      phase: change.phase,
      attempt,
      cacheStatus: change.cacheStatus ?? (same ? known.cacheStatus : CatalogCacheStatus.CACHE_DISABLED),
      logs: change.logs && change.logs.length > 0 ? change.logs : same ? known.logs : [],
      child: change.child ?? (same ? known.child : undefined),
    });
    if (items.changes.size >= itemsPerEvent) return tellProgress(run, work, items);
  }
  tellSoon(run, work, items);
}

function tellSoon(run: RunState, work: NodeWork, items: ArrayItems): void {
  if (items.eventTimer === 0) {
    items.eventTimer = setTimer(run, TimerPurpose.ItemEvents, work, addMillis(run.now, coalesceMillis));
  }
}

function tellProgress(run: RunState, work: NodeWork, items: ArrayItems): void {
  arrayEvent(run, work, items, TaskExecution_Phase.RUNNING);
  if (items.changedPages.size === 0) return;
  items.dirty = true;
  tellSoon(run, work, items);
}

/** Tells of what changed since the last event. */
export function arrayProgressed(run: RunState, work: NodeWork): void {
  const items = work.items;
  if (!items) return;
  items.eventTimer = 0;
  if (items.dirty) tellProgress(run, work, items);
}

/** One task execution stands for all items, which are its external resources (C-144). When it is over, all of them have been told of. */
export function arrayEvent(
  run: RunState,
  work: NodeWork,
  items: ArrayItems,
  phase: TaskExecution_Phase,
  facts: { inputs?: LiteralsValue; outputs?: LiteralsValue; error?: ExecutionError } = {},
): void {
  const { scope, node } = work;
  const isOver = phase !== TaskExecution_Phase.QUEUED && phase !== TaskExecution_Phase.RUNNING;
  while (isOver && pagesOverflow(run, items)) arrayEvent(run, work, items, TaskExecution_Phase.RUNNING);
  const task = taskIfAny(scope, node);
  const begins = work.taskPhase !== phase && phase === TaskExecution_Phase.QUEUED;
  if (work.taskPhase !== phase) items.phaseVersion = 0;
  else items.phaseVersion++;
  work.taskPhase = phase;
  const event = TaskExecutionEvent.create();
  // Items that are child executions have no task: the node stands in, as in Flyte.
  event.taskId = task?.id ?? {
    resourceType: ResourceType.TASK,
    project: run.id.project,
    domain: run.id.domain,
    name: work.id,
    version: 'v1',
    org: run.id.org,
  };
  event.parentNodeExecutionId = { nodeId: work.id, executionId: run.id };
  event.retryAttempt = work.attempt;
  event.phase = phase;
  event.phaseVersion = items.phaseVersion;
  event.producerId = producer;
  event.occurredAt = run.now;
  event.reportedAt = run.now;
  event.inputValue = inputOf(facts.inputs);
  event.outputResult = outcomeOf(facts);
  event.taskType = 'container_array';
  event.eventVersion = 1;
  event.customInfo = { size: items.size, succeeded: items.succeeded, failed: items.failed, active: items.active };
  const metadata = TaskExecutionMetadata.create();
  const name = taskName(run.id.name, work.id, work.attempt);
  metadata.generatedName = name;
  metadata.pluginIdentifier = 'k8s-array';
  metadata.externalResources = [...items.changes].map(([index, change]) => resourceOf(name, index, change));
  event.metadata = metadata;
  items.changes.clear();
  items.dirty = false;
  const waiting = waitingOf(run, work, phase);
  const usage = items.usage && { ...items.usage };
  const route = begins ? firstRoute(run, work, items) : undefined;
  const itemPages = takeItemPages(run, items);
  emit(run, { $case: 'task', value: event }, { usage, waiting, route, itemPages });
}

/** Where its items go first; a later attempt of one may go elsewhere, where rules ask for what differs between attempts. */
function firstRoute(run: RunState, work: NodeWork, items: ArrayItems): Route | undefined {
  if (!taskIfAny(work.scope, work.node) || items.size === 0) return undefined;
  return attemptRoute(run, work, meansOfItem(run, work, items, 0))?.route;
}

/** What its items wait for, all of them, if that is something else than events said last (U-12). */
function waitingOf(run: RunState, work: NodeWork, phase: TaskExecution_Phase): WaitReason | undefined {
  if (!behaves(run, Behaviour.TellsWaits)) return undefined;
  const now = phase === TaskExecution_Phase.RUNNING ? itemsWait(run, work) : undefined;
  if ((now?.kind ?? WaitReason_Kind.NONE) === (work.waiting?.kind ?? WaitReason_Kind.NONE)) return undefined;
  work.waiting = now?.kind ? now : undefined;
  return work.waiting ?? WaitReason.create({ nodeId: work.id, since: run.now });
}

function resourceOf(name: string, index: number, change: ItemChange): ExternalResourceInfo {
  const resource = ExternalResourceInfo.create();
  resource.externalId = `${name}-n${index}-${change.attempt}`;
  resource.index = index;
  resource.retryAttempt = change.attempt;
  resource.phase = change.phase;
  resource.cacheStatus = change.cacheStatus;
  resource.logs = change.logs.map((log) => ({ ...log, name: `${log.name}-${index}` }));
  if (change.child) resource.targetMetadata = { $case: 'workflowNodeMetadata', value: { executionId: change.child } };
  return resource;
}
