import type { OutgoingMessage, ParkedMessage, Stream } from '@aloft/bus';
import { StartExecution } from '@aloft/idl/aloft/v1/bus';
import { eventMessages } from '../events/outgoing.js';
import { toTimestamp } from '../runs/clock.js';
import type {
  ChildAbort,
  LogAppend,
  NewRun,
  ReservationWrite,
  RunUpdate,
  SnapshotWrite,
  TimerWrite,
} from '../runs/runs.repository.js';
import type { CommitBatch, RunChange } from './batch.js';
import { segmentOf } from './log-encoding.js';

export interface Move {
  stream: Stream;
  from: bigint;
  to: bigint;
  epoch: bigint;
  /** What the bus wants stored with `to`. */
  mark?: string;
}

/** The contents of one transaction; nothing in it changes any more while runs in memory go on. */
export interface SealedCommit {
  moves: Move[];
  newRuns: NewRun[];
  updates: RunUpdate[];
  log: LogAppend[];
  snapshots: SnapshotWrite[];
  timersSet: TimerWrite[];
  timersCleared: { uid: string; timer: bigint }[];
  held: ReservationWrite[];
  dropped: { uid: string; attempt: string }[];
  childAborts: ChildAbort[];
  parked: ParkedMessage[];
  released: string[];
  /** Events first, then what the batch holds; holes are filled by its preparations. */
  events: OutgoingMessage[];
}

export interface SnapshotPolicy {
  /** Log bytes before a snapshot is worth its while. */
  minLogBytes: number;
}

/** Takes everything that a batch changes out of the runs' memory, at the moment before anything later is applied. */
export function seal(batch: CommitBatch, moves: Move[], now: number, policy: SnapshotPolicy): SealedCommit {
  const sealed: SealedCommit = {
    moves,
    newRuns: [],
    updates: [],
    log: [],
    snapshots: [],
    timersSet: [],
    timersCleared: [],
    held: batch.held,
    dropped: batch.dropped,
    childAborts: batch.childAborts,
    parked: batch.parked,
    released: batch.released,
    events: [],
  };
  for (const change of batch.changes.values()) sealChange(change, sealed, now, policy);
  return sealed;
}

function sealChange(change: RunChange, sealed: SealedCommit, now: number, policy: SnapshotPolicy): void {
  const { entry } = change;
  const { uid } = entry;
  const identity = entry.identity;
  if (!identity || change.empty) return;
  if (change.pageOut) {
    // It may have ended since it was chosen to leave memory: its history is still to be written then.
    entry.attention = entry.open.size > 0 || entry.archiving;
    change.rowChanged = true;
  }
  if (change.created) {
    sealed.newRuns.push({
      uid,
      id: identity.id,
      shard: identity.shard,
      phase: entry.phase,
      attention: entry.attention,
      start: StartExecution.encode(identity.start).finish(),
      traceparent: identity.traceparent,
      tracestate: identity.tracestate,
      quarantine: entry.quarantine ?? null,
    });
  }
  if ((change.rowChanged && !change.created) || change.endedAt !== undefined) {
    sealed.updates.push({
      uid,
      phase: entry.phase,
      attention: entry.attention,
      quarantine: entry.quarantine ?? null,
      endedAt: change.endedAt,
    });
  }
  if (change.entries.length > 0) {
    const segment = segmentOf(change.entries);
    sealed.log.push({ uid, firstSeq: change.firstSeq, count: change.entries.length, segment });
    entry.logBytes += segment.length;
  }
  sealSnapshot(change, sealed, policy);
  for (const [timer, at] of change.timers) {
    if (at === undefined) sealed.timersCleared.push({ uid, timer });
    else sealed.timersSet.push({ uid, timer, shard: identity.shard, at });
  }
  if (change.events.length > 0) sealed.events.push(...eventMessages(identity, change.events, toTimestamp(now)));
}

/** Log that a snapshot is worth, as a multiple of its own bytes. */
const logPerSnapshot = 2;

/**
 * A snapshot is due when the log since the last one outgrew both the minimum and twice that snapshot itself: what is written for
 * snapshots stays within half of what is written for the log, however large the state, and a run is read back in a time that its state is worth.
 */
function sealSnapshot(change: RunChange, sealed: SealedCommit, policy: SnapshotPolicy): void {
  const { entry } = change;
  if (!entry.run || entry.archiving || entry.logBytes === 0) return;
  const due = entry.logBytes > Math.max(policy.minLogBytes, logPerSnapshot * entry.snapshotBytes);
  if (!due && !change.pageOut) return;
  const state = entry.run.snapshot();
  const graphs = Object.fromEntries(entry.graphUris);
  const times = entry.times.save();
  sealed.snapshots.push({ uid: entry.uid, nextSeq: entry.nextSeq, state, graphs, times });
  entry.snapshotBytes = state.length;
  entry.logBytes = 0;
}
