import { explainMismatch } from '@aloft/literals';
import { DefinitionError, TypeMismatchError } from '../errors.js';
import { show, type AnyType, type Fields } from '../types/data-type.js';
import { isPlainObject } from '../types/containers.js';
import { describe, makePromise, promiseReference, type PromiseReference } from './promise.js';
import type { Binding, Node, NodeOptions, Target } from './node.js';

const nodeOf = Symbol.for('aloft.sdk.node');

/** Collects the nodes of one workflow body while it runs; calls of tasks find it through `currentBuilder`. */
export class GraphBuilder {
  readonly nodes: Node[] = [];
  #next = 0;
  readonly #ids = new Set<string>();

  constructor(
    readonly title: string,
    private readonly prefix = 'n',
    /** Branch cases share ids and scope with the body around them. */
    private readonly parent?: GraphBuilder,
  ) {}

  get scope(): GraphBuilder {
    return this.parent?.scope ?? this;
  }

  newId(wanted?: string): string {
    if (this.parent) return this.parent.newId(wanted);
    if (wanted !== undefined && !/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(wanted))
      throw new DefinitionError(
        `${this.title}: node id '${wanted}' must be lower-case letters, digits and dashes, e.g. 'train-model'.`,
      );
    const id = wanted ?? `${this.prefix}${this.#next++}`;
    if (this.#ids.has(id)) throw new DefinitionError(`${this.title}: two nodes have the id '${id}'; ids must differ.`);
    this.#ids.add(id);
    return id;
  }

  add(target: Target, inputs: Record<string, Binding>, outputs: Fields, options: NodeOptions): Node {
    const node: Node = { id: this.newId(options.nodeId), target, inputs, outputs, options, after: this.after(options) };
    this.nodes.push(node);
    return node;
  }

  after(options: NodeOptions): string[] {
    return (options.after ?? []).map((upstream, index) => {
      const node = nodeOfHandle(upstream);
      const id = node?.id ?? promiseReference(upstream)?.nodeId;
      if (id === undefined || id === '')
        throw new DefinitionError(`${this.title}: after[${index}] must be what calling a task or workflow returned.`);
      return id;
    });
  }

  /** Binds what an author gave for inputs; names and types are checked here for those who write plain JavaScript. */
  bindAll(fields: Fields, given: Readonly<Record<string, unknown>>, of: string): Record<string, Binding> {
    for (const name of Object.keys(given))
      if (!(name in fields))
        throw new TypeMismatchError(
          `${this.title}: ${of} has no input '${name}'; it has ${Object.keys(fields).join(', ') || 'none'}.`,
        );
    return Object.fromEntries(
      Object.entries(fields).map(([name, type]) => [name, this.bind(type, given[name], `${of}.${name}`)]),
    );
  }

  bind(type: AnyType, given: unknown, path: string): Binding {
    const promise = promiseReference(given);
    if (promise) return this.connect(type, promise, path);
    if (given === undefined) {
      if (type.defaultValue) return { kind: 'value', value: type.defaultValue.value, expected: type };
      if (type.isOmittable) return { kind: 'value', value: null, expected: type };
      throw new TypeMismatchError(`${this.title}: ${path} (${type.label}) is missing and has no default.`);
    }
    const element = type.spec.element;
    if (type.spec.container === 'list' && element && Array.isArray(given) && given.some(containsPromise))
      return { kind: 'list', items: given.map((item, index) => this.bind(element, item, `${path}[${index}]`)) };
    if (type.spec.container === 'map' && element && isPlainObject(given) && Object.values(given).some(containsPromise))
      return {
        kind: 'map',
        entries: Object.fromEntries(
          Object.entries(given).map(([key, item]) => [key, this.bind(element, item, `${path}.${key}`)]),
        ),
      };
    if (nodeOfHandle(given)) {
      const outputs = Object.keys(nodeOfHandle(given)!.outputs);
      throw new TypeMismatchError(
        `${this.title}: ${path} must be one value, but got all outputs of a node; take one of them: ${outputs.map((name) => `.${name}`).join(', ')}.`,
      );
    }
    if (containsPromise(given))
      throw new TypeMismatchError(
        `${this.title}: ${path} is ${type.label} and has a promise inside, which only lists and maps may; make the value in a task.`,
      );
    return { kind: 'value', value: type.spec.check(given, `${this.title}: ${path}`), expected: type };
  }

  private connect(type: AnyType, promise: PromiseReference, path: string): Binding {
    if (promise.scope !== this.scope)
      throw new DefinitionError(
        `${this.title}: ${path} takes ${describe(promise)} of another workflow; pass it in as an input of this one.`,
      );
    const reason = explainMismatch(promise.type.literalType, type.literalType);
    if (reason !== undefined)
      throw new TypeMismatchError(
        `${this.title}: ${path} must be ${type.label}, but ${describe(promise)} is ${promise.type.label}${reason ? ` (${reason})` : ''}.`,
      );
    return { kind: 'promise', promise, expected: type };
  }

  /** What authors see of a node: its outputs as promises. */
  handle(node: Node): object {
    const handle: Record<string | symbol, unknown> = {};
    for (const [name, type] of Object.entries(node.outputs))
      handle[name] = makePromise({ nodeId: node.id, output: name, path: [], type, scope: this.scope });
    Object.defineProperty(handle, nodeOf, { value: node });
    return handle;
  }
}

function containsPromise(value: unknown): boolean {
  if (promiseReference(value)) return true;
  if (Array.isArray(value)) return value.some(containsPromise);
  return isPlainObject(value) && !nodeOfHandle(value) && Object.values(value).some(containsPromise);
}

export function nodeOfHandle(value: unknown): Node | undefined {
  return typeof value === 'object' && value !== null ? (value as { [nodeOf]?: Node })[nodeOf] : undefined;
}

let current: GraphBuilder | undefined;

/** The body being built; `undefined` outside of workflows. */
export const currentBuilder = (): GraphBuilder | undefined => current;

export function requireBuilder(what: string): GraphBuilder {
  if (!current)
    throw new DefinitionError(
      `${what} was called outside of a workflow's body, where it becomes a node. To run it here, use its .local(inputs).`,
    );
  return current;
}

/** Runs a workflow body, which must be synchronous: it describes a graph, it does not compute. */
export function buildWith<R>(builder: GraphBuilder, body: () => R): R {
  const previous = current;
  current = builder;
  try {
    return body();
  } finally {
    current = previous;
  }
}

export function requireObject(value: unknown, title: string, expected: string): Record<string, unknown> {
  if (value instanceof Promise)
    throw new DefinitionError(`${title}: the body must not be async; it describes a graph, tasks do the work.`);
  if (typeof value !== 'object' || value === null)
    throw new TypeMismatchError(`${title} must return ${expected}, but it returned ${show(value)}.`);
  return value as Record<string, unknown>;
}
