import type { IncomingMessage, OutgoingMessage, ParkedMessage } from '@aloft/bus';
import type { AbortChildEffect, ReleaseReservation, Request } from '@aloft/engine';
import type { EncodedEvent } from '../events/outgoing.js';
import type { MessageGroup } from '../inputs/pending-input.js';
import type { RunEntry } from '../runs/run-entry.js';
import type { ChildAbort, ReservationWrite } from '../runs/runs.repository.js';
import type { Ended } from '../trace/run-times.js';

/** What one commit changes of one run. */
export class RunChange {
  readonly firstSeq: bigint;
  readonly entries: Uint8Array[] = [];
  bytes = 0;
  readonly events: EncodedEvent[] = [];
  /** Milliseconds since the epoch, or cleared; the last word on a timer counts. */
  readonly timers = new Map<bigint, number | undefined>();
  /** The run begins with this commit. */
  created = false;
  /** A column of its row changes. */
  rowChanged = false;
  /** Milliseconds since the epoch. */
  endedAt: number | undefined;
  /** What is over with it, for metrics and traces. */
  readonly ended: Ended[] = [];
  launches = 0;
  /** Write its state, and let it go if nothing has happened to it since then (milliseconds since the epoch). */
  pageOut = false;
  pagedOutAt = 0;

  constructor(readonly entry: RunEntry) {
    this.firstSeq = entry.nextSeq;
  }

  /** Returns the entry's size in bytes. */
  append(entry: Uint8Array): number {
    this.entries.push(entry);
    this.bytes += entry.length;
    this.entry.nextSeq += 1n;
    return entry.length;
  }

  /** Whether anything of the run itself is to be written. */
  get empty(): boolean {
    return (
      this.entries.length === 0 &&
      this.events.length === 0 &&
      this.timers.size === 0 &&
      !this.created &&
      !this.rowChanged &&
      !this.pageOut
    );
  }
}

/** Something to do when the commit has happened. */
export type Deed =
  | { kind: 'request'; entry: RunEntry; request: Request }
  | { kind: 'effect'; entry: RunEntry; effect: AbortChildEffect | ReleaseReservation }
  | { kind: 'archive'; entry: RunEntry };

/** Everything of one commit. Filled while the one before is on its way; sealed when its turn comes. */
export class CommitBatch {
  readonly changes = new Map<RunEntry, RunChange>();
  /** In order; a hole is filled by a preparation (whose message keeps its place), or stays one. */
  readonly messages: (OutgoingMessage | undefined)[] = [];
  /** Blob writes and reads that have to be done before the transaction; some add messages. */
  readonly preparations: (() => Promise<void>)[] = [];
  readonly deeds: Deed[] = [];
  readonly parked: ParkedMessage[] = [];
  /** Keys whose parked messages have been applied and leave the parking place. */
  readonly released: string[] = [];
  readonly settled: MessageGroup[] = [];
  /** Partitions whose positions or runs it touches. */
  readonly partitions = new Set<number>();
  readonly held: ReservationWrite[] = [];
  readonly childAborts: ChildAbort[] = [];
  readonly dropped: { uid: string; attempt: string }[] = [];
  inputs = 0;
  bytes = 0;
  /** What its inputs made runs want: launches, events, timers … */
  effects = 0;

  /** Nothing to commit and nobody waiting to hear of it. */
  get empty(): boolean {
    return this.partitions.size === 0 && this.settled.length === 0;
  }

  /** Keeps a place for a message that is ready only after `prepare`. */
  prepareMessage(prepare: () => Promise<OutgoingMessage>): void {
    const place = this.messages.push(undefined) - 1;
    this.preparations.push(async () => {
      this.messages[place] = await prepare();
    });
  }

  change(entry: RunEntry): RunChange {
    let change = this.changes.get(entry);
    if (!change) {
      change = new RunChange(entry);
      this.changes.set(entry, change);
      this.partitions.add(entry.partition);
      entry.uncommitted += 1;
    }
    return change;
  }

  /** How much there is now, so that what an input adds can be taken back if applying it fails half-way. */
  mark(change: RunChange): readonly [number, number, number, number, number] {
    const { messages, preparations, deeds } = this;
    return [messages.length, preparations.length, deeds.length, change.events.length, change.ended.length];
  }

  rewind(change: RunChange, [messages, preparations, deeds, events, ended]: ReturnType<CommitBatch['mark']>): void {
    this.messages.length = messages;
    this.preparations.length = preparations;
    this.deeds.length = deeds;
    change.events.length = events;
    change.ended.length = ended;
  }

  park(message: IncomingMessage, group: string, reason: string): void {
    this.parked.push({ group, message, reason, at: new Date() });
    this.partitions.add(message.stream.partition);
  }
}
