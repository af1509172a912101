import type { ParameterMap, TypedInterface, Variable, VariableMap } from '@aloft/idl/flyteidl/core/interface';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import type { ArrayNode, Node } from '@aloft/idl/flyteidl/core/workflow';
import { acceptsNone, typeOf } from '@aloft/literals';
import type { ErrorCollector } from './compile-error.js';

/** What a launch plan takes and gives, as its closure has it. */
export interface LaunchPlanInterface {
  id: Identifier;
  expectedInputs: ParameterMap | undefined;
  expectedOutputs: VariableMap | undefined;
}

/** Variables by name: the interface of a node as the compiler works with it. */
export interface NodeInterface {
  inputs: Record<string, Variable>;
  outputs: Record<string, Variable>;
}

export const variableOf = (type: LiteralType | undefined): Variable => ({
  type,
  description: '',
  artifactPartialId: undefined,
  artifactTag: undefined,
});

export const interfaceOf = (typed: TypedInterface | undefined): NodeInterface => ({
  inputs: typed?.inputs?.variables ?? {},
  outputs: typed?.outputs?.variables ?? {},
});

/** Reports variables without a name or type. */
export function checkVariables(place: string, map: VariableMap | undefined, errors: ErrorCollector): void {
  for (const [name, variable] of Object.entries(map?.variables ?? {})) {
    if (name === '') errors.add('ValueRequired', place, 'a variable has no name');
    if (variable.type === undefined || variable.type.type === undefined)
      errors.add('ValueRequired', place, `variable '${name}' has no type`);
  }
}

/**
 * The inputs of a launch plan that a node has to bind: the required ones, and those with a default that the node overrides.
 */
export function launchPlanInterface(plan: LaunchPlanInterface, node: Node): NodeInterface {
  const bound = new Set(node.inputs.map((binding) => binding.var));
  const inputs: Record<string, Variable> = {};
  for (const [name, { var: variable, behavior }] of Object.entries(plan.expectedInputs?.parameters ?? {})) {
    const isRequired = behavior?.$case === 'required' && behavior.value;
    if (variable !== undefined && (isRequired || bound.has(name))) inputs[name] = variable;
  }
  return { inputs, outputs: plan.expectedOutputs?.variables ?? {} };
}

/**
 * The interface of an array node, from that of its item's. Map tasks are registered with lists already; an item that kept its
 * own interface (`is_original_sub_node_interface`: child executions, reference tasks) takes a list for every input that
 * isn't bound as a whole, and gives lists, of optional values where a
 * ratio of successes lets items fail (as SDKs declare them).
 */
export function arrayInterface(array: ArrayNode, item: NodeInterface): NodeInterface {
  if (array.isOriginalSubNodeInterface !== true) return item;
  const mayFail = array.successCriteria?.$case === 'minSuccessRatio' && array.successCriteria.value < 1;
  const list = (variable: Variable, optional: boolean): Variable => {
    if (variable.type === undefined) return variable;
    const element = optional && !acceptsNone(variable.type) ? typeOf.optional(variable.type) : variable.type;
    return { ...variable, type: typeOf.collection(element) };
  };
  const inputs = Object.entries(item.inputs).map(
    ([name, variable]) => [name, array.boundInputs.includes(name) ? variable : list(variable, false)] as const,
  );
  const outputs = Object.entries(item.outputs).map(([name, variable]) => [name, list(variable, mayFail)] as const);
  return { inputs: Object.fromEntries(inputs), outputs: Object.fromEntries(outputs) };
}
