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

/** `fenced`: another process of the same name came after this one; `taken`: the lease ended and its work went elsewhere. */
export type LeaseState = 'held' | 'fenced' | 'taken';

/**
 * What a host must still know after its death. One statement a batch everywhere; rows are inserted once, never updated while
 * work runs, and deleted after the propeller acknowledged the end: the tables hold what is in flight and little more.
 */
export interface WorkStore {
  /** Becomes the holder of `host`'s work, fencing any earlier process of that name. Resolves to the epoch held. */
  acquire(host: string, leaseMs: number): Promise<bigint>;
  renew(host: string, epoch: bigint, leaseMs: number): Promise<LeaseState>;
  release(host: string, epoch: bigint): Promise<void>;
  /** Everything of this host, and of hosts whose lease ended (`takeOver`), in the order of arrival. */
  load(host: string, takeOver: boolean): Promise<{ work: WorkRow[]; finished: FinishedBatch[]; fences: Fence[] }>;
  /** Abort requests that reached another host than the one that holds the attempt. */
  abortsOf(host: string): Promise<{ key: string; generation: number; reason: string }[]>;
  /** In the consumer's transaction; keys already there keep their row unless the new generation is higher. */
  add(tx: Transaction, host: string, rows: readonly WorkRow[]): Promise<void>;
  /** In the consumer's transaction: notes the request on the row, wherever it is held, and fences the attempt. */
  requestAbort(tx: Transaction, aborts: readonly { key: string; generation: number; reason: string }[]): Promise<void>;
  addFinished(tx: Transaction, host: string, batches: readonly FinishedBatch[]): Promise<void>;
  /** In the consumer's transaction: for attempts that ended before their row was written. */
  fence(tx: Transaction, fences: readonly Fence[]): Promise<void>;
  /** Deletes rows of ended, acknowledged attempts and leaves fences behind. */
  end(ended: readonly Fence[]): Promise<void>;
  deleteFinished(ids: readonly string[]): Promise<void>;
  /** Deletes fences older than so many milliseconds. */
  prune(olderThanMs: number): Promise<void>;
}
