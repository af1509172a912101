import type { RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';

/** A node of a scope that isn't over, active or not. */
export interface Place {
  scope: Scope;
  node: number;
}

/** Where the node with this unique id is. Active ones are found at once; for others their scopes are searched. */
export function locate(run: RunState, nodeId: string): Place | undefined {
  const work = run.find(nodeId);
  if (work) return { scope: work.scope, node: work.node };
  const inRoot = run.root.template.indexOf(nodeId);
  if (inRoot !== undefined) return { scope: run.root, node: inRoot };
  for (const scope of run.scopes.values()) {
    for (let node = 0; node < scope.template.count; node++) {
      if (scope.uniqueId(node) === nodeId) return { scope, node };
    }
  }
  return undefined;
}
