import type { Envelope } from '@aloft/idl/aloft/v1/bus';
import type { Database, Transaction } from '@aloft/database';

/**
 * The event bus's port. Promises (proved by one contract suite over every driver): order per key; at least once;
 * position order is commit order within a stream; a consumer's stored position moves in the transaction of what it did;
 * poison is parked with its key; everything is bounded.
 */

/** `executions.commands`, `tasks.commands.<backend>`, `tasks.reports`, `executions.events`, `registry.events`. */
export type Topic = string;

/** A stream is one partition of a topic: the unit of order, lease and stored position. */
export interface Stream {
  topic: Topic;
  partition: number;
}

export interface OutgoingMessage {
  topic: Topic;
  /** `envelope.key` orders; `envelope.shard` modulo the topic's partitions chooses the stream (for keys without an
   * execution: `shardOf(key)`). Encoded size at most `maxMessageBytes`, else RESOURCE_EXHAUSTED before anything is sent. */
  envelope: Envelope;
}

export interface IncomingMessage {
  stream: Stream;
  /** Position in the stream, from 1 without gaps per stream on the `postgres` driver, strictly rising on every driver.
   * `null`: a re-derivable message handed over without a commit of its own (see {@link Bus.deliver}). */
  position: bigint | null;
  envelope: Envelope;
}

export const maxMessageBytes = 256 * 1024;

export interface Bus {
  /** Number of partitions of a topic (fixed when the installation is made). */
  partitions(topic: Topic): number;

  /**
   * Adds messages to the outbox in the caller's transaction: sent if and only if it commits, in this order per key. They
   * are checked and encoded at once and written together with the COMMIT, so that the streams' locks are held briefly. After
   * the commit, consumers in this process get them in memory at once, other processes by one NOTIFY for all commits that
   * ended meanwhile. Envelopes handed over in memory are the very objects: nobody may change one after publishing it.
   */
  publish(tx: Transaction, messages: readonly OutgoingMessage[]): Promise<void>;

  /**
   * Hands over re-derivable messages (task reports): resolves when a consumer's commit has acknowledged them (consumer in
   * this process) or when they are stored durably (any other). Rejects when neither happened: the caller keeps its state and
   * delivers again. May be seen twice.
   */
  deliver(messages: readonly OutgoingMessage[]): Promise<void>;

  /**
   * Reads one stream from after a position, in order: pull-based, bounded, ends with `close()`. The lower level, for
   * consumers that merge several streams in one commit of their own (the propeller). Parking is theirs too
   * (see {@link ParkingStore}).
   */
  read(stream: Stream, after: bigint, options?: ReadOptions): StreamReader;

  /**
   * Tells the driver up to where a group has durably stored what it read: nothing above the lowest stored position of any
   * group is trimmed. A lower bound: users of {@link Bus.read} call it when they begin and every few seconds after;
   * `consume` does so itself.
   */
  keep(group: string, positions: readonly { stream: Stream; position: bigint }[]): Promise<void>;

  /** Position of the last message of each stream now (0: none yet), for `caughtUp` and lag. */
  heads(streams: readonly Stream[]): Promise<bigint[]>;

  /** The whole consumer: leases streams, keeps positions, retries, bisects, parks. */
  consume(options: ConsumerOptions): Consumer;

  close(): Promise<void>;
}

export interface ReadOptions {
  /** What was stored with the position (see {@link StreamReader.mark}). */
  mark?: string;
  /** Messages buffered at most, delivered ones included (default 16,384 on the `postgres` driver, of 32 MiB; else 4,096). */
  maxBuffered?: number;
  /** Also take messages given to {@link Bus.deliver} in this process. */
  acceptDelivered?: boolean;
}

export interface StreamReader {
  readonly stream: Stream;
  /** Highest position known to exist. */
  readonly head: bigint;
  /** Whether all that is known to exist was read into the buffer or given out. */
  readonly isCaughtUp: boolean;
  /**
   * At least one message, at most `limit`; waits for one; `undefined` once closed. Rejects, and goes on rejecting, when it
   * can't go on: FAILED_PRECONDITION (a message needs a newer reader; those before it were given out), DATA_LOSS (messages
   * after the position are no longer there), OUT_OF_RANGE (the position is ahead of the stream).
   */
  next(limit: number): Promise<ReadBatch | undefined>;
  /** What is there now without waiting; possibly nothing. Throws as `next` rejects. */
  poll(limit: number): ReadBatch | undefined;
  /** Resolves when `poll` may give something, or on close. */
  ready(): Promise<void>;
  /**
   * What has to be stored together with a position that was given out, for whoever reads on from there; `undefined`: nothing.
   * Opaque. Positions asked for never go down.
   */
  mark(position: bigint): string | undefined;
  /**
   * The farthest position that is as good as `position`: a driver may leave repeats out, and nothing but such lies between.
   * What is compared with heads, for lag and `caughtUp`.
   */
  reach(position: bigint): bigint;
  close(): Promise<void>;
}

