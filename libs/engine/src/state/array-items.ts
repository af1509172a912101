import type { LiteralsValue, TaskUsage } from '@aloft/idl/aloft/v1/bus';
import type { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import type { ExecutionError, TaskExecution_Phase, TaskLog } from '@aloft/idl/flyteidl/core/execution';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { ItemEnding } from './ending.js';

/** Two bits an item. */
export const ItemState = { Waiting: 0, Active: 1, Succeeded: 2, Failed: 3 } as const;
export type ItemState = (typeof ItemState)[keyof typeof ItemState];

/** Of states packed four to a byte, the first in its lowest bits. */
export const stateAt = (bytes: Uint8Array, index: number): ItemState =>
  ((bytes[index >>> 2]! >>> ((index & 3) << 1)) & 3) as ItemState;

/** States of an array's items, packed four to a byte. */
export class PackedStates {
  readonly bytes: Uint8Array;

  constructor(
    readonly size: number,
    bytes?: Uint8Array,
  ) {
    this.bytes = bytes ?? new Uint8Array((size + 3) >>> 2);
  }

  get(index: number): ItemState {
    return stateAt(this.bytes, index);
  }

  set(index: number, state: ItemState): void {
    const shift = (index & 3) << 1;
    this.bytes[index >>> 2] = (this.bytes[index >>> 2]! & ~(3 << shift)) | (state << shift);
  }
}

/** Items whose states are told of together (C-147). A multiple of four: none shares a byte with another's. */
export const itemsPerPage = 1000;

/** Encoded outputs of the items that ended, in the order in which they did, with where each lies. */
export class PackedOutputs {
  /** Offset + 1 into the buffer; 0: none. */
  readonly offsets: Uint32Array;
  readonly lengths: Uint32Array;
  buffer: Uint8Array;
  used = 0;

  constructor(size: number) {
    this.offsets = new Uint32Array(size);
    this.lengths = new Uint32Array(size);
    this.buffer = new Uint8Array(Math.min(1024, size * 16));
  }

  append(index: number, bytes: Uint8Array): void {
    if (this.used + bytes.length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.used + bytes.length));
      larger.set(this.buffer.subarray(0, this.used));
      this.buffer = larger;
    }
    this.buffer.set(bytes, this.used);
    this.offsets[index] = this.used + 1;
    this.lengths[index] = bytes.length;
    this.used += bytes.length;
  }

  get(index: number): Uint8Array | undefined {
    const offset = this.offsets[index]!;
    return offset === 0 ? undefined : this.buffer.subarray(offset - 1, offset - 1 + this.lengths[index]!);
  }
}

/** What changed of an item since the last event that told of it. */
export interface ItemChange {
  phase: TaskExecution_Phase;
  attempt: number;
  cacheStatus: CatalogCacheStatus;
  logs: TaskLog[];
  child: WorkflowExecutionIdentifier | undefined;
}

/** An attempt that is with its backend: what it last reported. */
export interface LaunchedItem {
  phase: TaskExecution_Phase;
  version: number;
}

export interface ItemError {
  index: number;
  error: ExecutionError;
}

/**
 * The items of an array node (C-142). What every item has is packed into typed arrays; maps hold only items that are in flight, of
 * which there is a bounded number.
 */
export class ArrayItems {
  readonly states: PackedStates;
  readonly outputs: PackedOutputs;
  /** The item's current attempt. */
  readonly attempts: Uint8Array;
  readonly systemFailures: Uint8Array;
  /** Items below it were started at least once. */
  next = 0;
  /** Items whose next attempt waits for its turn. */
  readonly again: number[] = [];
  active = 0;
  /** Where the collected outputs of the recovered run lie, if its items' are taken from there; else empty. */
  takenFrom = '';
  succeeded = 0;
  failed = 0;
  readonly launched = new Map<number, LaunchedItem>();
  /** Launched ones whose time is over. */
  readonly ending = new Map<number, ItemEnding>();
  readonly requests = new Map<number, number>();
  readonly timers = new Map<number, number>();
  /** Timers of items whose next attempt's time hasn't come (C-36). */
  readonly delayed = new Map<number, number>();
  /** How often an item that isn't over ran out of memory. */
  readonly outOfMemory = new Map<number, number>();
  readonly children = new Map<number, WorkflowExecutionIdentifier>();
  /** Items' own inputs where they had to be written. */
  readonly inputs = new Map<number, LiteralsValue>();
  /** Outputs that go into the catalog. */
  readonly storing = new Map<number, LiteralsValue>();
  readonly checkpoints = new Map<number, string>();
  /** Items that hold a cache reservation, with the attempt that took it. */
  readonly reserved = new Map<number, number>();
  /** The first few, for the node's error. */
  readonly errors: ItemError[] = [];
  readonly changes = new Map<number, ItemChange>();
  /** Pages of items whose states changed since an event told of them. */
  readonly changedPages = new Set<number>();
  /** Something changed that no event has told of. */
  dirty = false;
  eventTimer = 0;
  phaseVersion = 0;
  /** Of all attempts of items that are over, together; undefined while none told. */
  usage: TaskUsage | undefined;

  constructor(
    readonly size: number,
    /** Successes without which the node fails (C-141). */
    readonly needed: number,
    /** Items in flight at once (C-71). */
    readonly limit: number,
    /** Variables of which each item has its own element. */
    readonly lists: readonly string[],
    /** Each item in flight holds one of the run's permits (C-71). */
    readonly shared = false,
  ) {
    this.states = new PackedStates(size);
    this.outputs = new PackedOutputs(size);
    this.attempts = new Uint8Array(size);
    this.systemFailures = new Uint8Array(size);
  }

  setState(index: number, state: ItemState): void {
    this.states.set(index, state);
    this.changedPages.add(Math.floor(index / itemsPerPage));
  }

  /** Some item hasn't been started, or waits for its turn. */
  get hasMore(): boolean {
    return this.again.length > 0 || this.next < this.size;
  }

  get isDone(): boolean {
    return this.active === 0 && this.next === this.size && this.again.length === 0 && this.delayed.size === 0;
  }
}
