import type { Transaction } from '@aloft/database';
import type { Envelope } from '@aloft/idl/aloft/v1/bus';

/** One attempt that a host has taken on. The command's payload is kept as it came. */
export interface WorkRow {
  key: string;
  generation: number;
  /** The command's envelope, its payload an encoded `TaskCommand` with a launch. */
  command: Envelope;
  /** Set once its end was asked for: it must not start any more. */
  abortReason: string | undefined;
  /** Its last report, encoded, where ends are written before they are told: it must not start any more either. */
  report?: Uint8Array | undefined;
  /** How often the host that had it was lost. */
  losses?: number;
  /** How its plugin finds its work again. */
  remembered?: Uint8Array | undefined;
}

export interface HeldRow extends Fence {
  abortReason: string | undefined;
  losses: number;
  /** Whether anything is remembered of it. */
  remembered: boolean;
}

/** What a plugin wants remembered of one attempt. */
export interface Memory extends Fence {
  state: Uint8Array;
}

export interface Fence {
  key: string;
  /** Launches of this generation and of older ones do nothing any more. */
  generation: number;
}

/** Reports of attempts that ended in the same moment as they began, as one row until they are acknowledged. */
export interface FinishedBatch {
  id: string;
  /** Encoded `Envelope`s, each with its length before it. */
  reports: Uint8Array;
}

/** A host's hold on its work: the process that has the newest epoch of the name. */
export interface Holder {
  name: string;
  epoch: bigint;
}

/** `fenced`: another process of the same name came after this one; `taken`: the lease ended and its work went elsewhere. */
export type LeaseState = 'held' | 'fenced' | 'taken';

export interface Renewal {
  state: LeaseState;
  /** Milliseconds until the next other host's lease ends (negative: it has); `undefined` if there is no other. */
  nextEndMs?: number | undefined;
  /** Whether there is work that nobody holds. */
  unheld?: boolean;
}

/** What became of rows that were to be added. */
export interface Added {
  /** Keys that are not this holder's: ended already, held elsewhere, or replaced by a newer generation. */
  refused: ReadonlySet<string>;
  /** Keys whose older generation another host has yet to end, with that host. */
  waiting: ReadonlyMap<string, string>;
}

export interface Work {
  work: WorkRow[];
  finished: FinishedBatch[];
}

/** An end that was asked for: of this generation and older ones. */
export interface AbortRequest {
  key: string;
  generation: number;
  reason: string;
}

/**
 * What a host must still know after its death, and what hosts of one backend must know of each other. One statement a batch
 * everywhere; rows are inserted once and deleted after the propeller acknowledged the end: the tables hold what is in
 * flight and little more.
 */
export interface WorkStore {
  /** Becomes the holder of `host`'s work, fencing any earlier process of that name. Resolves to the epoch held. */
  acquire(host: string, leaseMs: number): Promise<bigint>;
  renew(holder: Holder, leaseMs: number): Promise<Renewal>;
  /** Gives up the lease; with `forget` the host is gone for good (it holds nothing any more). */
  release(holder: Holder, forget?: boolean): Promise<void>;
  /** What this host has yet to tell of ends, and what must not start any more. */
  load(host: string): Promise<{ finished: FinishedBatch[]; fences: Fence[] }>;
  /**
   * Makes this holder's: everything of hosts whose lease ended `marginMs` ago, and some of what nobody holds (`more`: there
   * may be more of it). `lost`: names of the hosts that are gone now.
   */
  take(holder: Holder, marginMs: number): Promise<Work & { lost: string[]; more: boolean }>;
  /** What this host holds now, in the order of arrival, without its commands. */
  held(host: string): Promise<HeldRow[]>;
  /** Rows of these keys that this host holds, in the order of arrival. */
  rows(host: string, keys: readonly string[]): Promise<WorkRow[]>;
  /** Those of these keys that any host holds, or nobody yet. */
  existing(keys: readonly string[]): Promise<ReadonlySet<string>>;
  /** Abort requests that reached another host than the one that holds the attempt. */
  abortsOf(host: string): Promise<AbortRequest[]>;
  /**
   * In the consumer's transaction: new rows; a higher generation replaces a lower one. ABORTED if the lease is not held. With
   * `shared`, what another host ended is found out, too.
   */
  add(tx: Transaction, holder: Holder, rows: readonly WorkRow[], shared: boolean): Promise<Added>;
  /** In the consumer's transaction: notes requests on rows, fences the attempts. Resolves to the other hosts concerned. */
  requestAbort(tx: Transaction, host: string, aborts: readonly AbortRequest[]): Promise<string[]>;
  addFinished(tx: Transaction, holder: Holder, batches: readonly FinishedBatch[]): Promise<void>;
  /** Writes ends down before they are told. Resolves to the keys whose rows are (still) this holder's. */
  recordEnds(
    holder: Holder,
    ends: readonly { key: string; generation: number; report: Uint8Array }[],
  ): Promise<ReadonlySet<string>>;
  /** Writes down how work is found again. Resolves to the keys whose rows are (still) this holder's. */
  remember(holder: Holder, memories: readonly Memory[]): Promise<ReadonlySet<string>>;
  /** Gives rows to another live host; resolves to those that it has now. */
  give(holder: Holder, to: string, keys: readonly string[]): Promise<ReadonlySet<string>>;
  /** Leaves rows to whichever host takes them; without keys everything, `finished` batches too. */
  handOver(holder: Holder, keys?: readonly string[]): Promise<void>;
  /** Older generations that this host has to end. */
  superseded(host: string): Promise<WorkRow[]>;
  /** Those of these keys of which an older generation is not ended yet. */
  stillEnding(keys: readonly string[]): Promise<ReadonlySet<string>>;
  /** They are dead. */
  supersededEnded(keys: readonly Fence[]): Promise<void>;
  /** Deletes rows of ended, acknowledged attempts of this host and leaves fences behind. */
  end(host: string, ended: readonly Fence[]): Promise<void>;
  deleteFinished(ids: readonly string[]): Promise<void>;
  /** Deletes fences older than so many milliseconds. */
  prune(olderThanMs: number): Promise<void>;
}
