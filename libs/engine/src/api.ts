import type { EngineInput, LogEntry } from '@aloft/idl/aloft/v1/engine';
import type {
  ExecutionEvent,
  ExecutionSettings,
  LiteralsValue,
  TaskAttempt,
  WaitReason,
} from '@aloft/idl/aloft/v1/bus';
import type { Duration } from '@aloft/idl/google/protobuf/duration';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import type { ExecutionError, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Identifier, WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import type { TaskNodeOverrides } from '@aloft/idl/flyteidl/core/workflow';
import type { Routed } from './routing/routed.js';

/**
 * What stands between the pure engine and the propeller's shell.
 *
 * The shell feeds inputs (already with their log time) to a {@link Run}, takes the effects of the batch, appends the inputs
 * to the log and hands the effects on: events, launches and aborts into the outbox of the same transaction, timers into
 * their table, requests performed by the shell after the commit (reads may start before it). A request's answer comes back as an
 * input. Everything unanswered is part of the state: {@link Run.outstanding} lists it again after recovery.
 */

/** A compiled closure as integers and arrays; immutable, shared by all runs of the same digest. */
export interface Graph {
  readonly digest: string;
  readonly closure: CompiledWorkflowClosure;
}

/** Looks a graph up by hex digest; the shell loads those that {@link RunStatics.graphsOf} names before it restores a run. */
export type GraphLookup = (digest: string) => Graph;

export interface Run {
  readonly id: WorkflowExecutionIdentifier;
  readonly uid: string;
  readonly phase: WorkflowExecution_Phase;
  /** Log time of the last entry that changed it, also after a restore: later entries may not be earlier. */
  readonly time: Timestamp;
  /** Terminal and nothing outstanding any more: the shell may write the history object and trim the log. */
  readonly finished: boolean;
  /**
   * Applies one input. Returns whether anything changed: an input that changed nothing isn't logged. `graphs` must know the
   * digest named by `started` and by `answered.graph` inputs. Costs the out-degree of the node concerned, whatever
   * the size of the graph. Throws only on a bug of the engine itself (the shell quarantines the run).
   */
  apply(entry: LogEntry, graphs: GraphLookup): boolean;
  /** The effects since the last call, in order. When it is called changes nothing in them, nor in the events' sequence. */
  takeEffects(): Effect[];
  /** Unanswered requests and running timers, for a run just restored. */
  outstanding(): Effect[];
  /** Why a node isn't running, from state (U-12). `nodeId` is the unique id; undefined if the run has no such node (yet). */
  explain(nodeId: string): NodeExplanation | undefined;
  /** What each active node does or waits for, those that wait in front. Walks the graph: for people who ask. */
  overview(limit: number): RunOverview;
  /** Compact, versioned. `restore(snapshot)` then the later log entries give the same run. */
  snapshot(): Uint8Array;
}

/** What a replay may want to see beyond a run's effects. It is told while an input is applied, and may not touch the run. */
export interface RunObserver {
  /** An array ended without success, or its attempt was stopped. */
  arrayLost(array: LostArray): void;
}

/** What a run that recovers this one takes from an array that didn't succeed (C-84). */
export interface LostArray {
  /** Unique id of its node. */
  nodeId: string;
  /** One bit an item, the lowest of a byte first; set where it succeeded. */
  succeeded: Uint8Array;
  /** Of every variable the list of all items' values, None where there is none. */
  outputs: Record<string, LiteralSource>;
  /** Last checkpoints of items that didn't succeed, and names of child executions of theirs that may exist; by index. */
  checkpoints: ReadonlyMap<number, string>;
  children: ReadonlyMap<number, string>;
}

export interface RunStatics {
  /** An empty run; its first entry is `started`. */
  create(observer?: RunObserver): Run;
  restore(snapshot: Uint8Array, graphs: GraphLookup, observer?: RunObserver): Run;
  /** Hex digests of the graphs that a snapshot needs. */
  graphsOf(snapshot: Uint8Array): string[];
  /** Hex digest of the graph that an input needs before it can be applied, if any. */
  graphOf(input: EngineInput): { digest: string; uri: string } | undefined;
}

export interface NodeExplanation {
  nodeId: string;
  /** Name of its state: Waiting, Parked, Launched, Running, … */
  state: string;
  /** Absent for nodes that run or are over; of kind NONE where it is a matter of milliseconds. */
  wait: WaitReason | undefined;
}

export interface RunOverview {
  /** At most as many as were asked for. */
  nodes: NodeExplanation[];
  inFlight: number;
  /** Nodes that wait for others. */
  dependent: number;
}

export type Effect =
  | EmitEvent
  | LaunchTaskEffect
  | AbortTaskEffect
  | SetTimer
  | CancelTimer
  | Request
  | AbortChildEffect
  | ReleaseReservation
  | RunEnded;

/** A fact for `executions.events`; sequence numbers are the engine's. */
export interface EmitEvent {
  kind: 'event';
  event: ExecutionEvent;
}

/** The shell fills the template's placeholders, resources and environment from `settings` and sends a LaunchTask. */
export interface LaunchTaskEffect {
  kind: 'launch';
  attempt: TaskAttempt;
  /** With the node's overrides (resources, container image, …) applied, placeholders not filled. */
  template: TaskTemplate;
  settings: ExecutionSettings;
  inputs: LiteralsValue;
  workflow: Identifier;
  /** Folder of the node's data, `…/<node>/data` without a slash at the end: inputs.pb lies in it. */
  dataPrefix: string;
  /** Where outputs.pb of this attempt belongs. */
  outputPrefix: string;
  prevCheckpointPrefix: string;
  interruptible: boolean;
  /** Limit of the attempt's run time (C-50). */
  executionTimeout: Duration | undefined;
  /** Times the memory that the template (or the platform's default) says, after attempts that ran out of it (C-36); 1 = as it says. */
  memoryFactor: number;
  /** Where it goes; absent in runs from before routing was recorded with them: as the shell thinks. */
  routed?: Routed | undefined;
  /** Set for items of an array: its number of items. */
  arraySize?: number;
  /** Set where it is launched ahead: jobs of the same backend that must have succeeded before it begins (S-5). */
  dependsOn?: readonly string[];
  /** Of a pod task: resources and image that the node says instead of its primary container's, which only the backend can apply. */
  overrides?: TaskNodeOverrides | undefined;
}

export interface AbortTaskEffect {
  kind: 'abort';
  attempt: TaskAttempt;
  /** Task type, for routing to the same backend as its launch where `routed` is absent. */
  taskType: string;
  /** As the launch's. */
  routed?: Routed | undefined;
  reason: string;
}

export interface SetTimer {
  kind: 'set-timer';
  timer: bigint;
  at: Timestamp;
}

export interface CancelTimer {
  kind: 'cancel-timer';
  timer: bigint;
}

/** What the engine waits for an answer to. Performing it twice is harmless. */
export interface Request {
  kind: 'request';
  request: bigint;
  ask:
    | LookUpCache
    | StoreInCache
    | ResolveGraph
    | LoadLiterals
    | StoreLiterals
    | StartChild
    | LookUpRecovered
    | RecallOutputs;
}

interface Cacheable {
  template: TaskTemplate;
  inputs: LiteralsValue;
  settings: ExecutionSettings;
  /** Owner of the reservation, or provenance of the artifact. */
  attempt: TaskAttempt;
}

/** Look-up of one task's (or array item's) result; with `reserve`, a miss also takes the reservation (C-95). */
export interface LookUpCache extends Cacheable {
  kind: 'cache-lookup';
  reserve: boolean;
}

export interface StoreInCache extends Cacheable {
  kind: 'cache-store';
  outputs: LiteralsValue;
  /** Replaces what is there (C-94). */
  overwrite: boolean;
}

/** Decode and compile a dynamic task's futures, store the closure by digest (bad graph: error, kind USER, C-152). */
export interface ResolveGraph {
  kind: 'resolve-graph';
  futuresUri: string;
  /** Id and interface that the generated workflow stands for. */
  template: TaskTemplate;
  storeUnder: string;
}

/** Read stored literals because the engine must look into them (branch condition, attribute path, array length). */
export interface LoadLiterals {
  kind: 'load';
  uri: string;
  /** Only these variables; all when absent. */
  variables?: string[];
  /**
   * The engine only wants to know which variables are collections, and how long: answer with `LiteralsLoaded.lengths` instead of the
   * literals (also of offloaded ones, C-105), so that a list of a million items doesn't enter the log. (Answering with the literals is right, too.)
   */
  lengthsOnly?: boolean;
}

/** Where one variable of a composed map comes from. */
export type LiteralSource =
  | { literal: Literal }
  /**
   * A variable of a stored map, then keys and indexes into it (C-103), cast to `type`. Where the map lacks the variable and `type`
   * accepts None, it is None; else the request fails with BindingResolutionFailure.
   */
  | { uri: string; variable: string; path: (string | number)[]; type: LiteralType | undefined }
  /** As the last, of an offloaded literal (C-105): at `offloaded` lies an encoded `flyteidl.core.Literal`. */
  | { offloaded: string; path: (string | number)[]; type: LiteralType | undefined }
  | { collection: LiteralSource[] }
  | { map: Record<string, LiteralSource> }
  /** An encoded `flyteidl.core.Literal`: the collected outputs of an array, which nobody should decode for this. */
  | { encoded: Uint8Array };

/** Write literals that are too large for a message, composed of parts that may themselves be stored. */
export interface StoreLiterals {
  kind: 'store';
  uri: string;
  variables: Record<string, LiteralSource>;
  /** Of outputs that may be offloaded where they are large and the platform says so (C-105): their types. */
  offload?: Record<string, LiteralType>;
}

export interface StartChild {
  kind: 'start-child';
  /** Derived (C-163): asking twice yields one child. */
  name: string;
  launchPlan: Identifier;
  inputs: LiteralsValue;
  settings: ExecutionSettings;
  nodeId: string;
  attempt: number;
  /** Name of the child that this one recovers, if that one can be (C-84, Q-19). */
  recover?: string;
}

/** What the run being recovered has of this node, keyed by its spec path. */
export interface LookUpRecovered {
  kind: 'recovered-node';
  recoverFromUid: string;
  recoverFrom: WorkflowExecutionIdentifier;
  specPath: string;
}

/** What a node of this very run gave when it last succeeded, from its own log: outputs that nobody was to read again are forgotten. */
export interface RecallOutputs {
  kind: 'recall-outputs';
  nodeId: string;
}

/** Not answered: the child's end arrives as `child_ended` all the same. */
export interface AbortChildEffect {
  kind: 'abort-child';
  child: WorkflowExecutionIdentifier;
  cause: string;
}

export interface ReleaseReservation extends Cacheable {
  kind: 'release-reservation';
}

/** The run's end, last effect but for late clean-up. The shell tells the parent, if there is one. */
export interface RunEnded {
  kind: 'ended';
  phase: WorkflowExecution_Phase;
  outputs: LiteralsValue | undefined;
  error: ExecutionError | undefined;
}

export type { LiteralMap };
