import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { START } from '../graph/graph.js';
import { isSatisfied } from '../state/node-state.js';
import type { PendingRequest, RunState } from '../state/run-state.js';
import { ScopeStatus, type Scope } from '../state/scope.js';
import { met } from './finish.js';
import { requestRecall } from './requests.js';

/**
 * Outputs are forgotten when the last reader has them. A node that begins anew reads them again: those of nodes that don't are
 * recalled from the run's own log. Until they are here, their readers have an unmet dependency more for each.
 */
export function recallSources(run: RunState, scope: Scope, nodes: readonly number[]): void {
  const { firstSource, sources } = scope.template;
  const { recalls } = scope.change();
  for (const node of nodes) {
    for (let at = firstSource[node]!; at < firstSource[node + 1]!; at++) {
      const source = sources[at]!;
      scope.readers[source]!++;
      if (!isSatisfied(scope.states[source]!) || scope.outputs.has(source)) continue;
      if (source === START) {
        if (scope.inputs) scope.outputs.set(START, scope.inputs);
        continue;
      }
      const readers = recalls.get(source);
      if (!readers) {
        recalls.set(source, [node]);
        requestRecall(run, scope, source);
      } else if (!readers.includes(node)) readers.push(node);
    }
  }
}

/** They are here, or can't be had: then their readers fail for want of them (C-104). */
export function outputsRecalled(run: RunState, { source }: PendingRequest, outputs: LiteralsValue | undefined): void {
  if (!source) return;
  const { scope, node } = source;
  const readers = scope.changes?.recalls.get(node);
  if (!readers || scope.status === ScopeStatus.Over) return;
  scope.changes?.recalls.delete(node);
  if (outputs && scope.readers[node]! > 0) scope.outputs.set(node, outputs);
  for (const reader of readers) met(run, scope, reader);
}
