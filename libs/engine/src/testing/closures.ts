import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { Identifier, ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { Binding, BindingData, Literal, type Scalar } from '@aloft/idl/flyteidl/core/literals';
import { TaskMetadata, TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { LiteralType, SimpleType } from '@aloft/idl/flyteidl/core/types';
import {
  Node,
  WorkflowMetadata_OnFailurePolicy,
  WorkflowTemplate,
  type BranchNode,
  type GateNode,
} from '@aloft/idl/flyteidl/core/workflow';
import { ComparisonExpression_Operator, type BooleanExpression } from '@aloft/idl/flyteidl/core/condition';

/** Short ways to write compiled closures in tests. */

export type Types = Record<string, LiteralType>;

export const simple = (type: SimpleType): LiteralType => LiteralType.create({ type: { $case: 'simple', value: type } });
export const INT = simple(SimpleType.INTEGER);
export const BOOL = simple(SimpleType.BOOLEAN);
export const STRING = simple(SimpleType.STRING);
export const ERROR = simple(SimpleType.ERROR);
export const NONE = simple(SimpleType.NONE);
export const list = (of: LiteralType): LiteralType =>
  LiteralType.create({ type: { $case: 'collectionType', value: of } });
export const optional = (of: LiteralType): LiteralType =>
  LiteralType.create({ type: { $case: 'unionType', value: { variants: [of, NONE] } } });

const scalar = (value: Scalar['value']): Literal => Literal.create({ value: { $case: 'scalar', value: { value } } });
export const int = (value: number): Literal =>
  scalar({ $case: 'primitive', value: { value: { $case: 'integer', value: BigInt(value) } } });
export const str = (value: string): Literal =>
  scalar({ $case: 'primitive', value: { value: { $case: 'stringValue', value } } });
export const bool = (value: boolean): Literal =>
  scalar({ $case: 'primitive', value: { value: { $case: 'boolean', value } } });
export const listOf = (literals: Literal[]): Literal =>
  Literal.create({ value: { $case: 'collection', value: { literals } } });
export const mapOf = (literals: Record<string, Literal>): Literal =>
  Literal.create({ value: { $case: 'map', value: { literals } } });

/** The number an integer literal holds, lists of them, null for None. */
export function plain(literal: Literal | undefined): unknown {
  const value = literal?.value;
  if (value?.$case === 'collection') return value.value.literals.map(plain);
  if (value?.$case === 'map') {
    return Object.fromEntries(Object.entries(value.value.literals).map(([key, each]) => [key, plain(each)]));
  }
  if (value?.$case !== 'scalar') return undefined;
  const inner = value.value.value;
  if (inner?.$case === 'noneType') return null;
  if (inner?.$case === 'union') return plain(inner.value.value);
  if (inner?.$case === 'error') return inner.value;
  if (inner?.$case !== 'primitive') return undefined;
  const primitive = inner.value.value;
  return primitive?.$case === 'integer' ? Number(primitive.value) : primitive?.value;
}

export const id = (name: string, resourceType = ResourceType.WORKFLOW): Identifier =>
  Identifier.create({ resourceType, project: 'p', domain: 'd', name, version: '1' });

/** `n0.o` is a promise, a literal itself, an array a collection of such. */
export type Value = string | Literal | Value[] | { promise: string; path: (string | number)[] };

export function bindingOf(value: Value): BindingData {
  if (typeof value === 'string') return promise(value, []);
  if (Array.isArray(value)) {
    return BindingData.create({ value: { $case: 'collection', value: { bindings: value.map(bindingOf) } } });
  }
  if ('promise' in value) return promise(value.promise, value.path);
  if (value.value?.$case === 'scalar') {
    return BindingData.create({ value: { $case: 'scalar', value: value.value.value } });
  }
  if (value.value?.$case === 'collection') return bindingOf(value.value.value.literals);
  throw new Error('testing: bindings are scalars, collections and promises');
}

function promise(reference: string, path: (string | number)[]): BindingData {
  const [nodeId = '', variable = ''] = reference.split('.');
  const attrPath = path.map((step) => ({
    value:
      typeof step === 'string'
        ? { $case: 'stringValue' as const, value: step }
        : { $case: 'intValue' as const, value: step },
  }));
  return BindingData.create({
    value: { $case: 'promise', value: { nodeId: nodeId === 'in' ? 'start-node' : nodeId, var: variable, attrPath } },
  });
}

export const bindings = (values: Record<string, Value>): Binding[] =>
  Object.entries(values).map(([name, value]) => Binding.create({ var: name, binding: bindingOf(value) }));

const variables = (types: Types = {}) => ({
  variables: Object.fromEntries(
    Object.entries(types).map(([name, type]) => [
      name,
      { type, description: '', artifactPartialId: undefined, artifactTag: undefined },
    ]),
  ),
});

export interface TaskSpec {
  type?: string;
  inputs?: Types;
  outputs?: Types;
  metadata?: Parameters<typeof TaskMetadata.fromPartial>[0];
}

export function taskTemplate(name: string, spec: TaskSpec = {}): TaskTemplate {
  const template = TaskTemplate.create({ id: id(name, ResourceType.TASK), type: spec.type ?? 'test' });
  template.interface = { inputs: variables(spec.inputs), outputs: variables(spec.outputs) };
  template.metadata = TaskMetadata.fromPartial(spec.metadata ?? {});
  return template;
}

export interface NodeOptions {
  after?: string[];
  metadata?: Parameters<typeof Node.fromPartial>[0]['metadata'];
}

function node(nodeId: string, target: Node['target'], inputs: Record<string, Value>, options: NodeOptions = {}): Node {
  const made = Node.fromPartial({ id: nodeId, upstreamNodeIds: options.after ?? [], metadata: options.metadata });
  made.inputs = bindings(inputs);
  made.target = target;
  return made;
}

export const task = (nodeId: string, name: string, inputs: Record<string, Value> = {}, options?: NodeOptions): Node =>
  node(
    nodeId,
    {
      $case: 'taskNode',
      value: { reference: { $case: 'referenceId', value: id(name, ResourceType.TASK) }, overrides: undefined },
    },
    inputs,
    options,
  );

export const sub = (nodeId: string, name: string, inputs: Record<string, Value> = {}, options?: NodeOptions): Node =>
  node(
    nodeId,
    { $case: 'workflowNode', value: { reference: { $case: 'subWorkflowRef', value: id(name) } } },
    inputs,
    options,
  );

export const child = (nodeId: string, name: string, inputs: Record<string, Value> = {}, options?: NodeOptions): Node =>
  node(
    nodeId,
    {
      $case: 'workflowNode',
      value: { reference: { $case: 'launchplanRef', value: id(name, ResourceType.LAUNCH_PLAN) } },
    },
    inputs,
    options,
  );

export const gate = (
  nodeId: string,
  condition: GateNode['condition'],
  inputs: Record<string, Value> = {},
  options?: NodeOptions,
): Node => node(nodeId, { $case: 'gateNode', value: { condition } }, inputs, options);

export interface ArrayOptions extends NodeOptions {
  parallelism?: number;
  minSuccesses?: number;
  minSuccessRatio?: number;
  bound?: string[];
}

export function array(nodeId: string, item: Node, inputs: Record<string, Value>, options: ArrayOptions = {}): Node {
  const made = Node.fromPartial({ target: { $case: 'arrayNode', value: { boundInputs: options.bound ?? [] } } }).target;
  if (made?.$case === 'arrayNode') {
    made.value.node = item;
    made.value.isOriginalSubNodeInterface = true;
    if (options.parallelism !== undefined) {
      made.value.parallelismOption = { $case: 'parallelism', value: options.parallelism };
    }
    if (options.minSuccesses !== undefined) {
      made.value.successCriteria = { $case: 'minSuccesses', value: options.minSuccesses };
    }
    if (options.minSuccessRatio !== undefined) {
      made.value.successCriteria = { $case: 'minSuccessRatio', value: options.minSuccessRatio };
    }
  }
  return node(nodeId, made, inputs, options);
}

type Operator = '==' | '!=' | '>' | '>=' | '<' | '<=';
const operators: Record<Operator, ComparisonExpression_Operator> = {
  '==': ComparisonExpression_Operator.EQ,
  '!=': ComparisonExpression_Operator.NEQ,
  '>': ComparisonExpression_Operator.GT,
  '>=': ComparisonExpression_Operator.GTE,
  '<': ComparisonExpression_Operator.LT,
  '<=': ComparisonExpression_Operator.LTE,
};

const operand = (value: string | Literal) => ({
  val:
    typeof value === 'string'
      ? { $case: 'var' as const, value }
      : { $case: 'scalar' as const, value: value.value?.value as Scalar },
});

/** `compare('a', '>', int(3))`: a string names a variable. */
export const compare = (left: string | Literal, operator: Operator, right: string | Literal): BooleanExpression => ({
  expr: {
    $case: 'comparison',
    value: { operator: operators[operator], leftValue: operand(left), rightValue: operand(right) },
  },
});

export function branch(
  nodeId: string,
  inputs: Record<string, Value>,
  cases: [BooleanExpression, Node][],
  otherwise: Node | string | undefined,
  options?: NodeOptions,
): Node {
  const blocks = cases.map(([condition, thenNode]) => ({ condition, thenNode }));
  const value: BranchNode = {
    ifElse: {
      case: blocks[0],
      other: blocks.slice(1),
      default:
        otherwise === undefined
          ? undefined
          : typeof otherwise === 'string'
            ? { $case: 'error', value: { failedNodeId: nodeId, message: otherwise } }
            : { $case: 'elseNode', value: otherwise },
    },
  };
  return node(nodeId, { $case: 'branchNode', value }, inputs, options);
}

export interface WorkflowSpec {
  nodes: Node[];
  inputs?: Types;
  outputs?: Record<string, Value>;
  outputTypes?: Types;
  failureNode?: Node;
  failAfter?: boolean;
  interruptible?: boolean;
}

export function workflow(name: string, spec: WorkflowSpec): WorkflowTemplate {
  const outputs = spec.outputs ?? {};
  const outputTypes = spec.outputTypes ?? Object.fromEntries(Object.keys(outputs).map((key) => [key, INT]));
  const template = WorkflowTemplate.create({ id: id(name) });
  template.interface = { inputs: variables(spec.inputs), outputs: variables(outputTypes) };
  template.nodes = spec.nodes;
  template.outputs = bindings(outputs);
  template.failureNode = spec.failureNode;
  template.metadata = {
    qualityOfService: undefined,
    onFailure: spec.failAfter
      ? WorkflowMetadata_OnFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE
      : WorkflowMetadata_OnFailurePolicy.FAIL_IMMEDIATELY,
    tags: {},
  };
  template.metadataDefaults = { interruptible: spec.interruptible ?? false };
  return template;
}

export interface ClosureSpec extends WorkflowSpec {
  tasks?: Record<string, TaskSpec>;
  subs?: Record<string, WorkflowSpec>;
}

/** A closure as the compiler makes it; the digest is the caller's business. */
export function closure(spec: ClosureSpec): CompiledWorkflowClosure {
  const compiled = (template: WorkflowTemplate) => ({ template, connections: undefined });
  return CompiledWorkflowClosure.create({
    primary: compiled(workflow('wf', spec)),
    subWorkflows: Object.entries(spec.subs ?? {}).map(([name, each]) => compiled(workflow(name, each))),
    tasks: Object.entries(spec.tasks ?? {}).map(([name, each]) => ({ template: taskTemplate(name, each) })),
    launchPlans: [],
  });
}
