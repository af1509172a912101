import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { TypedInterface } from '@aloft/idl/flyteidl/core/interface';
import type { Node, WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { identifierKey } from './identifier.js';
import { arrayInterface, interfaceOf, variableOf, type NodeInterface } from './node-interface.js';

/** What a node of a compiled closure takes and gives; undefined for branches and approvals, which pass on what others do. */
export function interfaceInClosure(node: Node, closure: CompiledWorkflowClosure): NodeInterface | undefined {
  const target = node.target;
  switch (target?.$case) {
    case 'taskNode':
      return declared(taskInClosure(node, closure)?.interface);
    case 'workflowNode': {
      const reference = target.value.reference;
      if (reference?.$case === 'subWorkflowRef') return declared(subWorkflow(closure, reference.value)?.interface);
      return declared(
        closure.launchPlans.find(({ template }) => isSame(template?.id, reference?.value))?.template?.interface,
      );
    }
    case 'arrayNode': {
      const item = target.value.node && interfaceInClosure(target.value.node, closure);
      return item && arrayInterface(target.value, item);
    }
    case 'gateNode': {
      const { condition } = target.value;
      if (condition?.$case === 'sleep') return { inputs: {}, outputs: {} };
      if (condition?.$case !== 'signal') return undefined;
      const { outputVariableName, type } = condition.value;
      return { inputs: {}, outputs: { [outputVariableName]: variableOf(type) } };
    }
    default:
      return undefined;
  }
}

/** The task that a node runs, itself or for each item of an array. */
export function taskInClosure(node: Node, closure: CompiledWorkflowClosure) {
  const runs = node.target?.$case === 'arrayNode' ? node.target.value.node : node;
  if (runs?.target?.$case !== 'taskNode') return undefined;
  const id = runs.target.value.reference?.value;
  return closure.tasks.find(({ template }) => isSame(template?.id, id))?.template;
}

/** The nodes that run under a node of a closure: a branch's cases, or a sub-workflow's nodes. */
export function nodesUnder(node: Node, closure: CompiledWorkflowClosure): Node[] {
  if (node.target?.$case === 'branchNode') {
    const block = node.target.value.ifElse;
    const cases = [block?.case?.thenNode, ...(block?.other ?? []).map(({ thenNode }) => thenNode)];
    if (block?.default?.$case === 'elseNode') cases.push(block.default.value);
    return cases.filter((each) => each !== undefined);
  }
  const reference = node.target?.$case === 'workflowNode' ? node.target.value.reference : undefined;
  const workflow = reference?.$case === 'subWorkflowRef' ? subWorkflow(closure, reference.value) : undefined;
  return workflow ? nodesOf(workflow) : [];
}

/** A workflow's own nodes, its failure node among them. */
export function nodesOf(workflow: WorkflowTemplate): Node[] {
  return workflow.failureNode ? [...workflow.nodes, workflow.failureNode] : workflow.nodes;
}

function subWorkflow(closure: CompiledWorkflowClosure, id: Identifier): WorkflowTemplate | undefined {
  return closure.subWorkflows.find(({ template }) => isSame(template?.id, id))?.template;
}

function isSame(a: Identifier | undefined, b: Identifier | undefined): boolean {
  return a !== undefined && b !== undefined && identifierKey(a) === identifierKey(b);
}

function declared(typed: TypedInterface | undefined): NodeInterface | undefined {
  return typed && interfaceOf(typed);
}
