import type { Variable } from '@aloft/idl/flyteidl/core/interface';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type {
  ArrayNode,
  BranchNode,
  GateNode,
  Node,
  WorkflowNode,
  WorkflowTemplate,
} from '@aloft/idl/flyteidl/core/workflow';
import { formatType, sameType } from '@aloft/literals';
import { checkBindings, type OutputsOf } from './bindings.js';
import type { ErrorCollector } from './compile-error.js';
import { checkCondition } from './conditions.js';
import { formatIdentifier, identifierKey } from './identifier.js';
import {
  arrayInterface,
  checkVariables,
  interfaceOf,
  launchPlanInterface,
  variableOf,
  type LaunchPlanInterface,
  type NodeInterface,
} from './node-interface.js';

/** How a node finds what it refers to. */
export interface References {
  task(id: Identifier): TaskTemplate | undefined;
  launchPlan(id: Identifier): LaunchPlanInterface | undefined;
  subWorkflow(id: Identifier): WorkflowTemplate | undefined;
  /** Compiles a sub-workflow if that hasn't been done, reporting its errors. */
  compileSubWorkflow(template: WorkflowTemplate, usedBy: string): void;
}

/** Checks the nodes of one workflow; those that a node depends on have to be checked before it. */
export class NodeCheck {
  constructor(
    private readonly references: References,
    private readonly outputsOf: OutputsOf,
    private readonly errors: ErrorCollector,
  ) {}

  /** Checks a node and what is within it; returns its outputs under their aliases, undefined if errors hide them. */
  check(node: Node): Record<string, Variable> | undefined {
    const signature = this.interfaceOf(node);
    if (signature === undefined) return undefined;
    return this.aliased(node, signature.outputs);
  }

  /** The node's interface, with its bindings checked against it. */
  private interfaceOf(node: Node): NodeInterface | undefined {
    const { target } = node;
    switch (target?.$case) {
      case 'taskNode':
      case 'workflowNode':
      case 'arrayNode': {
        const signature = target.$case === 'arrayNode' ? this.array(node, target.value) : this.reference(node, node.id);
        if (signature !== undefined) this.bind(node, signature.inputs);
        return signature;
      }
      case 'branchNode':
        return this.branch(node, target.value);
      case 'gateNode':
        return this.gate(node, target.value);
      case undefined:
        this.errors.add(
          'ValueRequired',
          node.id,
          'the node has no target: a task, workflow, launch plan, branch, gate or array',
        );
        return undefined;
    }
  }

  private bind(node: Node, params: Record<string, Variable> | 'any'): Record<string, Variable> {
    return checkBindings(node.id, node.inputs, params, this.outputsOf, this.errors);
  }

  /** The interface of the task, launch plan or sub-workflow that a node refers to. */
  private reference(node: Node, nodeId: string): NodeInterface | undefined {
    const { target } = node;
    if (target?.$case === 'workflowNode') return this.workflowReference(node, nodeId, target.value);
    const id = target?.$case === 'taskNode' ? target.value.reference?.value : undefined;
    if (id === undefined) {
      this.errors.add('ValueRequired', nodeId, 'the task node names no task');
      return undefined;
    }
    const task = this.references.task(id);
    if (task === undefined) {
      this.errors.add('TaskReferenceNotFound', nodeId, `${formatIdentifier(id)} doesn't exist; register it first`);
      return undefined;
    }
    return this.verified(nodeId, interfaceOf(task.interface));
  }

  private workflowReference(node: Node, nodeId: string, { reference }: WorkflowNode): NodeInterface | undefined {
    if (reference === undefined) {
      this.errors.add('WorkflowReferenceNotFound', nodeId, 'the node names neither a launch plan nor a sub-workflow');
      return undefined;
    }
    if (reference.$case === 'launchplanRef') {
      const plan = this.references.launchPlan(reference.value);
      if (plan !== undefined) return this.verified(nodeId, launchPlanInterface(plan, node));
      this.errors.add(
        'WorkflowReferenceNotFound',
        nodeId,
        `${formatIdentifier(reference.value)} doesn't exist; register it first`,
      );
      return undefined;
    }
    const workflow = this.references.subWorkflow(reference.value);
    if (workflow === undefined) {
      this.errors.add(
        'WorkflowReferenceNotFound',
        nodeId,
        `sub-workflow ${formatIdentifier(reference.value)} isn't among those that came with the workflow`,
      );
      return undefined;
    }
    this.references.compileSubWorkflow(workflow, nodeId);
    return interfaceOf(workflow.interface);
  }

  private verified(nodeId: string, signature: NodeInterface): NodeInterface {
    checkVariables(nodeId, { variables: signature.inputs }, this.errors);
    checkVariables(nodeId, { variables: signature.outputs }, this.errors);
    return signature;
  }

