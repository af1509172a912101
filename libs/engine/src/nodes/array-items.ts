import { LiteralsValue, type TaskReport } from '@aloft/idl/aloft/v1/bus';
import { type CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import { ExecutionError_ErrorKind, TaskExecution_Phase, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import { arrayNodeOf, itemInputs, readsOwnInputs } from '../data/array-inputs.js';
import { itemAttemptOf, itemGenerationOf } from '../data/attempts.js';
import { backoffMillis, mayRetry, ranOutOfMemory } from '../data/backoff.js';
import { cut, systemError, userError } from '../data/failures.js';
import { addItemUsage } from '../data/item-usage.js';
import { podOverrides } from '../data/pod-overrides.js';
import {
  executionTimeout,
  isCacheable,
  overwritesCache,
  runnable,
  queueTimeout,
  retryPolicyOf,
  templateOf,
  workflowId,
} from '../data/task-settings.js';
import { emptyValue, inlined } from '../data/values.js';
import { isNews, rankOf } from '../data/phases.js';
import { itemChanged } from '../events/array-events.js';
import { describeMillis, tellBackoff } from '../lifecycle/backing-off.js';
import { budgetOf, budgetsOf, exhausted } from '../lifecycle/retry.js';
import { releaseItem } from '../lifecycle/abort-items.js';
import { freePermits, isFull, lineUp } from '../lifecycle/parallelism.js';
import { request } from '../lifecycle/requests.js';
import { cancelTimer, setTimer } from '../lifecycle/timers.js';
import { itemDataPrefix, itemPrefix } from '../names.js';
import { attemptRoute, meansOfItem } from '../routing/attempt-route.js';
import { ItemState, type ArrayItems } from '../state/array-items.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, TimerPurpose, type RunState } from '../state/run-state.js';
import { Step } from '../state/work-queue.js';
import { addDuration, addMillis } from '../time.js';
import { completeOutputs } from './task-outputs.js';

const P = TaskExecution_Phase;
/** How many failed items are named in the node's error. */
const maxErrors = 10;

/** Starts items while there is room. Each item is looked at once, however many there are. */
export function pump(run: RunState, work: NodeWork, items: ArrayItems): void {
  while (items.active < items.limit && items.hasMore) {
    // C-71: where items take the run's permits, each waits its turn behind whoever came before.
    if (items.shared && (isFull(run) || run.inLine > 0)) return waitForTurn(run, work);
    startNext(run, work, items);
  }
}

function startNext(run: RunState, work: NodeWork, items: ArrayItems): void {
  while (items.hasMore) {
    const index = items.again.length > 0 ? items.again.shift()! : items.next++;
    if (items.states.get(index) !== ItemState.Waiting) continue;
    items.setState(index, ItemState.Active);
    items.active++;
    if (items.shared) run.permits++;
    return startItem(run, work, items, index);
  }
}

function waitForTurn(run: RunState, work: NodeWork): void {
  lineUp(run, work);
  if (!isFull(run)) run.work.push(Step.Unpark, undefined, -1);
}

/** A permit is free, and it is this array's turn: one item of it starts, the next waits for the next turn. */
export function takeTurn(run: RunState, work: NodeWork, items: ArrayItems): void {
  startNext(run, work, items);
  if (items.active < items.limit && items.hasMore) waitForTurn(run, work);
}

/** An item is no longer in flight: others may be. */
function leaveFlight(run: RunState, items: ArrayItems): void {
  items.active--;
  if (items.shared) freePermits(run, 1);
}

/** Runs the item, after its inputs are written and the catalog was asked, where that is needed. */
export function startItem(run: RunState, work: NodeWork, items: ArrayItems, index: number): void {
  const isTask = mapsTask(work);
  const cacheable = isTask && items.attempts[index] === 0 && isCacheable(templateOf(work.scope, work.node));
  const looksUp = cacheable && !overwritesCache(run, work.scope, work.node);
  const needsOwn = cacheable || !isTask || readsOwnInputs(arrayNodeOf(work));
  if (needsOwn && !inlined(work.inputs) && !items.inputs.has(index))
    return ask(run, work, items, index, Purpose.StoreItemInputs);
  if (!isTask) return ask(run, work, items, index, Purpose.StartItemChild);
  if (looksUp) return ask(run, work, items, index, Purpose.LookUpItem);
  launchItem(run, work, items, index);
}

export function mapsTask(work: NodeWork): boolean {
  return runnable(work.scope.template, work.node).target?.$case === 'taskNode';
}

export function ask(run: RunState, work: NodeWork, items: ArrayItems, index: number, purpose: Purpose): void {
  items.requests.set(index, request(run, work, purpose, index));
}

export function launchItem(run: RunState, work: NodeWork, items: ArrayItems, index: number): void {
  const { scope, node } = work;
  const attempt = items.attempts[index]!;
  const dataPrefix = work.dataPrefix(run.id);
  const own = readsOwnInputs(arrayNodeOf(work));
  const means = meansOfItem(run, work, items, index);
  items.launched.set(index, { phase: P.QUEUED, version: 0 });
  run.effects.push({
    kind: 'launch',
    attempt: itemAttemptOf(run, work, index, attempt),
    template: templateOf(scope, node),
    settings: run.settings,
    // A map task picks its element itself, out of the whole node's inputs.
    inputs: (own ? itemInputs(work, items, index) : work.inputs) ?? emptyValue,
    workflow: workflowId(scope),
    dataPrefix: own ? itemDataPrefix(dataPrefix, work.attempt, index) : dataPrefix,
    outputPrefix: itemPrefix(dataPrefix, work.attempt, index, attempt),
    prevCheckpointPrefix: items.checkpoints.get(index) ?? '',
    ...means,
    executionTimeout: executionTimeout(run, scope, node),
    arraySize: items.size,
    routed: attemptRoute(run, work, means),
    overrides: podOverrides(run, scope, node),
  });
  const wait = queueTimeout(run, scope, node);
  if (wait) {
    items.timers.set(index, setTimer(run, TimerPurpose.ItemQueue, work, addDuration(run.now, wait), index));
  }
  itemChanged(run, work, items, index, { phase: P.QUEUED });
}

/** What the backend says of an item's current attempt. */
export function itemReported(run: RunState, work: NodeWork, items: ArrayItems, report: TaskReport): boolean {
  const index = report.attempt?.index ?? -1;
  const known = items.launched.get(index);
  const attempt = items.attempts[index]!;
  if (
    !known ||
    report.attempt?.retryAttempt !== attempt ||
    report.attempt.generation !== itemGenerationOf(work, attempt)
  )
    return false;
  if (!isNews(known, report)) return false;
  const before = rankOf(known.phase);
  known.phase = report.phase;
  known.version = report.phaseVersion;
  if (rankOf(report.phase) < 3) {
    if (report.phase === P.RUNNING && before < 2) limitItem(run, work, items, index);
    itemChanged(run, work, items, index, { phase: report.phase, logs: report.logs });
    return true;
  }
  leaveBackend(run, items, index);
  addItemUsage(run, items, report.usage);
  const outcome = report.outcome;
  if (outcome && outcome.checkpointUri !== '') items.checkpoints.set(index, outcome.checkpointUri);
  if (report.phase === P.SUCCEEDED && outcome?.result?.$case !== 'error') {
    if (outcome?.result?.$case === 'futures') {
      const error = userError(run, 'DynamicWorkflowBuildFailed', 'an item of an array generated a workflow (C-143)');
      itemFailed(run, work, items, index, error, false, report);
    } else {
      itemProduced(run, work, items, index, outcome?.result?.value, report);
    }
  } else {
    const given = outcome?.result?.$case === 'error' ? outcome.result.value : undefined;
    const error = given
      ? { ...given, message: cut(given.message) }
      : report.phase === P.ABORTED
        ? userError(run, 'Aborted', report.reason || 'the attempt was aborted at its backend')
        : systemError(run, 'UnknownFailure', report.reason || 'the backend reported a failure without an error');
    itemFailed(run, work, items, index, error, report.phase === P.RETRYABLE_FAILED, report);
  }
  return true;
}

function limitItem(run: RunState, work: NodeWork, items: ArrayItems, index: number): void {
  cancelTimer(run, items.timers.get(index) ?? 0);
  items.timers.delete(index);
  const limit = executionTimeout(run, work.scope, work.node);
  if (!limit) return;
  items.timers.set(index, setTimer(run, TimerPurpose.ItemExecution, work, addDuration(run.now, limit), index));
}

/** The item's attempt is over at its backend, or no longer wanted there. */
export function leaveBackend(run: RunState, items: ArrayItems, index: number): void {
  items.launched.delete(index);
  cancelTimer(run, items.timers.get(index) ?? 0);
  items.timers.delete(index);
}

function itemProduced(
  run: RunState,
  work: NodeWork,
  items: ArrayItems,
  index: number,
  result: LiteralsValue | undefined,
  report: TaskReport,
): void {
  const template = templateOf(work.scope, work.node);
  const outputs = completeOutputs(template, result);
  if ('missing' in outputs) {
    const error = userError(
      run,
      'OutputsNotFound',
      `the task succeeded without its output ${outputs.missing.join(', ')}`,
    );
    return itemFailed(run, work, items, index, error, true, report);
  }
  if (isCacheable(template)) {
    items.storing.set(index, outputs.value);
    return ask(run, work, items, index, Purpose.StoreItem);
  }
  itemSucceeded(run, work, items, index, outputs.value, { logs: report.logs });
}

export function itemSucceeded(
  run: RunState,
  work: NodeWork,
  items: ArrayItems,
  index: number,
  outputs: LiteralsValue,
  change: { logs?: TaskReport['logs']; cacheStatus?: CatalogCacheStatus } = {},
): void {
  items.outputs.append(index, LiteralsValue.encode(outputs).finish());
  items.setState(index, ItemState.Succeeded);
  items.succeeded++;
  itemOver(run, work, items, index);
  itemChanged(run, work, items, index, { phase: P.SUCCEEDED, ...change });
}

/** An item's attempt failed: budgets as a node's (C-142), each item its own. */
export function itemFailed(
  run: RunState,
  work: NodeWork,
  items: ArrayItems,
  index: number,
  error: ExecutionError,
  retryable: boolean,
  report?: TaskReport,
): void {
  const policy = retryPolicyOf(run, work.scope, work.node);
  if (error.kind === ExecutionError_ErrorKind.SYSTEM) items.systemFailures[index]!++;
  if (ranOutOfMemory(error)) items.outOfMemory.set(index, (items.outOfMemory.get(index) ?? 0) + 1);
  const attempt = items.attempts[index]!;
  const budget = budgetOf(error.kind, attempt + 1, items.systemFailures[index]!, budgetsOf(run, work));
  const mayFollow = mayRetry(policy, error, retryable);
  // An attempt's number is one byte: no budget is larger than what that counts.
  const again = mayFollow && budget.spent < budget.allowed && attempt < 255;
  itemChanged(run, work, items, index, { phase: P.FAILED, logs: report?.logs });
  if (again) {
    items.attempts[index] = attempt + 1;
    items.setState(index, ItemState.Waiting);
    leaveFlight(run, items);
    const seed = `${work.id}[${index}]/${run.start?.uid}`;
    const wait = backoffMillis(policy, attempt + 1, seed);
    if (wait > 0) itemBacksOff(run, work, items, index, wait);
    else items.again.push(index);
    return;
  }
  if (items.errors.length < maxErrors) {
    items.errors.push({ index, error: mayFollow ? exhausted(error, budget) : error });
  }
  items.setState(index, ItemState.Failed);
  items.failed++;
  itemOver(run, work, items, index);
}

/** The item's next attempt waits (C-36); others may take its place. The array says so when the first of its items does. */
function itemBacksOff(run: RunState, work: NodeWork, items: ArrayItems, index: number, millis: number): void {
  if (items.delayed.size === 0) {
    const detail = `item ${index}, attempt ${items.attempts[index]} starts ${describeMillis(millis)} after the last one failed`;
    tellBackoff(run, work, detail);
  }
  const at = addMillis(run.now, millis);
  items.delayed.set(index, setTimer(run, TimerPurpose.ItemBackoff, work, at, index));
}

function itemOver(run: RunState, work: NodeWork, items: ArrayItems, index: number): void {
  leaveFlight(run, items);
  items.inputs.delete(index);
  items.outOfMemory.delete(index);
  items.storing.delete(index);
  // What a failed one had saved is of use to the run that recovers this one (C-81).
  if (items.states.get(index) === ItemState.Succeeded || !behaves(run, Behaviour.NothingLeftBehind)) {
    items.checkpoints.delete(index);
  }
  items.children.delete(index);
  releaseItem(run, work, items, index);
}
