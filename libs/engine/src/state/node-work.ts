import type { LiteralsValue, TaskReport, WaitReason } from '@aloft/idl/aloft/v1/bus';
import type { RecoveredNode } from '@aloft/idl/aloft/v1/engine';
import { CatalogCacheStatus, type CatalogMetadata } from '@aloft/idl/flyteidl/core/catalog';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { nodeDataPrefix } from '../names.js';
import type { ArrayItems } from './array-items.js';
import type { Ending } from './ending.js';
import type { Scope } from './scope.js';

/** What the engine keeps of a node between its start and its end. */
export class NodeWork {
  readonly id: string;
  attempt = 0;
  /** Attempts lost to the system: they don't count against the user's budget (C-30). */
  systemFailures = 0;
  /** Attempts that ran out of memory: the next ones get more, if the policy says so (C-36). */
  outOfMemory = 0;
  /** Attempts that people replaced: they count against no budget. */
  replaced = 0;
  inputs: LiteralsValue | undefined;
  /** Between the work's end and the node's (storing, catalog). */
  outputs: LiteralsValue | undefined;
  queuedAt: Timestamp | undefined;
  /** Since when it is in its state (U-12). */
  since: Timestamp;
  /** Holds one of the run's `max_parallelism` permits. */
  permit = false;
  /** It is in the run's queue for a permit. */
  inLine = false;
  /** The node's RUNNING event is out. */
  announced = false;
  /** The request that it waits for; 0 without one. */
  request = 0;
  executionTimer = 0;
  activeTimer = 0;
  /** Sleep, the next look at a reservation, the next attempt's time, or the limit of waiting for a backend. */
  waitTimer = 0;
  taskPhase: TaskExecution_Phase = TaskExecution_Phase.UNDEFINED;
  phaseVersion = 0;
  /** What its backend calls the attempt's job, where other jobs may depend on it (S-5). */
  job = '';
  /** The attempt was launched before all upstream nodes were over. */
  launchedAhead = false;
  /** Of an attempt launched ahead: the last that its backend said, which counts once all upstream nodes have succeeded. */
  held: TaskReport | undefined;
  cacheStatus: CatalogCacheStatus = CatalogCacheStatus.CACHE_DISABLED;
  /** The catalog was asked (or needn't be): the next step is the launch. */
  lookedUp = false;
  cacheMetadata: CatalogMetadata | undefined;
  /** The attempt that took the cache reservation (C-95); -1 without one. */
  reservedBy = -1;
  reservationHolder = '';
  /** What events said last that it waits for; undefined when it doesn't (U-12). */
  waiting: WaitReason | undefined;
  deckUri = '';
  checkpointUri = '';
  /** Number of the scope under it; -1 without one. */
  childScope = -1;
  /** Where what a dynamic task generated lies, as it wrote it and compiled. */
  futuresUri = '';
  /** Literals read for a branch, until it has chosen. */
  loaded: Record<string, Literal> | undefined;
  /** Lengths read for an array, until it knows its size. */
  lengths: Record<string, number> | undefined;
  graphUri = '';
  child: WorkflowExecutionIdentifier | undefined;
  /** What the recovered run has of it, beyond its success (C-81…C-84). */
  recovered: RecoveredNode | undefined;
  items: ArrayItems | undefined;
  /** Its attempts were told to end, and their backends' word is waited for. */
  ending: Ending | undefined;

  constructor(
    readonly scope: Scope,
    readonly node: number,
    now: Timestamp,
  ) {
    this.id = scope.uniqueId(node);
    this.since = now;
  }

  get specId(): string {
    return this.scope.template.ids[this.node]!;
  }

  get state(): number {
    return this.scope.states[this.node]!;
  }

  dataPrefix(execution: WorkflowExecutionIdentifier): string {
    return nodeDataPrefix(execution, this.id);
  }
}
