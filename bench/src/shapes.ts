import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { WorkflowTemplate, Node } from '@aloft/idl/flyteidl/core/workflow';
import { BindingData, Literal, type Binding } from '@aloft/idl/flyteidl/core/literals';
import { SimpleType, type LiteralType } from '@aloft/idl/flyteidl/core/types';
import { Identifier, ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { TypedInterface, Variable } from '@aloft/idl/flyteidl/core/interface';

/** The workflows that are measured: noop tasks (dispatched to a backend host and reported back), one integer in and out. */

export const project = 'aloft';
export const domain = 'development';
const integer: LiteralType = { type: { $case: 'simple', value: SimpleType.INTEGER } } as LiteralType;
const variables = (...names: string[]) => ({
  variables: Object.fromEntries(names.map((name) => [name, Variable.fromPartial({ type: integer })])),
});

export function identifier(resourceType: ResourceType, name: string, version: string): Identifier {
  return Identifier.fromPartial({ resourceType, project, domain, name, version });
}

export const integerLiteral = (value: bigint): Literal =>
  Literal.fromPartial({
    value: {
      $case: 'scalar',
      value: { value: { $case: 'primitive', value: { value: { $case: 'integer', value } } } },
    },
  });

export function noopTask(version: string): TaskTemplate {
  return TaskTemplate.fromPartial({
    id: identifier(ResourceType.TASK, 'bench.noop', version),
    type: 'noop',
    metadata: { runtime: { type: 0, version: '1', flavor: 'bench' }, retries: { retries: 0 } },
    interface: TypedInterface.fromPartial({ inputs: variables('x'), outputs: variables('x') }),
  });
}

/** A process that sleeps; nothing in and out. */
export function sleepTask(version: string, seconds: number): TaskTemplate {
  return TaskTemplate.fromPartial({
    id: identifier(ResourceType.TASK, `bench.sleep_${seconds}`, version),
    type: 'container',
    metadata: { runtime: { type: 0, version: '1', flavor: 'bench' }, retries: { retries: 0 } },
    interface: { inputs: variables(), outputs: variables() },
    target: { $case: 'container', value: { image: 'none', command: ['sleep', String(seconds)] } },
  });
}

const fromNode = (nodeId: string, variable: string): BindingData =>
  BindingData.fromPartial({ value: { $case: 'promise', value: { nodeId, var: variable } } });
const bind = (name: string, binding: BindingData): Binding => ({ var: name, binding }) as Binding;

function noopNode(index: number, version: string, input: BindingData): Node {
  return Node.fromPartial({
    id: `n${index}`,
    metadata: { name: 'noop' },
    inputs: [bind('x', input)],
    target: {
      $case: 'taskNode',
      value: { reference: { $case: 'referenceId', value: identifier(ResourceType.TASK, 'bench.noop', version) } },
    },
  });
}

function workflow(name: string, version: string, nodes: Node[], output?: BindingData): WorkflowTemplate {
  return WorkflowTemplate.fromPartial({
    id: identifier(ResourceType.WORKFLOW, name, version),
    metadata: {},
    metadataDefaults: {},
    interface: TypedInterface.fromPartial({ inputs: variables('x'), outputs: output ? variables('x') : variables() }),
    nodes,
    outputs: output ? [bind('x', output)] : [],
  });
}

/** n steps, each waiting for the one before. */
export function chain(n: number, version: string): WorkflowTemplate {
  const nodes = Array.from({ length: n }, (_, i) =>
    noopNode(i, version, i === 0 ? fromNode('', 'x') : fromNode(`n${i - 1}`, 'x')),
  );
  return workflow(`bench.chain_${n}`, version, nodes, fromNode(`n${n - 1}`, 'x'));
}

/** n steps that wait for nothing but the start. */
export function fanOut(n: number, version: string): WorkflowTemplate {
  const nodes = Array.from({ length: n }, (_, i) => noopNode(i, version, fromNode('', 'x')));
  return workflow(`bench.fanout_${n}`, version, nodes);
}

/** n steps of some seconds each, one after the other. */
export function sleepChain(n: number, version: string, seconds: number): WorkflowTemplate {
  const task = identifier(ResourceType.TASK, `bench.sleep_${seconds}`, version);
  const nodes = Array.from({ length: n }, (_, i) =>
    Node.fromPartial({
      id: `n${i}`,
      metadata: { name: 'sleep' },
      upstreamNodeIds: i === 0 ? [] : [`n${i - 1}`],
      target: { $case: 'taskNode', value: { reference: { $case: 'referenceId', value: task } } },
    }),
  );
  return workflow(`bench.sleep_chain_${n}`, version, nodes);
}
