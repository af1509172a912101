import { ArrayParallelism } from '@aloft/idl/aloft/v1/bus';
import { NodeExecution_Phase, TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { ArrayNode } from '@aloft/idl/flyteidl/core/workflow';
import { arrayNodeOf, lengthsOf, neededOf, sizeOfArray } from '../data/array-inputs.js';
import { userError } from '../data/failures.js';
import { taskPolicy } from '../data/task-settings.js';
import { inlined } from '../data/values.js';
import { arrayEvent } from '../events/array-events.js';
import { nodeEvent } from '../events/node-events.js';
import { enter, releasePermit } from '../lifecycle/active.js';
import { fail } from '../lifecycle/finish.js';
import { ArrayItems } from '../state/array-items.js';
import type { RunState } from '../state/run-state.js';
import { NodeState } from '../state/node-state.js';
import { settleArray } from './array-end.js';
import { pump, takeTurn } from './array-items.js';
import { takeOverItems } from './array-recovery.js';
import type { NodeKind } from './kind.js';

/**
 * Most items of one array that are in flight at once, whatever its parallelism: the effects of one step, and what is kept of items
 * in flight, stay bounded for any number of items.
 */
export const maxItemsInFlight = 5000;

/** Maps a task or a launch plan over lists (C-140…C-147). */
export const arrayNode: NodeKind = {
  start(run, work) {
    const { problem } = taskPolicy(run, work.scope, work.node);
    if (problem !== undefined) return fail(run, work, userError(run, 'BadTaskSpecification', problem));
    const node = arrayNodeOf(work);
    const literals = inlined(work.inputs) ?? work.loaded;
    const lengths = literals ? lengthsOf(literals) : (work.lengths ?? {});
    work.loaded = work.lengths = undefined;
    const found = sizeOfArray(lengths, node.boundInputs);
    if ('problem' in found) return fail(run, work, userError(run, 'InvalidArrayLength', found.problem));
    const { size, lists } = found;
    const parallelism = node.parallelismOption?.value ?? 0;
    const limit = parallelism > 0 ? Math.min(parallelism, maxItemsInFlight) : maxItemsInFlight;
    const items = new ArrayItems(size, neededOf(node, size), limit, lists, sharesBudget(run, node));
    work.items = items;
    enter(run, work, NodeState.ArrayRunning);
    nodeEvent(run, work.scope, work.node, work, NodeExecution_Phase.RUNNING);
    arrayEvent(run, work, items, TaskExecution_Phase.QUEUED, { inputs: work.inputs });
    takeOverItems(run, work, items);
    if (items.shared) {
      // Its items need permits of their own; the first takes the array's, for which this was the turn.
      releasePermit(run, work);
      takeTurn(run, work, items);
    }
    pump(run, work, items);
    settleArray(run, work, items);
  },
};

/** C-71: whether its items count against the run's `max_parallelism`; an array with a parallelism of its own keeps to that. */
function sharesBudget(run: RunState, { parallelismOption }: ArrayNode): boolean {
  if ((parallelismOption?.value ?? 0) > 0 || run.settings.maxParallelism === 0) return false;
  const mode = run.settings.arrayParallelism;
  return mode === ArrayParallelism.WORKFLOW || (mode === ArrayParallelism.HYBRID && parallelismOption === undefined);
}
