import { Kind } from '../graph/graph.js';
import { arrayNode } from './array.js';
import { branchNode } from './branch.js';
import { childExecutionNode } from './child-execution.js';
import { endNode, startNode } from './start-end.js';
import { gateNode } from './gate.js';
import type { NodeKind } from './kind.js';
import { subWorkflowNode } from './sub-workflow.js';
import { taskNode } from './task.js';

export const kinds: Readonly<Record<Kind, NodeKind>> = {
  [Kind.Start]: startNode,
  [Kind.End]: endNode,
  [Kind.Task]: taskNode,
  [Kind.SubWorkflow]: subWorkflowNode,
  [Kind.ChildExecution]: childExecutionNode,
  [Kind.Branch]: branchNode,
  [Kind.Gate]: gateNode,
  [Kind.Array]: arrayNode,
};
