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

export const booleanLiteral = (value: boolean): Literal =>
  Literal.fromPartial({
    value: {
      $case: 'scalar',
      value: { value: { $case: 'primitive', value: { value: { $case: 'boolean', value } } } },
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

/** Two integers in, the first of them out. */
export function joinTask(version: string): TaskTemplate {
  return TaskTemplate.fromPartial({
    id: identifier(ResourceType.TASK, 'bench.join', version),
    type: 'noop',
    metadata: { runtime: { type: 0, version: '1', flavor: 'bench' }, retries: { retries: 0 } },
    interface: TypedInterface.fromPartial({ inputs: variables('x', 'y'), outputs: variables('x') }),
  });
}

/** n steps, each of which reads two that are before it: a random graph, the same for the same n. */
export function randomGraph(n: number, version: string): WorkflowTemplate {
  const task = identifier(ResourceType.TASK, 'bench.join', version);
  let state = n;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const earlier = (at: number) => (at === 0 ? fromNode('', 'x') : fromNode(`n${random(at)}`, 'x'));
  const nodes = Array.from({ length: n }, (_, at) =>
    Node.fromPartial({
      id: `n${at}`,
      metadata: { name: 'join' },
      inputs: [bind('x', earlier(at)), bind('y', earlier(at))],
      target: { $case: 'taskNode', value: { reference: { $case: 'referenceId', value: task } } },
    }),
  );
  return workflow(`bench.graph_${n}`, version, nodes);
}

/** The noop task over every element of the list that the run is given. */
export function mapOfNoops(version: string): WorkflowTemplate {
  const integers: LiteralType = { type: { $case: 'collectionType', value: integer } } as LiteralType;
  const typed = { variables: { x: Variable.fromPartial({ type: integers }) } };
  const node = Node.fromPartial({
    id: 'map',
    metadata: { name: 'map' },
    inputs: [bind('x', fromNode('', 'x'))],
    target: {
      $case: 'arrayNode',
      value: {
        isOriginalSubNodeInterface: true,
        node: {
          id: 'item',
          metadata: { name: 'noop' },
          inputs: [bind('x', fromNode('', 'x'))],
          target: {
            $case: 'taskNode',
            value: {
              reference: { $case: 'referenceId', value: identifier(ResourceType.TASK, 'bench.noop', version) },
            },
          },
        },
      },
    },
  });
  return WorkflowTemplate.fromPartial({
    id: identifier(ResourceType.WORKFLOW, 'bench.map', version),
    metadata: {},
    metadataDefaults: {},
    interface: TypedInterface.fromPartial({ inputs: typed, outputs: typed }),
    nodes: [node],
    outputs: [bind('x', fromNode('map', 'x'))],
  });
}

/** Waits for somebody's approval, then is over. */
export function gated(version: string): WorkflowTemplate {
  const node = Node.fromPartial({
    id: 'gate',
    metadata: { name: 'gate' },
    target: { $case: 'gateNode', value: { condition: { $case: 'approve', value: { signalId: 'go' } } } },
  });
  return workflow('bench.gated', version, [node]);
}

/** Sleeps, then is over. */
export function sleeping(version: string, seconds: number): WorkflowTemplate {
  const sleep = { duration: { seconds: BigInt(seconds), nanos: 0 } };
  const node = Node.fromPartial({
    id: 'sleep',
    metadata: { name: 'sleep' },
    target: { $case: 'gateNode', value: { condition: { $case: 'sleep', value: sleep } } },
  });
  return workflow('bench.sleeping', version, [node]);
}

/** n processes that sleep, next to each other. */
export function sleepFanOut(n: number, version: string, seconds: number): WorkflowTemplate {
  const task = identifier(ResourceType.TASK, `bench.sleep_${seconds}`, version);
  const nodes = Array.from({ length: n }, (_, i) =>
    Node.fromPartial({
      id: `n${i}`,
      metadata: { name: 'sleep' },
      target: { $case: 'taskNode', value: { reference: { $case: 'referenceId', value: task } } },
    }),
  );
  return workflow(`bench.sleep_fanout_${n}`, version, nodes);
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
  return workflow(`bench.sleep_chain_${n}_${seconds}`, version, nodes);
}
