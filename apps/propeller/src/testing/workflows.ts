import { compileWorkflow, type LaunchPlanInterface } from '@aloft/compiler';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { Binding, type Literal } from '@aloft/idl/flyteidl/core/literals';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { LiteralType, SimpleType } from '@aloft/idl/flyteidl/core/types';
import { Node, WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';
import { literalOf } from '@aloft/literals';

/** Short ways to write workflows for tests and benchmarks; the compiler makes closures of them, as admin does. */

export const integer = LiteralType.fromPartial({ type: { $case: 'simple', value: SimpleType.INTEGER } });
export const integers = LiteralType.fromPartial({ type: { $case: 'collectionType', value: integer } });
export const boolean = LiteralType.fromPartial({ type: { $case: 'simple', value: SimpleType.BOOLEAN } });

export const idOf = (name: string, resourceType = ResourceType.WORKFLOW): Identifier => ({
  resourceType,
  project: 'flytesnacks',
  domain: 'development',
  name,
  version: 'v1',
  org: '',
});

const variables = (names: readonly string[], types: Record<string, LiteralType> = {}) => ({
  variables: Object.fromEntries(
    names.map((name) => [
      name,
      { type: types[name] ?? integer, description: '', artifactPartialId: undefined, artifactTag: undefined },
    ]),
  ),
});

export interface TaskOptions {
  type?: string;
  inputs?: readonly string[];
  outputs?: readonly string[];
  metadata?: Parameters<typeof TaskTemplate.fromPartial>[0]['metadata'];
  container?: { args?: string[]; env?: { key: string; value: string }[] };
}

export function task(name: string, options: TaskOptions = {}): TaskTemplate {
  const template = TaskTemplate.fromPartial({
    id: idOf(name, ResourceType.TASK),
    type: options.type ?? 'python-task',
    metadata: options.metadata ?? {},
  });
  template.interface = { inputs: variables(options.inputs ?? []), outputs: variables(options.outputs ?? []) };
  if (options.container) {
    const value = { image: 'image', args: options.container.args ?? [], env: options.container.env ?? [] };
    template.target = TaskTemplate.fromPartial({ target: { $case: 'container', value } }).target;
  }
  return template;
}

/** `n0.o` is a promise, `in.x` an input of the workflow, a literal itself. */
export type Value = string | Literal;

export function bind(values: Readonly<Record<string, Value>>): Binding[] {
  return Object.entries(values).map(([name, value]) => {
    if (typeof value !== 'string') {
      const scalar = value.value?.$case === 'scalar' ? value.value.value : undefined;
      return Binding.fromPartial({ var: name, binding: { value: { $case: 'scalar', value: scalar! } } });
    }
    const [nodeId = '', variable = ''] = value.split('.');
    return Binding.fromPartial({
      var: name,
      binding: { value: { $case: 'promise', value: { nodeId: nodeId === 'in' ? '' : nodeId, var: variable } } },
    });
  });
}

export function taskNode(
  id: string,
  template: TaskTemplate,
  inputs: Record<string, Value> = {},
  after: string[] = [],
): Node {
  return Node.fromPartial({
    id,
    metadata: { name: id },
    inputs: bind(inputs),
    upstreamNodeIds: after,
    target: { $case: 'taskNode', value: { reference: { $case: 'referenceId', value: template.id! } } },
  });
}

export function childNode(id: string, launchPlan: Identifier, inputs: Record<string, Value> = {}): Node {
  return Node.fromPartial({
    id,
    metadata: { name: id },
    inputs: bind(inputs),
    target: { $case: 'workflowNode', value: { reference: { $case: 'launchplanRef', value: launchPlan } } },
  });
}

/** Maps a task or launch plan node over the lists among its inputs. */
export function arrayNode(id: string, item: Node, inputs: Record<string, Value>): Node {
  return Node.fromPartial({
    id,
    metadata: { name: id },
    inputs: bind(inputs),
    target: { $case: 'arrayNode', value: { node: item, isOriginalSubNodeInterface: true } },
  });
}

export function subWorkflowNode(id: string, name: string, inputs: Record<string, Value> = {}): Node {
  return Node.fromPartial({
    id,
    metadata: { name: id },
    inputs: bind(inputs),
    target: { $case: 'workflowNode', value: { reference: { $case: 'subWorkflowRef', value: idOf(name) } } },
  });
}

export function sleepNode(id: string, seconds: number, after: string[] = []): Node {
  return Node.fromPartial({
    id,
    metadata: { name: id },
    upstreamNodeIds: after,
    target: {
      $case: 'gateNode',
      value: { condition: { $case: 'sleep', value: { duration: { seconds: BigInt(seconds), nanos: 0 } } } },
    },
  });
}

export function signalNode(id: string, signalId: string): Node {
  return Node.fromPartial({
    id,
    metadata: { name: id },
    target: {
      $case: 'gateNode',
      value: { condition: { $case: 'signal', value: { signalId, type: integer, outputVariableName: 'o0' } } },
    },
  });
}

export interface WorkflowOptions {
  nodes: Node[];
  tasks: TaskTemplate[];
  inputs?: readonly string[];
  outputs?: Record<string, Value>;
  /** Of inputs and outputs that are no integers. */
  types?: Record<string, LiteralType>;
  subWorkflows?: Record<string, WorkflowOptions>;
  launchPlans?: LaunchPlanInterface[];
}

function templateOf(name: string, options: WorkflowOptions): WorkflowTemplate {
  const template = WorkflowTemplate.fromPartial({ id: idOf(name), metadata: {}, metadataDefaults: {} });
  template.nodes = options.nodes;
  template.interface = {
    inputs: variables(options.inputs ?? [], options.types),
    outputs: variables(Object.keys(options.outputs ?? {}), options.types),
  };
  template.outputs = bind(options.outputs ?? {});
  return template;
}

export function closureOf(name: string, options: WorkflowOptions): Uint8Array {
  const { tasks, launchPlans = [], subWorkflows = {} } = options;
  const subs = Object.entries(subWorkflows).map(([each, spec]) => templateOf(each, spec));
  const template = templateOf(name, options);
  return CompiledWorkflowClosure.encode(compileWorkflow({ template, tasks, launchPlans, subWorkflows: subs })).finish();
}

export const echo = (type = 'noop', metadata?: TaskOptions['metadata']): TaskTemplate =>
  task('echo', { type, inputs: ['x'], outputs: ['o0'], metadata });

/** n0 → n1 → … ; each step takes the value of the one before. */
export function chain(length: number, template: TaskTemplate = echo()): Uint8Array {
  const nodes = Array.from({ length }, (_, i) =>
    taskNode(`n${i}`, template, { x: i === 0 ? literalOf.integer(1) : `n${i - 1}.o0` }),
  );
  return closureOf(`chain${length}`, { nodes, tasks: [template], outputs: { o0: `n${length - 1}.o0` } });
}

/** `width` steps beside each other. */
export function fanOut(width: number, template: TaskTemplate = echo()): Uint8Array {
  const nodes = Array.from({ length: width }, (_, i) => taskNode(`n${i}`, template, { x: literalOf.integer(i) }));
  return closureOf(`fan${width}`, { nodes, tasks: [template] });
}
