import { Kind } from '../graph/graph.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { Step } from '../state/work-queue.js';
import type { Scope } from '../state/scope.js';

/** C-70: tasks, arrays and child executions count; what only holds other nodes doesn't. */
export function countsAsParallel(scope: Scope, node: number): boolean {
  const kind = scope.template.kinds[node];
  return kind === Kind.Task || kind === Kind.Array || kind === Kind.ChildExecution;
}

export function isFull(run: RunState): boolean {
  const limit = run.settings.maxParallelism;
  return limit > 0 && run.permits >= limit;
}

/** They are free for whoever is next. */
export function freePermits(run: RunState, count: number): void {
  run.permits -= count;
  if (count > 0 && run.inLine > 0) run.work.push(Step.Unpark, undefined, -1);
}

/** Waits for its turn; harmless for one that waits already. */
export function lineUp(run: RunState, work: NodeWork): void {
  if (work.inLine) return;
  work.inLine = true;
  run.inLine++;
  run.parked.push(work);
}

/** Its turn came, or it is over; then it is passed over when its turn comes. */
export function leaveLine(run: RunState, work: NodeWork): void {
  if (!work.inLine) return;
  work.inLine = false;
  run.inLine--;
}

export function takePermit(run: RunState, work: NodeWork): void {
  work.permit = true;
  run.permits++;
}
