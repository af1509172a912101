import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import type { CompiledGraph, GraphTemplate } from '../graph/graph.js';
import { fnv32, fnv64, uniqueNodeId } from '../names.js';
import type { NodeWork } from './node-work.js';
import { ScopeChanges } from './scope-changes.js';

export const ScopeStatus = {
  Running: 0,
  /** Something failed: no node starts any more; waits for what still runs (nothing, under FAIL_IMMEDIATELY). */
  Failing: 1,
  /** The failure node runs (C-62). */
  HandlingFailure: 2,
  Over: 3,
  /** What it is part of ends: no node starts any more; what was launched is told to end, and waited for. */
  Ending: 4,
} as const;
export type ScopeStatus = (typeof ScopeStatus)[keyof typeof ScopeStatus];

/** In larger workflows, ids that must be hashed are hashed to 64 bits: of 10,000 hashes of 32 bits, two are the same in 1 run of 100. */
const manyNodes = 1000;

/** One failed node of a scope; all are kept (C-61 Ours). */
export interface NodeFailure {
  nodeId: string;
  error: ExecutionError;
  timedOut: boolean;
}

/**
 * One instance of a graph: the run's root, one attempt of a sub-workflow node, or what one attempt of a dynamic task
 * generated. The arrays are indexed by the template's node numbers.
 */
export class Scope {
  readonly states: Uint8Array;
  /** Upstream nodes that aren't over. */
  readonly unmet: Int32Array;
  /** Readers of the node's outputs that haven't read them yet. */
  readonly readers: Int32Array;
  /** 1 where an upstream node failed or was skipped. */
  readonly blocked: Uint8Array;
  /** Only of nodes that somebody will still read. */
  readonly outputs = new Map<number, LiteralsValue>();
  /** Only nodes that are neither waiting nor over. */
  readonly active = new Map<number, NodeWork>();
  readonly failures: NodeFailure[] = [];
  /** See Behaviour.BoundedFailureList. */
  boundedFailures = false;
  /** See Behaviour.ReadsOffloaded. */
  readsOffloaded = false;
  changes: ScopeChanges | undefined;
  status: ScopeStatus = ScopeStatus.Running;
  inputs: LiteralsValue | undefined;

  constructor(
    readonly id: number,
    readonly graph: CompiledGraph,
    readonly template: GraphTemplate,
    /** The node under which it runs. */
    readonly parent: NodeWork | undefined,
    readonly parentAttempt: number,
    /** Nearest workflow's policy (C-12 Ours); what a dynamic task generated has its surrounding workflow's. */
    readonly failAfterExecutable: boolean,
    readonly dynamic: boolean,
  ) {
    this.states = new Uint8Array(template.count);
    this.unmet = template.unmet.slice();
    this.readers = template.readers.slice();
    this.blocked = new Uint8Array(template.count);
  }

  /** To be written to. */
  change(): ScopeChanges {
    return (this.changes ??= new ScopeChanges());
  }

  /** Unique id (C-161); a node inside a branch has the branch for its parent. */
  uniqueId(node: number): string {
    const branch = this.template.branchOf[node]!;
    const above = branch >= 0 ? this.uniqueId(branch) : this.parent?.id;
    const parent = above === undefined ? undefined : { nodeId: above, attempt: branch >= 0 ? 0 : this.parentAttempt };
    return uniqueNodeId(parent, this.template.ids[node]!, this.template.count > manyNodes ? fnv64 : fnv32);
  }

  /** Path of spec ids from the root, without attempts (C-84). */
  specPath(node: number): string {
    const branch = this.template.branchOf[node]!;
    const above = branch >= 0 ? this.specPath(branch) : this.parent?.scope.specPath(this.parent.node);
    return above === undefined ? this.template.ids[node]! : `${above}/${this.template.ids[node]}`;
  }
}
