import type { AnyType, Fields } from '../types/data-type.js';
import type { DurationText } from '../types/durations.js';
import type { Condition } from './conditions.js';
import type { PromiseReference } from './promise.js';
import type { Entity, LaunchPlan, Task, Workflow } from '../entities.js';

/** CPU in cores ('500m', 2), memory and storage in Kubernetes quantities ('512Mi'), whole GPUs. */
export interface ResourceAmounts {
  cpu?: string | number;
  memory?: string;
  gpu?: string | number;
  ephemeralStorage?: string;
}

/** What a task asks for, and the most it may take (default: what it asks for). */
export interface Resources extends ResourceAmounts {
  limits?: ResourceAmounts;
}

export interface CacheOptions {
  /** Change it when the result would change: it is part of the key, the code is not (C-91). */
  version: string;
  /** Runs with equal inputs wait for the first instead of computing it twice (C-95). */
  serialize?: boolean;
  /** Inputs that do not belong to the key. */
  ignoredInputs?: readonly string[];
}

/** What one node of a workflow does differently from its task's own settings. */
export interface NodeOptions {
  /** Node id instead of the next of n0, n1, … (C-160). */
  nodeId?: string;
  /** Name for people. */
  name?: string;
  /** Nodes that must have ended before, though nothing flows from them. */
  after?: readonly object[];
  retries?: number;
  timeout?: DurationText;
  interruptible?: boolean;
  resources?: Resources;
  image?: string;
  cache?: Partial<CacheOptions> | false;
}

export type Binding =
  | { readonly kind: 'promise'; readonly promise: PromiseReference; readonly expected: AnyType }
  | { readonly kind: 'value'; readonly value: unknown; readonly expected: AnyType }
  | { readonly kind: 'list'; readonly items: readonly Binding[] }
  | { readonly kind: 'map'; readonly entries: Readonly<Record<string, Binding>> };

export type Target =
  | { readonly kind: 'task'; readonly task: Task<Fields, Fields> }
  | { readonly kind: 'workflow'; readonly workflow: Workflow<Fields, Fields> }
  | { readonly kind: 'launchPlan'; readonly launchPlan: LaunchPlan<Fields, Fields> }
  | {
      readonly kind: 'map';
      readonly task: Task<Fields, Fields>;
      /** Inputs that go whole to each item. */
      readonly bound: readonly string[];
      readonly concurrency?: number;
      readonly minSuccesses?: number;
      readonly minSuccessRatio?: number;
    }
  | {
      readonly kind: 'branch';
      readonly cases: readonly { readonly condition: Condition; readonly node: Node }[];
      readonly otherwise: { readonly node: Node } | { readonly error: string };
    }
  | { readonly kind: 'approve'; readonly signal: string }
  | { readonly kind: 'signal'; readonly signal: string; readonly type: AnyType }
  | { readonly kind: 'sleep'; readonly milliseconds: number };

/** One node of a workflow's graph. */
export interface Node {
  readonly id: string;
  readonly target: Target;
  readonly inputs: Readonly<Record<string, Binding>>;
  readonly outputs: Fields;
  readonly options: NodeOptions;
  /** Ids of nodes it waits for beyond those that its inputs name. */
  readonly after: readonly string[];
}

export interface Graph {
  readonly nodes: readonly Node[];
  readonly outputs: Readonly<Record<string, Binding>>;
  readonly failureNode?: Node;
}

/** Node ids that a binding takes values from; a workflow's own inputs have none. */
export function sourcesOf(binding: Binding): string[] {
  switch (binding.kind) {
    case 'promise':
      return binding.promise.nodeId === '' ? [] : [binding.promise.nodeId];
    case 'value':
      return [];
    case 'list':
      return binding.items.flatMap(sourcesOf);
    case 'map':
      return Object.values(binding.entries).flatMap(sourcesOf);
  }
}

/** Every node of a graph, cases of branches included. */
export function allNodes(nodes: readonly Node[]): Node[] {
  return nodes.flatMap((node) =>
    node.target.kind === 'branch'
      ? [
          node,
          ...allNodes(node.target.cases.map((branch) => branch.node)),
          ...('node' in node.target.otherwise ? allNodes([node.target.otherwise.node]) : []),
        ]
      : [node],
  );
}

/** Tasks, workflows and launch plans that a graph refers to. */
export function entitiesOf(graph: Graph): Entity[] {
  return allNodes([...graph.nodes, ...(graph.failureNode ? [graph.failureNode] : [])]).flatMap((node): Entity[] => {
    switch (node.target.kind) {
      case 'task':
      case 'map':
        return [node.target.task];
      case 'workflow':
        return [node.target.workflow];
      case 'launchPlan':
        return [node.target.launchPlan];
      default:
        return [];
    }
  });
}