  private array(node: Node, array: ArrayNode): NodeInterface | undefined {
    const item = array.node;
    if (item?.target === undefined) {
      this.errors.add('ValueRequired', node.id, 'the array node has no item: a task or launch plan');
      return undefined;
    }
    if (item.target.$case !== 'taskNode' && item.target.$case !== 'workflowNode') {
      this.errors.add(
        'InvalidArrayNode',
        node.id,
        `items can be tasks and launch plans, not a ${kinds[item.target.$case]}`,
      );
      return undefined;
    }
    if (item.target.$case === 'workflowNode' && item.target.value.reference?.$case === 'subWorkflowRef')
      this.errors.add('InvalidArrayNode', node.id, 'items can be tasks and launch plans, not sub-workflows (C-143)');
    const success = array.successCriteria;
    if (success?.$case === 'minSuccessRatio' && !(success.value >= 0 && success.value <= 1))
      this.errors.add('InvalidArrayNode', node.id, `min_success_ratio is ${success.value}; it must lie within 0 and 1`);
    // The inputs that an item binds are those of the array node: SDKs write them at either or both.
    const signature = this.reference({ ...item, inputs: node.inputs }, node.id);
    if (signature === undefined) return undefined;
    for (const name of array.boundInputs)
      if (!Object.hasOwn(signature.inputs, name))
        this.errors.add(
          'VariableNameNotFound',
          node.id,
          `bound input '${name}' is no input of the item (inputs: ${Object.keys(signature.inputs).sort().join(', ') || 'none'})`,
        );
    return arrayInterface(array, signature);
  }

  private gate(node: Node, { condition }: GateNode): NodeInterface | undefined {
    switch (condition?.$case) {
      case 'approve': {
        const inputs = this.bind(node, 'any');
        return { inputs, outputs: inputs };
      }
      case 'signal': {
        this.bind(node, {});
        const { type, outputVariableName } = condition.value;
        if (type === undefined) this.errors.add('ValueRequired', node.id, 'the signal has no type');
        if (outputVariableName === '')
          this.errors.add('ValueRequired', node.id, 'the signal has no output_variable_name');
        if (type === undefined || outputVariableName === '') return undefined;
        return { inputs: {}, outputs: { [outputVariableName]: variableOf(type) } };
      }
      case 'sleep':
        this.bind(node, {});
        if (condition.value.duration === undefined)
          this.errors.add('ValueRequired', node.id, 'the sleep has no duration');
        return { inputs: {}, outputs: {} };
      case undefined:
        this.errors.add('NoConditionFound', node.id, 'the gate has neither approve, signal nor sleep');
        return undefined;
    }
  }

  private branch(node: Node, { ifElse }: BranchNode): NodeInterface | undefined {
    const inputs = this.bind(node, 'any');
    if (ifElse?.case === undefined) {
      this.errors.add('BranchNodeHasNoCondition', node.id, 'the branch has no first case');
      return undefined;
    }
    const cases: Node[] = [];
    for (const block of [ifElse.case, ...ifElse.other]) {
      checkCondition(node.id, block.condition, inputs, this.errors);
      if (block.thenNode === undefined)
        this.errors.add('BranchNodeIdNotFound', node.id, 'a case of the branch has no node to run');
      else cases.push(block.thenNode);
    }
    if (ifElse.default?.$case === 'elseNode') cases.push(ifElse.default.value);
    else if (ifElse.default === undefined)
      this.errors.add('BranchNodeHasNoDefault', node.id, 'the branch needs an else: a node or an error (C-122)');
    const outputs = this.sharedOutputs(cases);
    return outputs && { inputs, outputs };
  }

  /** What all cases give, by name; the types have to be the same (C-123). */
  private sharedOutputs(cases: readonly Node[]): Record<string, Variable> | undefined {
    let shared: Record<string, Variable> | undefined;
    let complete = true;
    for (const node of cases) {
      const signature = this.interfaceOf(node);
      if (signature === undefined) {
        complete = false;
        continue;
      }
      // Aliases within a case count for no one: the branch takes the outputs as its node gives them.
      const { outputs } = signature;
      this.aliased(node, outputs);
      if (shared === undefined) {
        shared = outputs;
        continue;
      }
      const kept: Record<string, Variable> = {};
      for (const [name, variable] of Object.entries(shared)) {
        const other = Object.hasOwn(outputs, name) ? outputs[name] : undefined;
        if (other === undefined) continue;
        kept[name] = variable;
        if (!sameType(variable.type, other.type))
          this.errors.add(
            'MismatchingTypes',
            node.id,
            `output '${name}' is ${formatType(other.type)} here but ${formatType(variable.type)} in another case of the branch`,
          );
      }
      shared = kept;
    }
    return complete ? (shared ?? {}) : undefined;
  }

  private aliased(node: Node, outputs: Record<string, Variable>): Record<string, Variable> {
    if (node.outputAliases.length === 0) return outputs;
    const aliases = new Map<string, string>();
    for (const { var: name, alias } of node.outputAliases) {
      if (aliases.has(name)) this.errors.add('DuplicateAlias', node.id, `output '${name}' has several aliases`);
      else if ([...aliases.values()].includes(alias))
        this.errors.add('DuplicateAlias', node.id, `alias '${alias}' is used twice`);
      else if (!Object.hasOwn(outputs, name))
        this.errors.add('ParameterNotBound', node.id, `alias '${alias}' is for output '${name}', which doesn't exist`);
      aliases.set(name, alias);
    }
    return Object.fromEntries(Object.entries(outputs).map(([name, variable]) => [aliases.get(name) ?? name, variable]));
  }
}

const kinds = { branchNode: 'branch', gateNode: 'gate', arrayNode: 'further array' } as const;

/** References among what was given, by identifier. */
export const referencesOf = (
  tasks: ReadonlyMap<string, TaskTemplate>,
  launchPlans: ReadonlyMap<string, LaunchPlanInterface>,
  subWorkflows: ReadonlyMap<string, WorkflowTemplate>,
  compileSubWorkflow: References['compileSubWorkflow'],
): References => ({
  task: (id) => tasks.get(identifierKey(id)),
  launchPlan: (id) => launchPlans.get(identifierKey(id)),
  subWorkflow: (id) => subWorkflows.get(identifierKey(id)),
  compileSubWorkflow,
});
