import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve as resolvePath } from 'node:path';
import { resolveAttributePath } from '@aloft/literals';
import { Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { DeckPage, type TaskContext } from '../context.js';
import { DefinitionError, RecoverableError } from '../errors.js';
import { entityBrand, type LocalNodeEvent, type LocalOptions, type Task, type Workflow } from '../entities.js';
import {
  itemCount,
  itemInputs,
  readValues,
  runTask,
  writeValues,
  type Literals,
  type TaskResult,
} from '../execution/run-task.js';
import { sourcesOf, type Binding, type Graph, type Node } from '../graph/node.js';
import { operandsOf } from '../graph/conditions.js';
import { describe, type PromiseReference } from '../graph/promise.js';
import { titleOf } from '../registry.js';
import { noneLiteral, type AnyType } from '../types/data-type.js';
import { evaluate } from './conditions.js';
import { LocalFiles } from './files.js';
import { Limit } from './limit.js';
import { secretVariable } from './secrets.js';

/** Runs one task here; values pass through their wire form, as on the platform. */
export async function runTaskLocally(
  task: Task,
  inputs: Record<string, unknown>,
  options: LocalOptions,
): Promise<never> {
  const run = await LocalRun.create(options);
  const literals = await writeValues(task[entityBrand].inputs, inputs, run.files, `${titleOf(task)}: input`);
  const outputs = await run.task(task, literals, { path: 'task' });
  return readValues(task[entityBrand].outputs, outputs, run.files, `${titleOf(task)}: output`) as never;
}

/** Runs a workflow's graph here: every node as soon as what it needs is there. */
export async function runWorkflowLocally(
  workflow: Workflow,
  inputs: Record<string, unknown>,
  options: LocalOptions,
): Promise<never> {
  const run = await LocalRun.create(options);
  const { inputs: inputTypes, outputs: outputTypes } = workflow[entityBrand];
  const literals = await writeValues(inputTypes, inputs, run.files, `${titleOf(workflow)}: input`);
  const outputs = await run.workflow(workflow, literals, '');
  return readValues(outputTypes, outputs, run.files, `${titleOf(workflow)}: output`) as never;
}

interface Place {
  /** Node ids from the top. */
  path: string;
  node?: Node;
  index?: number;
  bound?: readonly string[];
}

class LocalRun {
  readonly files: LocalFiles;
  readonly #limit: Limit;
  readonly #checkpoints = new Map<string, Uint8Array>();
  readonly #abort = new AbortController();

  private constructor(
    readonly folder: string,
    private readonly options: LocalOptions,
  ) {
    this.files = new LocalFiles(folder);
    this.#limit = new Limit(options.concurrency ?? 4);
  }

  static async create(options: LocalOptions): Promise<LocalRun> {
    const folder = options.folder ? resolvePath(options.folder) : await mkdtemp(join(tmpdir(), 'aloft-local-'));
    await mkdir(folder, { recursive: true });
    return new LocalRun(folder, options);
  }

  async workflow(workflow: Workflow, inputs: Literals, path: string): Promise<Literals> {
    const graph = workflow[entityBrand].graph();
    try {
      return await this.graph(graph, inputs, path);
    } catch (thrown) {
      if (graph.failureNode) {
        const message = thrown instanceof Error ? thrown.message : String(thrown);
        await this.graph({ nodes: [graph.failureNode], outputs: {} }, inputs, path, { message, path });
      }
      throw thrown;
    }
  }

  async graph(
    graph: Graph,
    inputs: Literals,
    path: string,
    failure?: { message: string; path: string },
  ): Promise<Literals> {
    const done = new Map<string, Promise<Literals>>();
    const byId = new Map<string, Node>();
    const add = (node: Node): void => {
      byId.set(node.id, node);
    };
    graph.nodes.forEach(add);

    const outputsOf = (id: string): Promise<Literals> => {
      const running = done.get(id);
      if (running) return running;
      const node = byId.get(id);
      if (!node) return Promise.reject(new DefinitionError(`Node ${id} is not part of the workflow.`));
      const started = runNode(node);
      done.set(id, started);
      return started;
    };

    const literalOf = async (promise: PromiseReference, expected: AnyType): Promise<Literal> => {
      const from = promise.nodeId === '' ? inputs : await outputsOf(promise.nodeId);
      const literal = from[promise.output] ?? (expected.isOmittable ? noneLiteral() : undefined);
      if (!literal) throw new DefinitionError(`${describe(promise)} has no value.`);
      return promise.path.length > 0 ? resolveAttributePath(literal, promise.path, expected.literalType) : literal;
    };

    const resolveBinding = async (binding: Binding, where: string): Promise<Literal> => {
      switch (binding.kind) {
        case 'promise':
          return literalOf(binding.promise, binding.expected);
        case 'value':
          return binding.expected.toLiteral(binding.value, this.files, where);
        case 'list':
          return Literal.fromPartial({
            value: {
              $case: 'collection',
              value: {
                literals: await Promise.all(binding.items.map((item, i) => resolveBinding(item, `${where}[${i}]`))),
              },
            },
          });
        case 'map': {
          const entries = await Promise.all(
            Object.entries(binding.entries).map(
              async ([key, item]) => [key, await resolveBinding(item, `${where}.${key}`)] as const,
            ),
          );
          return Literal.fromPartial({ value: { $case: 'map', value: { literals: Object.fromEntries(entries) } } });
        }
      }
    };

    const resolveAll = async (bindings: Readonly<Record<string, Binding>>, where: string): Promise<Literals> => {
      const entries = await Promise.all(
        Object.entries(bindings).map(
          async ([name, binding]) => [name, await resolveBinding(binding, `${where}.${name}`)] as const,
        ),
      );
      return Object.fromEntries(entries);
    };

    const runNode = async (node: Node): Promise<Literals> => {
      const at = path ? `${path}/${node.id}` : node.id;
      const { target } = node;
      const upstream = [...new Set([...Object.values(node.inputs).flatMap(sourcesOf), ...node.after])];
      await Promise.all(upstream.map(outputsOf));
      if (target.kind === 'branch') {
        for (const promise of target.cases.flatMap((branch) => operandsOf(branch.condition)))
          if (promise.nodeId !== '') await outputsOf(promise.nodeId);
        for (const branch of target.cases)
          if (await evaluate(branch.condition, (promise) => literalOf(promise, promise.type))) {
            return this.chosen(node, branch.node, runNode, at);
          }
        if ('error' in target.otherwise) throw new Error(`${at}: ${target.otherwise.error}`);
        return this.chosen(node, target.otherwise.node, runNode, at);
      }
      const literals = await resolveAll(node.inputs, at);
      if (failure && 'err' in node.inputs) literals['err'] = errorLiteral(failure.message, failure.path);
      return this.node(node, literals, at);
    };

    const all = graph.nodes.map((node) => outputsOf(node.id));
    await Promise.all(all);
    return resolveAll(graph.outputs, path || 'outputs');
  }

  private async chosen(
    branch: Node,
    chosen: Node,
    runNode: (node: Node) => Promise<Literals>,
    at: string,
  ): Promise<Literals> {
    const parent = at.includes('/') ? at.slice(0, at.lastIndexOf('/') + 1) : '';
    if (branch.target.kind === 'branch') {
      const nodes = [
        ...branch.target.cases.map((option) => option.node),
        ...('node' in branch.target.otherwise ? [branch.target.otherwise.node] : []),
      ];
      for (const node of nodes)
        if (node !== chosen)
          this.tell({ node: parent + node.id, entity: entityOf(node), outcome: 'skipped', duration: 0 });
    }
    const outputs = await runNode(chosen);
    return Object.fromEntries(Object.keys(branch.outputs).map((name) => [name, outputs[name]!]));
  }

  private async node(node: Node, inputs: Literals, at: string): Promise<Literals> {
    const { target } = node;
    switch (target.kind) {
      case 'task':
        return this.task(target.task, inputs, { path: at, node });
      case 'map':
        return this.map(node, target, inputs, at);
      case 'workflow':
        return this.workflow(target.workflow, inputs, at);
      case 'launchPlan': {
        const definition = target.launchPlan[entityBrand];
        if (!definition.workflow)
          throw new DefinitionError(`${titleOf(target.launchPlan)} is registered elsewhere; it cannot run here.`);
        const types = definition.workflow[entityBrand].inputs;
        const fixed = Object.fromEntries(
          await Promise.all(
            Object.entries(definition.fixed).map(
              async ([name, value]) => [name, await types[name]!.toLiteral(value, this.files, name)] as const,
            ),
          ),
        );
        return this.workflow(definition.workflow, { ...inputs, ...fixed }, at);
      }
      case 'approve': {
        if (this.signal(target.signal, at) !== true)
          throw new Error(`ReceivedRejectSignal: ${at} '${target.signal}' was not approved.`);
        return inputs;
      }
      case 'signal':
        return {
          value: await target.type.toLiteral(this.signal(target.signal, at), this.files, `signal ${target.signal}`),
        };
      case 'sleep':
      case 'branch':
        return {};
    }
  }

  private signal(name: string, at: string): unknown {
    const signals = this.options.signals ?? {};
    if (!(name in signals))
      throw new DefinitionError(
        `${at} waits for the signal '${name}': give it in .local(inputs, { signals: { '${name}': … } }).`,
      );
    return signals[name];
  }

  private async map(
    node: Node,
    target: Extract<Node['target'], { kind: 'map' }>,
    inputs: Literals,
    at: string,
  ): Promise<Literals> {
    const count = itemCount(inputs, target.bound);
    const limit = new Limit(target.concurrency || Number.POSITIVE_INFINITY);
    const results = await Promise.allSettled(
      Array.from({ length: count }, (_, index) =>
        limit.run(() =>
          this.task(target.task, itemInputs(inputs, target.bound, index), {
            path: `${at}[${index}]`,
            node,
            index,
            bound: target.bound,
          }),
        ),
      ),
    );
    const succeeded = results.filter((result) => result.status === 'fulfilled').length;
    const goal = target.minSuccesses ?? Math.ceil((target.minSuccessRatio ?? 1) * count);
    if (succeeded < Math.min(goal, count))
      throw (results.find((result) => result.status === 'rejected') as PromiseRejectedResult).reason;
    return Object.fromEntries(
      Object.keys(node.outputs).map((name) => [
        name,
        Literal.fromPartial({
          value: {
            $case: 'collection',
            value: {
              literals: results.map((result) => (result.status === 'fulfilled' ? result.value[name]! : noneLiteral())),
            },
          },
        }),
      ]),
    );
  }

  /** One task with its cache and its retries. */
  async task(task: Task, inputs: Literals, place: Place): Promise<Literals> {
    const definition = task[entityBrand];
    const override = place.node?.options;
    const cache =
      override?.cache === false
        ? undefined
        : override?.cache
          ? { ...definition.cache, ...override.cache }
          : definition.cache;
    const key =
      cache && this.options.cache ? cacheKey(task, cache.version ?? '', inputs, cache.ignoredInputs ?? []) : undefined;
    const hit = key === undefined ? undefined : this.options.cache!.get(key);
    const started = performance.now();
    const tell = (outcome: LocalNodeEvent['outcome'], error?: Error): void =>
      this.tell({ node: place.path, entity: titleOf(task), outcome, duration: performance.now() - started, error });
    if (hit) {
      tell('cached');
      return LiteralMap.decode(hit).literals;
    }
    const attempts = (override?.retries ?? definition.retries ?? 0) + 1;
    for (let attempt = 0; ; attempt++) {
      try {
        const result = await this.#limit.run(() => this.attempt(task, inputs, place, attempt));
        // The nodes of a dynamic task take slots of their own, so its own is free by then.
        const outputs = 'outputs' in result ? result.outputs : await this.graph(result.graph, {}, place.path);
        if (key !== undefined) this.options.cache!.set(key, LiteralMap.encode({ literals: outputs }).finish());
        tell('succeeded');
        return outputs;
      } catch (thrown) {
        const error = thrown instanceof Error ? thrown : new Error(String(thrown));
        if (error instanceof RecoverableError && attempt + 1 < attempts) continue;
        tell('failed', error);
        throw error;
      }
    }
  }

  private async attempt(task: Task, inputs: Literals, place: Place, attempt: number): Promise<TaskResult> {
    const folder = await mkdtemp(join(this.folder, 'attempt-'));
    const deck = new DeckPage();
    const context: TaskContext = {
      execution: { project: 'local', domain: 'local', name: 'local' },
      attempt,
      index: place.index,
      file: (name) => join(folder, name),
      deck,
      checkpoint: {
        previous: () => Promise.resolve(this.#checkpoints.get(place.path)),
        save: (data) => {
          this.#checkpoints.set(place.path, data);
          return Promise.resolve();
        },
      },
      secret: (key, group = '') => {
        const value = process.env[secretVariable(key, group)];
        return value === undefined
          ? Promise.reject(
              new Error(`Secret ${key} is not set: a local run reads it from ${secretVariable(key, group)}.`),
            )
          : Promise.resolve(value);
      },
      signal: this.#abort.signal,
    };
    const result = await runTask(task, inputs, this.files, context);
    if (!deck.isEmpty)
      await writeFile(join(this.folder, `deck-${place.path.replaceAll(/[^\w.-]+/g, '-')}.html`), deck.render());
    return result;
  }

  private tell(event: LocalNodeEvent): void {
    this.options.onNode?.(event);
  }
}

const entityOf = (node: Node): string =>
  node.target.kind === 'task' || node.target.kind === 'map'
    ? titleOf(node.target.task)
    : node.target.kind === 'workflow'
      ? titleOf(node.target.workflow)
      : node.target.kind;

function cacheKey(task: Task, version: string, inputs: Literals, ignored: readonly string[]): string {
  const hash = createHash('sha256').update(`${titleOf(task)}\0${version}`);
  for (const name of Object.keys(inputs).sort())
    if (!ignored.includes(name)) hash.update(`\0${name}\0`).update(Literal.encode(inputs[name]!).finish());
  return hash.digest('hex');
}

function errorLiteral(message: string, failedNodeId: string): Literal {
  return Literal.fromPartial({
    value: { $case: 'scalar', value: { value: { $case: 'error', value: { message, failedNodeId } } } },
  });
}
