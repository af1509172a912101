import { Kind } from '../graph/graph.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
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

export function takePermit(run: RunState, work: NodeWork): void {
  work.permit = true;
  run.permits++;
}
