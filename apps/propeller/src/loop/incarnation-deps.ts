import type { Bus, ParkingStore, PositionStore } from '@aloft/bus';
import type { Database } from '@aloft/database';
import type { AbortChildEffect, ReleaseReservation, Request } from '@aloft/engine';
import type { AloftError } from '@aloft/errors';
import type { RequestAnswered } from '@aloft/idl/aloft/v1/engine';
import type { Logger } from '@aloft/telemetry';
import type { CommitBatch } from '../commit/batch.js';
import type { LiteralStore } from '../commit/literal-store.js';
import type { Probe } from '../commit/writer.js';
import type { LaunchBuilder } from '../launch/launch-builder.js';
import type { PropellerMetrics } from '../metrics.js';
import type { Archiver } from '../runs/archiver.js';
import type { LogClock } from '../runs/clock.js';
import type { Engine } from '../runs/engine.js';
import type { GraphCache } from '../runs/graph-cache.js';
import type { RunEntry } from '../runs/run-entry.js';
import type { ChildAbort, RunsRepository } from '../runs/runs.repository.js';
import type { Timing } from '../runs/timing.js';

export interface IncarnationLimits {
  /** Inputs in one commit at most. */
  maxBatchInputs: number;
  /** Effects (launches, events, timers …) in one commit, and one input's more at most. */
  maxBatchEffects: number;
  /** Log bytes in one commit at most. */
  maxBatchBytes: number;
  /** Messages of one stream taken and not yet applied (their runs are being loaded) before its reading pauses. */
  maxWaiting: number;
  /** Runs kept in memory although nothing happens to them. */
  maxIdleRuns: number;
  /** After this time without an input a run leaves memory (milliseconds). */
  idleMs: number;
  snapshotMinLogBytes: number;
}

/** Performs what runs ask for; answers come back through `answered`. */
export interface Requests {
  perform(entry: RunEntry, request: Request): void;
  /** Reads change nothing and may begin before the commit of what asked for them. */
  mayStartEarly(ask: Request['ask']): boolean;
  abortChild(entry: RunEntry, effect: AbortChildEffect): void;
  /** The attempt holds no reservation any more; its row is one of those that {@link takeReservations} takes. */
  reservationOver(effect: ReleaseReservation): void;
  /** Tells the catalog, once that is durable. */
  releaseReservation(entry: RunEntry, effect: ReleaseReservation): void;
  /** Rows of reservations taken or given up since the last call, for the next commit. */
  takeReservations(batch: CommitBatch): void;
  resume(rows: readonly { run_uid: string; attempt: string; shard: number; request: Buffer }[]): void;
  resumeChildAborts(aborts: readonly ChildAbort[]): void;
  /** The run is over: nothing of it is held any more. */
  forget(uid: string): void;
  /** The partition is another's: its heartbeats are too. */
  drop(partition: number): void;
  stop(): void;
}

export interface IncarnationDeps {
  database: Database;
  bus: Bus;
  positions: PositionStore;
  parking: ParkingStore;
  repository: RunsRepository;
  engine: Engine;
  graphs: GraphCache;
  launches: LaunchBuilder;
  literals: LiteralStore;
  clock: LogClock;
  timing: Timing;
  logger: Logger;
  metrics: PropellerMetrics;
  limits: IncarnationLimits;
  timerHorizonMs: number;
  /** Consumer group under which messages are parked. */
  group: string;
  probe?: Probe;
  requests: (
    answered: (entry: RunEntry, request: bigint, answer: RequestAnswered['answer']) => void,
    /** Something is to be written that no input caused. */
    changed: () => void,
  ) => Requests;
  archiver: (trimmed: (uid: string) => void) => Archiver;
}

/** How an incarnation behaves after one that failed. */
export interface Caution {
  /** Commit one input at a time, to find the one that can't be committed. */
  oneByOne: boolean;
  /** Look in the database before a run is begun: its start may have been applied before. */
  checkStarts: boolean;
  /** Runs whose inputs can't be committed, and why. */
  condemned: ReadonlyMap<string, string>;
}

export class CommitFailed extends Error {
  constructor(
    readonly error: AloftError,
    /** The runs in the commit that failed. */
    readonly runs: string[],
  ) {
    super(error.message, { cause: error });
  }
}
