import type { Graph } from '../api.js';
import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { BooleanExpression } from '@aloft/idl/flyteidl/core/condition';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { Error as UserError, LiteralType } from '@aloft/idl/flyteidl/core/types';
import type { Alias, Node, WorkflowTemplate } from '@aloft/idl/flyteidl/core/workflow';

export const Kind = {
  Start: 0,
  End: 1,
  Task: 2,
  SubWorkflow: 3,
  ChildExecution: 4,
  Branch: 5,
  Gate: 6,
  Array: 7,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export const START = 0;
export const END = 1;
export const START_NODE_ID = 'start-node';
export const END_NODE_ID = 'end-node';

/** Cases of a branch in order; the else case has no condition. */
export interface BranchCases {
  conditions: (BooleanExpression | undefined)[];
  nodes: number[];
  elseFail: UserError | undefined;
}

/**
 * One workflow of a closure: the root, a sub-workflow or what a dynamic task generated. Nodes are integers: 0 the start node,
 * 1 the end node, then the workflow's own, then those inside branches, last the failure node. All arrays are indexed
 * by node; edges are in compressed rows: those of node `n` are `down[firstDown[n] … firstDown[n + 1])`.
 */
export interface GraphTemplate {
  readonly index: number;
  /** Without its nodes where the graph was read from its compact form. */
  readonly workflow: WorkflowTemplate;
  readonly count: number;
  readonly ids: readonly string[];
  /** What people call each (its metadata's name); '' without one. */
  readonly names: readonly string[];
  readonly kinds: Uint8Array;
  /** Task: index into {@link CompiledGraph.tasks}; sub-workflow: into templates; array: its items' task; else -1. */
  readonly targets: Int32Array;
  readonly firstDown: Int32Array;
  readonly down: Int32Array;
  /** Edges into the node: what must be over before it starts. */
  readonly unmet: Int32Array;
  /** Nodes whose outputs this node's bindings read, each once, in compressed rows. */
  readonly firstSource: Int32Array;
  readonly sources: Int32Array;
  /** How many nodes read this node's outputs; they are forgotten when all have. */
  readonly readers: Int32Array;
  /** The branch that a node inside one belongs to; -1 for others. */
  readonly branchOf: Int32Array;
  readonly branches: ReadonlyMap<number, BranchCases>;
  /** Other names of outputs, of the few nodes that have them. */
  readonly aliases: ReadonlyMap<number, readonly Alias[]>;
  /** -1 without one. */
  readonly failureNode: number;
  /** A node as its workflow says it. From the compact form it is decoded anew now and then: not to be compared by identity. */
  spec(node: number): Node;
  /** Nodes that can be named by a promise: all but those inside branches and the failure node. */
  indexOf(id: string): number | undefined;
}

export interface CompiledGraph extends Graph {
  readonly digest: string;
  readonly closure: CompiledWorkflowClosure;
  /** The root first. */
  readonly templates: readonly GraphTemplate[];
  readonly tasks: readonly TaskTemplate[];
}

/** Declared types of a node's inputs; undefined where the closure doesn't say (child executions of another project). */
export type TypesOf = (variable: string) => LiteralType | undefined;
