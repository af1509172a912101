import { AloftError, alreadyExists } from '@aloft/errors';
import type { HeldLease, ParkedMessage, Stream } from '@aloft/bus';
import type { ChildAbort, LogRow, RunRow } from '../runs/runs.repository.js';
import type { SimProcess } from './sim-process.js';

export interface StreamRow {
  stream: Stream;
  position: bigint;
  epoch: bigint;
  owner: SimProcess | undefined;
  /** World time. */
  expiresAt: number;
}

export interface TimerRow {
  uid: string;
  timer: bigint;
  shard: number;
  at: number;
}

export type StoredRun = Omit<RunRow, 'snapshot_seq' | 'snapshot' | 'snapshot_graphs' | 'snapshot_times'>;
export type SnapshotRow = Pick<RunRow, 'snapshot_seq' | 'snapshot' | 'snapshot_graphs' | 'snapshot_times'>;

/** What lies in the propeller's schema, and survives every process. */
export class MemoryTables {
  readonly streams = new Map<string, StreamRow>();
  readonly members = new Map<SimProcess, number>();
  readonly runs = new Map<string, StoredRun>();
  readonly log = new Map<string, LogRow[]>();
  readonly snapshots = new Map<string, SnapshotRow>();
  readonly timers = new Map<string, TimerRow>();
  readonly reservations = new Map<string, { run_uid: string; attempt: string; shard: number; request: Buffer }>();
  readonly childAborts = new Map<string, ChildAbort>();
  parked: ParkedMessage[] = [];
  /** Most reads of the timers that one process asked for within a second. */
  mostTimerReads = 0;

  stream(stream: Stream): StreamRow {
    const name = `${stream.topic}/${stream.partition}`;
    let row = this.streams.get(name);
    if (!row) this.streams.set(name, (row = { stream, position: 0n, epoch: 0n, owner: undefined, expiresAt: 0 }));
    return row;
  }

  /** What a lease's row says to its owner. */
  leaseOf({ stream, epoch, expiresAt }: StreamRow): HeldLease {
    return { stream, epoch, expiresAt: new Date(expiresAt) };
  }
}

/** Postgres' answer to a key that is there. */
export const duplicate = (what: string): AloftError => alreadyExists(`duplicate key: ${what}`);

export const stale = (why: string): AloftError => new AloftError('ABORTED', why);