export interface ReadBatch {
  messages: IncomingMessage[];
  /** Call after the commit that applied them (settles `deliver` of positionless ones). */
  acknowledge(): void;
  /** Call when they were not applied: delivered ones are rejected to their sender. */
  reject(error: unknown): void;
}

export interface ConsumerOptions {
  topic: Topic;
  /** Consumer group: one stored position per group and stream. */
  group: string;
  /** The consumer's own database: its schema holds the tables of positions and parked messages (see `busMigrations`). */
  database: Database;
  /**
   * `leased`: this process takes the streams that nobody else of the group holds, and hands over on close or expiry.
   * `tail`: every process reads all streams from now on, stores nothing (live views).
   */
  mode: 'leased' | 'tail';
  /** Messages in one transaction at most (default 500). */
  maxBatch?: number;
  /** Lease time in milliseconds (default 10,000). */
  leaseMs?: number;
  /**
   * Applies a batch of one stream in `tx` (absent in `tail` mode), in order. Throwing rolls back; errors with bus
   * disposition `retry` are retried with backoff, others bisected until the poisonous message is found and parked.
   */
  handle(messages: readonly IncomingMessage[], tx: Transaction | undefined): Promise<void>;
  /**
   * For messages whose effect may happen again, and writes nothing (`leased`): takes as many from the front of a batch as are of
   * this kind, `undefined` if the first isn't; the others are for `handle`. The position passes them once `done` has resolved,
   * stored with others' some 50 ms later, so a crash brings them again. `done` must not reject.
   */
  handleRepeatable?(messages: readonly IncomingMessage[]): { count: number; done: Promise<void> } | undefined;
  /**
   * Milliseconds (`leased`; default 0) that a batch which isn't full waits for more, unless one of its messages is `urgent`:
   * fewer commits where nobody waits for each. (Where a batch takes longer than this, what is urgent waits as long as the one before took.)
   */
  gatherMs?: number;
  /**
   * Milliseconds (default `gatherMs`) that it waits at most where there is much to do: twice as long as the batch before took, so that
   * what happens to the same things is applied to them at once.
   */
  maxGatherMs?: number;
  urgent?(message: IncomingMessage): boolean;
  /** A message was parked (its key waits from now on). */
  onParked?(parked: ParkedMessage): void;
  /** The consumer can't go on and has stopped (see {@link StreamReader.next}); somebody has to look at it. */
  onStopped?(error: unknown): void;
}

export interface Consumer {
  /** Resolves when every stream that this process holds has been read up to what was published before the call. */
  caughtUp(): Promise<void>;
  /** Streams held now, with stored position and head. */
  status(): StreamStatus[];
  /** Handles a parked key's messages again, in order; they stay parked if that fails again. */
  release(key: string): Promise<void>;
  close(): Promise<void>;
}

export interface StreamStatus {
  stream: Stream;
  position: bigint;
  head: bigint;
}

export interface ParkedMessage {
  group: string;
  message: IncomingMessage;
  reason: string;
  at: Date;
}

export interface StoredPosition {
  position: bigint;
  mark: string | undefined;
}

/** Stored positions of one consumer group in the consumer's own schema, for users of {@link Bus.read}. */
export interface PositionStore {
  load(tx: Transaction, streams: readonly Stream[]): Promise<bigint[]>;
  /** Positions with what was stored besides, to read on from them. */
  restore(tx: Transaction, streams: readonly Stream[]): Promise<StoredPosition[]>;
  /**
   * Moves a position; the transaction is refused (ABORTED) if what is stored is not `from`, or if `epoch` is not the stream
   * lease's: a stale owner can't commit. Travels with the commit. `mark`: the reader's at `to`; without one the stored one stays.
   */
  advance(
    tx: Transaction,
    moves: readonly { stream: Stream; from: bigint; to: bigint; epoch: bigint; mark?: string }[],
  ): void;
}

/** Messages set aside with their key, in the consumer's own schema. */
export interface ParkingStore {
  isParked(key: string): boolean;
  park(tx: Transaction, parked: ParkedMessage): Promise<void>;
  list(limit: number): Promise<ParkedMessage[]>;
  /** Takes all messages of a key out, in order of position. */
  take(tx: Transaction, key: string): Promise<ParkedMessage[]>;
}

/** Leases of streams in the consumer's own schema: the only authority on who may commit. */
export interface StreamLeases {
  /** Takes free or expired leases among `streams`, bumping their epochs; returns those held now by this owner. */
  acquire(streams: readonly Stream[]): Promise<HeldLease[]>;
  renew(): Promise<HeldLease[]>;
  release(streams: readonly Stream[]): Promise<void>;
}

export interface HeldLease {
  stream: Stream;
  epoch: bigint;
  expiresAt: Date;
}
