import { DefinitionError } from './errors.js';
import { entityBrand, type Workflow, type WorkflowDefinition, type WorkflowSettings } from './entities.js';
import { buildWith, GraphBuilder, requireBuilder, requireObject } from './graph/builder.js';
import type { Graph, Node, NodeOptions } from './graph/node.js';
import { makePromise, type BindableFor, type Promised } from './graph/promise.js';
import { declare, titleOf } from './registry.js';
import { optional } from './types/containers.js';
import type { Fields, WireOf } from './types/data-type.js';
import { error } from './types/scalars.js';

export interface WorkflowOptions<I extends Fields, O extends Fields> extends WorkflowSettings {
  /** Default: `<file>.<export>`. */
  name?: string;
  inputs?: I;
  outputs?: O;
  /**
   * Node that runs when the workflow has failed (`fn0`, C-62): call exactly one task. It may take the workflow's inputs,
   * and the error for an input of type `t.optional(t.error)`.
   */
  failureNode?: (inputs: WorkflowInputs<I>, failure: Promised<{ error: true } | { none: true }>) => object;
}

export type WorkflowInputs<I extends Fields> = { readonly [K in keyof I]: Promised<WireOf<I[K]>> };

// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- a workflow without inputs has exactly none
type None = {};

/**
 * Defines a workflow: the body calls tasks with promises and so describes a graph; it runs once, at registration. Called
 * inside another workflow it becomes a sub-workflow; `.local(inputs)` runs the whole graph in this process.
 */
export function workflow<I extends Fields = None, O extends Fields = None>(
  options: WorkflowOptions<I, O>,
  build: (inputs: WorkflowInputs<I>) => { readonly [K in keyof O]: BindableFor<O[K]> },
): Workflow<I, O> {
  const { failureNode, ...settings } = options;
  const inputs = options.inputs ?? ({} as I);
  const outputs = options.outputs ?? ({} as O);
  let graph: Graph | undefined;
  const definition: WorkflowDefinition<I, O> = {
    ...settings,
    kind: 'workflow',
    inputs,
    outputs,
    graph: () => (graph ??= buildGraph()),
  };

  const buildGraph = (): Graph => {
    const builder = new GraphBuilder(titleOf(self as unknown as Workflow));
    const promised = inputPromises(inputs, builder);
    const body = buildWith(builder, () => {
      const result = requireObject(build(promised), builder.title, 'an object with its outputs');
      return builder.bindAll(outputs, result, 'output');
    });
    if (builder.nodes.length === 0)
      throw new DefinitionError(`${builder.title} has no nodes: its body must call at least one task.`);
    return {
      nodes: builder.nodes,
      outputs: body,
      failureNode: failureNode && buildFailureNode(builder.title, failureNode),
    };
  };

  const buildFailureNode = (title: string, body: NonNullable<typeof failureNode>): Node => {
    const builder = new GraphBuilder(`${title}, failure node`, 'fn');
    const failure = makePromise<{ error: true } | { none: true }>({
      nodeId: '',
      output: 'err',
      path: [],
      type: optional(error),
      scope: builder.scope,
    });
    buildWith(builder, () => body(inputPromises(inputs, builder), failure));
    const [node, ...more] = builder.nodes;
    if (!node || more.length > 0)
      throw new DefinitionError(`${builder.title}: call exactly one task, not ${builder.nodes.length}.`);
    // The engine puts the error itself into the input `err`; registered, it is bound to None.
    const bound = Object.entries(node.inputs).map(([name, binding]) => {
      const isFailure = binding.kind === 'promise' && binding.promise.nodeId === '' && binding.promise.output === 'err';
      if (isFailure && name !== 'err')
        throw new DefinitionError(
          `${builder.title}: the input that takes the error must be called 'err', not '${name}'.`,
        );
      return [name, isFailure ? { kind: 'value' as const, value: null, expected: binding.expected } : binding] as const;
    });
    return { ...node, inputs: Object.fromEntries(bound) };
  };

  const self = ((given: Record<string, unknown> = {}, nodeOptions: NodeOptions = {}) => {
    const builder = requireBuilder(titleOf(self as unknown as Workflow));
    const node = builder.add(
      { kind: 'workflow', workflow: self as unknown as Workflow },
      builder.bindAll(inputs, given, definition.name ?? 'workflow'),
      outputs,
      nodeOptions,
    );
    return builder.handle(node);
  }) as unknown as Workflow<I, O>;
  Object.defineProperty(self, entityBrand, { value: definition });
  Object.defineProperty(self, 'local', {
    value: async (given: Record<string, unknown> = {}, localOptions = {}) => {
      const { runWorkflowLocally } = await import('./local/run.js');
      return runWorkflowLocally(self as unknown as Workflow, given, localOptions);
    },
  });
  return declare(self as unknown as Workflow) as unknown as Workflow<I, O>;
}

function inputPromises<I extends Fields>(inputs: I, builder: GraphBuilder): WorkflowInputs<I> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, type]) => [
      name,
      makePromise({ nodeId: '', output: name, path: [], type, scope: builder.scope }),
    ]),
  ) as WorkflowInputs<I>;
}

/** Orders nodes between which no data flows: each starts when the one before it has ended. */
export function inOrder(...steps: [() => object, () => object, ...(() => object)[]]): void {
  const builder = requireBuilder('inOrder');
  let previous: readonly string[] = [];
  for (const step of steps) {
    const from = builder.nodes.length;
    step();
    const added = builder.nodes.slice(from);
    for (const node of added) (node.after as string[]).push(...previous.filter((id) => !node.after.includes(id)));
    previous = added.map((node) => node.id);
  }
}
