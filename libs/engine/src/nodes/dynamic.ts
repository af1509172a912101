import { type GraphResolved } from '@aloft/idl/aloft/v1/engine';
import { NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { nodeEvent } from '../events/node-events.js';
import type { CompiledGraph } from '../graph/graph.js';
import { hexOf } from '../graph/identifiers.js';
import { enter, releasePermit } from '../lifecycle/active.js';
import { openScope } from '../lifecycle/scopes.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';

/**
 * A recovered run's dynamic task had generated its workflow before it failed: the same one runs again, so that the ids in it
 * are the same and what succeeded in it is found (C-82). The graph is kept from the input that brought it until then.
 */
export function keepRecoveredGraph(run: RunState, graph: GraphResolved): void {
  const digest = hexOf(graph.closureDigest);
  run.graphs.set(digest, run.graphLookup(digest) as CompiledGraph);
}

/** What a dynamic task generated is compiled: it runs under the task's node, which shows DYNAMIC_RUNNING (C-153). */
export function graphResolved(run: RunState, work: NodeWork, answer: GraphResolved): void {
  const digest = hexOf(answer.closureDigest);
  const graph = run.graphs.get(digest) ?? (run.graphLookup(digest) as CompiledGraph);
  work.graphUri = answer.closureUri;
  enter(run, work, NodeState.ScopeRunning);
  // Its nodes need permits of their own; the task itself does nothing any more.
  releasePermit(run, work);
  nodeEvent(run, work.scope, work.node, work, NodeExecution_Phase.DYNAMIC_RUNNING);
  openScope(run, work, {
    graph,
    template: graph.templates[0]!,
    inputs: work.inputs,
    // The generated workflow has no policy of its own: the surrounding one's counts (C-12 Ours).
    policy: work.scope.failAfterExecutable,
    dynamic: true,
  });
}
