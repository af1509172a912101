import type { AbortExecution, ControlNode, StartExecution, LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { WorkflowExecution_Phase, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import type { Effect, GraphLookup, RunObserver, StartChild } from '../api.js';
import type { CompiledGraph } from '../graph/graph.js';
import { Fifo } from './fifo.js';
import { WorkQueue } from './work-queue.js';
import type { NodeWork } from './node-work.js';
import type { Scope } from './scope.js';

/** What a request is for; with its node (and item) this says what to ask, so a restored run can ask again. */
export const Purpose = {
  Recover: 0,
  StoreInputs: 1,
  LoadInputs: 2,
  LookUpCache: 3,
  StoreInCache: 4,
  ResolveGraph: 5,
  StartChild: 6,
  StoreOutputs: 7,
  LookUpItem: 8,
  StoreItem: 9,
  StartItemChild: 10,
  StoreItemInputs: 11,
  /** The node is over; the child that may exist must be stopped (the answer says whether it does). */
  StopChild: 12,
  /** Outputs of a node that is over, which something reads again. */
  Recall: 40,
} as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

export interface PendingRequest {
  id: number;
  purpose: Purpose;
  /** Absent for StopChild and Recall. */
  work: NodeWork | undefined;
  item: number;
  /** StopChild only. */
  child?: StartChild;
  /** Recall only: whose outputs. */
  source?: { scope: Scope; node: number };
}

export const TimerPurpose = {
  Execution: 0,
  Active: 1,
  Wait: 2,
  ItemExecution: 3,
  ItemReservation: 4,
  ItemEvents: 5,
  /** The next attempt's time comes (C-36). */
  Backoff: 6,
  ItemBackoff: 7,
  /** The whole run's limit (C-54); belongs to no node. */
  Run: 8,
  /** An attempt waits for its backend (C-52). */
  Queue: 9,
  ItemQueue: 10,
  /** A backend had its time to say that an attempt is over; belongs to no node. */
  Abort: 11,
} as const;
export type TimerPurpose = (typeof TimerPurpose)[keyof typeof TimerPurpose];

export interface RunningTimer {
  id: number;
  purpose: TimerPurpose;
  /** Absent for Run and Abort. */
  work: NodeWork | undefined;
  item: number;
  at: Timestamp;
}

export interface Signal {
  revision: bigint;
  value: Literal | undefined;
  /** Set once a gate took it: later sets change nothing. */
  consumed: boolean;
  /** Gates that wait for it. */
  waiting: NodeWork[];
}

/** A control that puts nodes back to where they were, until nothing of those runs any more. */
export interface HeldControl {
  scope: Scope;
  node: number;
  command: ControlNode;
}

/** The whole state of one run, and the effects of the batch at hand. */
export class RunState {
  start: StartExecution | undefined;
  /** Of its first entry: see behaviours.ts. */
  behaviours = 0;
  id: WorkflowExecutionIdentifier = { project: '', domain: '', name: '', org: '' };
  phase: WorkflowExecution_Phase = WorkflowExecution_Phase.UNDEFINED;
  /** Log time of the entry being applied. */
  now: Timestamp = { seconds: 0n, nanos: 0 };
  sequence = 0;
  lastRequest = 0;
  lastTimer = 0;
  lastScope = -1;
  readonly graphs = new Map<string, CompiledGraph>();
  readonly scopes = new Map<number, Scope>();
  readonly requests = new Map<number, PendingRequest>();
  readonly timers = new Map<number, RunningTimer>();
  readonly signals = new Map<string, Signal>();
  /** Active nodes whose unique id isn't an id of the root graph. */
  readonly nested = new Map<string, NodeWork>();
  /** Ready nodes that wait for a permit, in the order in which they became ready (C-70). */
  readonly parked = new Fifo<NodeWork>();
  /** Those of them that weren't over before their turn came. */
  inLine = 0;
  permits = 0;
  /** Ids of the node controls that were decided upon: a repeat does nothing. */
  readonly controls = new Set<string>();
  outputs: LiteralsValue | undefined;
  error: ExecutionError | undefined;
  /** The run ends ABORTED as soon as nothing of it runs any more. */
  aborting: AbortExecution | undefined;
  /** Timer of the longest wait for a backend's word; 0 while none is waited for. */
  patience = 0;
  readonly held: HeldControl[] = [];

  /** Not part of the state. */
  observer: RunObserver | undefined;
  readonly work = new WorkQueue();
  effects: Effect[] = [];
  graphLookup: GraphLookup = (digest) => {
    throw new Error(`engine: graph ${digest} was asked for outside an input`);
  };

  get root(): Scope {
    return this.scopes.get(0) as Scope;
  }

  get settings() {
    const settings = this.start?.settings;
    if (!settings) throw new Error('engine: the run has no settings; its first entry must be `started`');
    return settings;
  }

  get isOver(): boolean {
    return (
      this.phase === WorkflowExecution_Phase.SUCCEEDED ||
      this.phase === WorkflowExecution_Phase.FAILED ||
      this.phase === WorkflowExecution_Phase.ABORTED ||
      this.phase === WorkflowExecution_Phase.TIMED_OUT
    );
  }

  /** The active node with this unique id. */
  find(nodeId: string): NodeWork | undefined {
    const node = this.scopes.get(0)?.template.indexOf(nodeId);
    return (node === undefined ? undefined : this.root.active.get(node)) ?? this.nested.get(nodeId);
  }
}
