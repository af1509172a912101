import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Node, WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { identifierKey, IdentifierSet } from './identifier.js';

/** What has to be fetched before a workflow can be compiled. Each list is unique and sorted. */
export interface Requirements {
  tasks: Identifier[];
  launchPlans: Identifier[];
  /** Sub-workflows that are referred to but were not given. */
  workflows: Identifier[];
}

/** The tasks and launch plans that a workflow refers to, also through those of its sub-workflows that are given. */
export function requirementsOf(
  template: WorkflowTemplate,
  subWorkflows: readonly WorkflowTemplate[] = [],
): Requirements {
  const tasks = new IdentifierSet();
  const launchPlans = new IdentifierSet();
  const workflows = new IdentifierSet();
  const given = new Map(
    subWorkflows.flatMap((workflow) => (workflow.id ? [[identifierKey(workflow.id), workflow] as const] : [])),
  );
  const visited = new Set<string>();
  const pending: WorkflowTemplate[] = [template];
  for (let workflow = pending.pop(); workflow !== undefined; workflow = pending.pop()) {
    const nodes = workflow.failureNode === undefined ? workflow.nodes : [...workflow.nodes, workflow.failureNode];
    for (const node of nodes.flatMap(withInnerNodes)) {
      const target = node.target;
      if (target?.$case === 'taskNode' && target.value.reference) tasks.add(target.value.reference.value);
      const reference = target?.$case === 'workflowNode' ? target.value.reference : undefined;
      if (reference?.$case === 'launchplanRef') launchPlans.add(reference.value);
      if (reference?.$case !== 'subWorkflowRef') continue;
      const key = identifierKey(reference.value);
      if (visited.has(key)) continue;
      visited.add(key);
      const found = given.get(key);
      if (found === undefined) workflows.add(reference.value);
      else pending.push(found);
    }
  }
  return { tasks: tasks.list(), launchPlans: launchPlans.list(), workflows: workflows.list() };
}

/** A node and all nodes within it: cases of branches, items of arrays, at any depth. */
export function withInnerNodes(node: Node): Node[] {
  const found: Node[] = [];
  const pending: Node[] = [node];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    found.push(next);
    pending.push(...innerNodes(next).reverse());
  }
  return found;
}

/** The nodes directly within a node: the cases of a branch in order, its else; the item of an array. */
export function innerNodes({ target }: Node): Node[] {
  if (target?.$case === 'arrayNode') return target.value.node === undefined ? [] : [target.value.node];
  if (target?.$case !== 'branchNode' || target.value.ifElse === undefined) return [];
  const { case: first, other, default: otherwise } = target.value.ifElse;
  const nodes = [first, ...other].flatMap((block) => (block?.thenNode === undefined ? [] : [block.thenNode]));
  if (otherwise?.$case === 'elseNode') nodes.push(otherwise.value);
  return nodes;
}
