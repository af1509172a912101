import { DefinitionError } from './errors.js';
import { entityBrand, type EntityReference, type Task, type TaskDefinition, type TaskSettings } from './entities.js';
import type { TaskContext } from './context.js';
import { buildWith, GraphBuilder, requireBuilder, requireObject } from './graph/builder.js';
import type { Graph, NodeOptions } from './graph/node.js';
import type { BindableFor } from './graph/promise.js';
import { declare, titleOf } from './registry.js';
import type { Fields, Values } from './types/data-type.js';

export interface TaskOptions<I extends Fields, O extends Fields> extends TaskSettings {
  /** Default: `<file>.<export>`. */
  name?: string;
  inputs?: I;
  outputs?: O;
}

// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- a task without inputs has exactly none
export type None = {};

/**
 * Defines a task: a function with typed inputs and outputs that the platform runs in a process of its own. Called inside
 * a workflow it becomes a node; `.local(inputs)` runs it here.
 */
export function task<I extends Fields = None, O extends Fields = None>(
  options: TaskOptions<I, O>,
  run: (inputs: Values<I>, context: TaskContext) => Values<O> | Promise<Values<O>>,
): Task<I, O> {
  return makeTask({
    ...options,
    kind: 'task',
    inputs: options.inputs ?? ({} as I),
    outputs: options.outputs ?? ({} as O),
    run,
  });
}

/**
 * Defines a task whose body builds a workflow from actual values when it runs: how many nodes, and which, may depend on
 * the data (C-150). Nodes are called dn0, dn1, …
 */
export function dynamic<I extends Fields = None, O extends Fields = None>(
  options: TaskOptions<I, O>,
  build: (inputs: Values<I>) => { readonly [K in keyof O]: BindableFor<O[K]> },
): Task<I, O> {
  const inputs = options.inputs ?? ({} as I);
  const outputs = options.outputs ?? ({} as O);
  const self: Task<I, O> = makeTask<I, O>({
    ...options,
    kind: 'task',
    inputs,
    outputs,
    dynamic: (values): Graph => {
      const builder = new GraphBuilder(titleOf(self as unknown as Task), 'dn');
      return buildWith(builder, () => {
        const result = requireObject(build(values), builder.title, 'an object with its outputs');
        return { nodes: builder.nodes, outputs: builder.bindAll(outputs, result, 'output') };
      });
    },
  });
  return self;
}

/** A task that is registered elsewhere, by its id and interface. */
export function taskReference<I extends Fields, O extends Fields>(
  reference: EntityReference & { inputs: I; outputs: O },
): Task<I, O> {
  const { inputs, outputs, ...id } = reference;
  return makeTask({ kind: 'task', inputs, outputs, reference: id });
}

/** A task of any kind: a node where a workflow's body calls it. */
export function makeTask<I extends Fields, O extends Fields>(definition: TaskDefinition<I, O>): Task<I, O> {
  checkSettings(definition as unknown as TaskDefinition<Fields, Fields>);
  const self = ((inputs: Record<string, unknown> = {}, options: NodeOptions = {}) => {
    const builder = requireBuilder(titleOf(self as unknown as Task));
    const node = builder.add(
      { kind: 'task', task: self as unknown as Task },
      builder.bindAll(definition.inputs, inputs, definition.name ?? 'task'),
      definition.outputs,
      options,
    );
    return builder.handle(node);
  }) as unknown as Task<I, O>;
  Object.defineProperty(self, entityBrand, { value: definition });
  Object.defineProperty(self, 'local', {
    value: async (inputs: Record<string, unknown> = {}, options = {}) => {
      const { runTaskLocally } = await import('./local/run.js');
      return runTaskLocally(self as unknown as Task, inputs, options);
    },
  });
  return declare(self as unknown as Task) as unknown as Task<I, O>;
}

function checkSettings(definition: TaskDefinition<Fields, Fields>): void {
  const where = `Task ${definition.name ?? '(not named yet)'}`;
  if (definition.retries !== undefined && (!Number.isInteger(definition.retries) || definition.retries < 0))
    throw new DefinitionError(`${where}: retries must be a whole number from 0, but it is ${definition.retries}.`);
  if (definition.cache) {
    if (!definition.cache.version)
      throw new DefinitionError(`${where}: cache.version must not be empty; it is part of the key, e.g. '1'.`);
    for (const name of definition.cache.ignoredInputs ?? [])
      if (!(name in definition.inputs))
        throw new DefinitionError(
          `${where}: cache.ignoredInputs names '${name}', which is no input; the inputs are ${Object.keys(definition.inputs).join(', ') || 'none'}.`,
        );
    if (Object.keys(definition.outputs).length === 0)
      throw new DefinitionError(
        `${where}: a task without outputs cannot be cached (C-91); remove cache or add an output.`,
      );
  }
}
