import type { ChildEnded } from '@aloft/idl/aloft/v1/bus';
import { childEnded as ofNode } from '../nodes/child-execution.js';
import { Kind } from '../graph/graph.js';
import type { RunState } from '../state/run-state.js';

/** A child execution ended: word for the node that started it. */
export function childEnded(run: RunState, ended: ChildEnded): boolean {
  const work = run.find(ended.parent?.nodeId ?? '');
  if (!work || ended.parent?.executionUid !== run.start?.uid) return false;
  return work.scope.template.kinds[work.node] === Kind.ChildExecution && ofNode(run, work, ended);
}
