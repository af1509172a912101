import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { IfBlock, IfElseBlock, Node, WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';

/** Where an entity is to be; those that stay are given back as they are. */
export type Move = (id: Identifier) => Identifier;

/** What compiling adds. */
const endpoints = new Set(['start-node', 'end-node']);

/**
 * What a workflow and its sub-workflows were compiled from, with its references moved: compiled where they lead, it gives the same closure with
 * other references.
 */
export function specOfClosure(
  { primary, subWorkflows }: CompiledWorkflowClosure,
  move: Move,
): { template: WorkflowTemplate; subWorkflows: WorkflowTemplate[] } {
  const template = primary?.template;
  if (!template) throw new TypeError('a closure without its workflow');
  return {
    template: templateOf(template, move),
    subWorkflows: subWorkflows.flatMap((workflow) => (workflow.template ? [templateOf(workflow.template, move)] : [])),
  };
}

/** Launch plans that a workflow and its sub-workflows start. */
export function launchPlansOf({ primary, subWorkflows }: CompiledWorkflowClosure): Identifier[] {
  const found: Identifier[] = [];
  const note: Move = (id) => (found.push(id), id);
  for (const workflow of [primary, ...subWorkflows])
    for (const node of workflow?.template ? nodesOf(workflow.template) : []) movedNode(node, (id) => id, note, true);
  return found;
}

const nodesOf = ({ nodes, failureNode }: WorkflowTemplate): Node[] => (failureNode ? [...nodes, failureNode] : nodes);

function templateOf(template: WorkflowTemplate, move: Move): WorkflowTemplate {
  const moved = (node: Node) => movedNode(node, move, move, true);
  return {
    ...template,
    id: template.id && move(template.id),
    nodes: template.nodes.filter(({ id }) => !endpoints.has(id)).map(moved),
    failureNode: template.failureNode && moved(template.failureNode),
  };
}

/** `named`: cases of branches have ids that compiling made; those of an array's item are as they were sent. */
function movedNode(node: Node, move: Move, movePlan: Move, named: boolean): Node {
  const { target } = node;
  switch (target?.$case) {
    case 'taskNode': {
      const { reference } = target.value;
      if (!reference) return node;
      return {
        ...node,
        target: { ...target, value: { ...target.value, reference: { ...reference, value: move(reference.value) } } },
      };
    }
    case 'workflowNode': {
      const { reference } = target.value;
      if (!reference) return node;
      const value = reference.$case === 'launchplanRef' ? movePlan(reference.value) : move(reference.value);
      return { ...node, target: { ...target, value: { ...target.value, reference: { ...reference, value } } } };
    }
    case 'branchNode': {
      const { ifElse } = target.value;
      if (!ifElse) return node;
      const inner = (one: Node): Node => {
        const moved = movedNode(one, move, movePlan, named);
        return named ? { ...moved, id: withoutBranch(one.id, node.id) } : moved;
      };
      return { ...node, target: { ...target, value: { ...target.value, ifElse: movedCases(ifElse, inner) } } };
    }
    case 'arrayNode': {
      const item = target.value.node;
      if (!item) return node;
      return {
        ...node,
        target: { ...target, value: { ...target.value, node: movedNode(item, move, movePlan, false) } },
      };
    }
    default:
      return node;
  }
}

function movedCases(ifElse: IfElseBlock, inner: (node: Node) => Node): IfElseBlock {
  const block = (one: IfBlock): IfBlock => (one.thenNode ? { ...one, thenNode: inner(one.thenNode) } : one);
  const otherwise = ifElse.default;
  return {
    ...ifElse,
    case: ifElse.case && block(ifElse.case),
    other: ifElse.other.map(block),
    default: otherwise?.$case === 'elseNode' ? { ...otherwise, value: inner(otherwise.value) } : otherwise,
  };
}

/** Compiling calls a case's node `<branch>-<id>`. */
const withoutBranch = (id: string, branch: string): string =>
  id.startsWith(`${branch}-`) ? id.slice(branch.length + 1) : id;
