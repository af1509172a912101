import type { TaskReport } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { Behaviour, behaves } from '../behaviours.js';
import { addItemUsage } from '../data/item-usage.js';
import { generationOf, itemGenerationOf } from '../data/attempts.js';
import type { ArrayItems } from '../state/array-items.js';
import type { Ending } from '../state/ending.js';
import type { NodeWork } from '../state/node-work.js';
import { TimerPurpose, type RunState } from '../state/run-state.js';
import { Step } from '../state/work-queue.js';
import { addDuration, compareTimes } from '../time.js';
import { isHeard, patience, theTask, waitAtMost } from './abort.js';
import { tellItem } from './abort-items.js';
import { setTimer } from './timers.js';

/** RUNNING is no answer: an attempt that is said to run may not have come to it yet. */
const answers: ReadonlySet<Phase> = new Set([Phase.SUCCEEDED, Phase.FAILED, Phase.RETRYABLE_FAILED, Phase.ABORTED]);

/**
 * A report on an attempt that was told to end: it counts as an answer only, whatever it says. Returns whether it is one that was waited for;
 * undefined if the report is of an attempt that goes on.
 */
export function answersEnding(run: RunState, work: NodeWork, report: TaskReport): boolean | undefined {
  const index = report.attempt?.index ?? theTask;
  const item = work.items?.ending.get(index);
  if (!work.ending && !item) return undefined;
  if (!answers.has(report.phase) || !isCurrent(work, report)) return false;
  if (index !== theTask && work.items) addItemUsage(run, work.items, report.usage);
  else if (work.ending && behaves(run, Behaviour.TellsUse)) work.ending.usage = report.usage;
  const checkpointUri = report.outcome?.checkpointUri ?? '';
  if (work.ending) {
    if (!work.ending.unheard.delete(index)) return false;
    if (isHeard(run, work, work.ending)) run.work.push(Step.Resume, work.scope, work.node);
  } else if (item!.heard) return false;
  else {
    item!.heard = true;
    run.work.push(Step.Resume, work.scope, work.node);
  }
  if (checkpointUri !== '' && index === theTask) work.checkpointUri = checkpointUri;
  else if (checkpointUri !== '') work.items?.checkpoints.set(index, checkpointUri);
  return true;
}

function isCurrent(work: NodeWork, { attempt }: TaskReport): boolean {
  if (attempt?.index === undefined) {
    return attempt?.retryAttempt === work.attempt && attempt.generation === generationOf(work.attempt);
  }
  const current = work.items?.attempts[attempt.index] ?? -1;
  return attempt.retryAttempt === current && attempt.generation === itemGenerationOf(work, current);
}

/** Nothing runs any more in the scope under a node; if that is to end, it may. */
export function scopeEnded(run: RunState, parent: NodeWork): void {
  if (parent.ending && isHeard(run, parent, parent.ending)) run.work.push(Step.Resume, parent.scope, parent.node);
}

/** Whether an item whose time is over has to wait until its backend has said that nothing of it runs. */
export function itemAwaitsBackend(
  run: RunState,
  work: NodeWork,
  items: ArrayItems,
  index: number,
  { purpose, reason }: { purpose: TimerPurpose; reason: string },
): boolean {
  if (!behaves(run, Behaviour.AbortsHearBackends)) return false;
  const known = items.ending.get(index);
  if (known) return !known.heard;
  tellItem(run, work, items, index, reason);
  items.ending.set(index, { purpose, since: run.now, heard: false });
  waitAtMost(run);
  return true;
}

/** Those that have been waited for long enough are waited for no longer. Costs a look at every active node. */
export function patienceOver(run: RunState): void {
  run.patience = 0;
  let next: Timestamp | undefined;
  const isLate = (since: Timestamp): boolean => {
    const until = addDuration(since, patience);
    if (compareTimes(run.now, until) >= 0) return true;
    if (!next || compareTimes(until, next) < 0) next = until;
    return false;
  };
  for (const scope of run.scopes.values()) {
    for (const work of scope.active.values()) {
      const { ending, items } = work;
      if (ending ? giveUp(ending, isLate) : items && giveUpItems(items, isLate)) {
        run.work.push(Step.Resume, scope, work.node);
      }
    }
  }
  if (next) run.patience = setTimer(run, TimerPurpose.Abort, undefined, next);
}

function giveUp(ending: Ending, isLate: (since: Timestamp) => boolean): boolean {
  if (ending.unheard.size === 0 || !isLate(ending.since)) return false;
  ending.unheard.clear();
  return true;
}

function giveUpItems(items: ArrayItems, isLate: (since: Timestamp) => boolean): boolean {
  let late = false;
  for (const ending of items.ending.values()) {
    if (ending.heard || !isLate(ending.since)) continue;
    ending.heard = late = true;
  }
  return late;
}
