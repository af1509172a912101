import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { itemName, taskName } from '../names.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { templateOf } from './task-settings.js';

/**
 * Generations fence attempts. Attempts of a node (or item) are never used twice, so the attempt's own number, counted from 1,
 * is its generation: nothing needs to be kept for ended ones.
 */
export function generationOf(attempt: number): number {
  return attempt + 1;
}

/** Of an item: it also tells attempts of the array as a whole apart, whose items count from 0 again. An item has at most 256. */
export function itemGenerationOf(work: NodeWork, attempt: number): number {
  return work.attempt * 256 + generationOf(attempt);
}

/** Identity of one of the node's attempts. */
export function attemptOf(run: RunState, work: NodeWork, attempt = work.attempt): TaskAttempt {
  return {
    execution: run.id,
    executionUid: run.start?.uid ?? '',
    nodeId: work.id,
    retryAttempt: attempt,
    index: undefined,
    task: templateOf(work.scope, work.node).id,
    generation: generationOf(attempt),
    name: taskName(run.id.name, work.id, attempt),
  };
}

/** Identity of the current attempt of one item of an array. */
export function itemAttemptOf(run: RunState, work: NodeWork, index: number, attempt: number): TaskAttempt {
  return {
    execution: run.id,
    executionUid: run.start?.uid ?? '',
    nodeId: work.id,
    retryAttempt: attempt,
    index,
    task: templateOf(work.scope, work.node).id,
    generation: itemGenerationOf(work, attempt),
    name: itemName(run.id.name, work.id, work.attempt, index, attempt),
  };
}
