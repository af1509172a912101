import {
  ComparisonExpression_Operator as Operator,
  type BooleanExpression,
  type Operand,
} from '@aloft/idl/flyteidl/core/condition';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { ParameterMap, VariableMap } from '@aloft/idl/flyteidl/core/interface';
import type { Binding, BindingData, Literal } from '@aloft/idl/flyteidl/core/literals';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { LiteralType, PromiseAttribute } from '@aloft/idl/flyteidl/core/types';
import { Node, WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import type { LaunchPlanInterface } from '../node-interface.js';

/** Short constructors of workflows for tests; everything lives in `p/d` with version `v`. */
export const identifier = (name: string, resourceType = ResourceType.TASK): Identifier => ({
  resourceType,
  project: 'p',
  domain: 'd',
  name,
  version: 'v',
  org: '',
});

type Types = Record<string, LiteralType>;

export const variables = (types: Types): VariableMap => ({
  variables: Object.fromEntries(
    Object.entries(types).map(([name, type]) => [
      name,
      { type, description: '', artifactPartialId: undefined, artifactTag: undefined },
    ]),
  ),
});

export const taskOf = (name: string, inputs: Types = {}, outputs: Types = {}): TaskTemplate =>
  TaskTemplate.fromPartial({
    id: identifier(name),
    type: 'noop',
    metadata: { runtime: { version: '1' } },
    interface: { inputs: variables(inputs), outputs: variables(outputs) },
  });

/** A promise of an output; no node id for a workflow's input. */
export const output = (nodeId: string, name: string, ...path: (string | number)[]): BindingData => ({
  value: {
    $case: 'promise',
    value: {
      nodeId,
      var: name,
      attrPath: path.map((step): PromiseAttribute => ({
        value: typeof step === 'number' ? { $case: 'intValue', value: step } : { $case: 'stringValue', value: step },
      })),
    },
  },
  union: undefined,
});

export const input = (name: string, ...path: (string | number)[]): BindingData => output('', name, ...path);

export function constant(literal: Literal): BindingData {
  if (literal.value?.$case !== 'scalar') throw new Error('only a scalar can be bound as a constant');
  return { value: { $case: 'scalar', value: literal.value.value }, union: undefined };
}

export const listOf = (...bindings: BindingData[]): BindingData => ({
  value: { $case: 'collection', value: { bindings } },
  union: undefined,
});

export const mapOf = (bindings: Record<string, BindingData>): BindingData => ({
  value: { $case: 'map', value: { bindings } },
  union: undefined,
});

export const bindings = (bound: Record<string, BindingData>): Binding[] =>
  Object.entries(bound).map(([name, binding]) => ({ var: name, binding }));

const nodeOf = (id: string, target: Node['target'], bound: Record<string, BindingData>, after: string[]): Node =>
  Node.create({ id, target, inputs: bindings(bound), upstreamNodeIds: after });

export const taskNode = (
  id: string,
  task: string,
  bound: Record<string, BindingData> = {},
  after: string[] = [],
): Node =>
  nodeOf(
    id,
    {
      $case: 'taskNode',
      value: { reference: { $case: 'referenceId', value: identifier(task) }, overrides: undefined },
    },
    bound,
    after,
  );

export const subWorkflowNode = (id: string, workflow: string, bound: Record<string, BindingData> = {}): Node =>
  nodeOf(
    id,
    {
      $case: 'workflowNode',
      value: { reference: { $case: 'subWorkflowRef', value: identifier(workflow, ResourceType.WORKFLOW) } },
    },
    bound,
    [],
  );

export const launchPlanNode = (id: string, plan: string, bound: Record<string, BindingData> = {}): Node =>
  nodeOf(
    id,
    {
      $case: 'workflowNode',
      value: { reference: { $case: 'launchplanRef', value: identifier(plan, ResourceType.LAUNCH_PLAN) } },
    },
    bound,
    [],
  );

/** `variable = value` */
export const equalTo = (variable: string, literal: Literal): BooleanExpression => {
  const scalar = literal.value?.$case === 'scalar' ? literal.value.value.value : undefined;
  if (scalar?.$case !== 'primitive') throw new Error('only a primitive can be compared with');
  return comparison({ val: { $case: 'var', value: variable } }, { val: { $case: 'primitive', value: scalar.value } });
};

export const comparison = (leftValue: Operand | undefined, rightValue: Operand | undefined): BooleanExpression => ({
  expr: { $case: 'comparison', value: { operator: Operator.EQ, leftValue, rightValue } },
});

export interface Case {
  when?: BooleanExpression;
  then?: Node;
}

export const branchNode = (
  id: string,
  bound: Record<string, BindingData>,
  cases: Case[],
  otherwise?: Node | string,
): Node => {
  const [first, ...other] = cases.map(({ when, then }) => ({ condition: when, thenNode: then }));
  return nodeOf(
    id,
    {
      $case: 'branchNode',
      value: {
        ifElse: {
          case: first,
          other,
          default:
            otherwise === undefined
              ? undefined
              : typeof otherwise === 'string'
                ? { $case: 'error', value: { failedNodeId: id, message: otherwise } }
                : { $case: 'elseNode', value: otherwise },
        },
      },
    },
    bound,
    [],
  );
};

export interface WorkflowParts {
  name?: string;
  inputs?: Types;
  outputs?: Types;
  nodes?: Node[];
  returns?: Record<string, BindingData>;
  failureNode?: Node;
}

export const workflowOf = ({
  name = 'w',
  inputs = {},
  outputs = {},
  nodes = [],
  returns = {},
  failureNode,
}: WorkflowParts): WorkflowTemplate =>
  WorkflowTemplate.create({
    id: identifier(name, ResourceType.WORKFLOW),
    interface: { inputs: variables(inputs), outputs: variables(outputs) },
    nodes,
    outputs: bindings(returns),
    failureNode,
  });

export const launchPlanOf = (name: string, expectedInputs: ParameterMap, outputs: Types = {}): LaunchPlanInterface => ({
  id: identifier(name, ResourceType.LAUNCH_PLAN),
  expectedInputs,
  expectedOutputs: variables(outputs),
});
