import type { ChildEnded } from '@aloft/idl/aloft/v1/bus';
import { itemOfChildNode } from '../lifecycle/item-asks.js';
import { itemChildEnded } from '../nodes/array-answers.js';
import { childEnded as ofNode } from '../nodes/child-execution.js';
import { Kind } from '../graph/graph.js';
import type { RunState } from '../state/run-state.js';

/** A child execution ended: word for the node that started it. */
export function childEnded(run: RunState, ended: ChildEnded): boolean {
  const nodeId = ended.parent?.nodeId ?? '';
  const work = run.find(nodeId);
  if (!work) {
    const item = itemOfChildNode(nodeId);
    const array = item && run.find(item.nodeId);
    return array !== undefined && itemChildEnded(run, array, item!.index, ended);
  }
  if (ended.parent?.executionUid !== run.start?.uid) return false;
  return work.scope.template.kinds[work.node] === Kind.ChildExecution && ofNode(run, work, ended);
}
