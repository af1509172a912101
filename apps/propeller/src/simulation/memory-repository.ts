import type { Queryable, Transaction } from '@aloft/database';
import type {
  ChildAbort,
  LogAppend,
  LogRow,
  WholeLog,
  NewRun,
  ReservationWrite,
  RunRow,
  RunUpdate,
  RunsRepository,
  SnapshotWrite,
  TimerWrite,
} from '../runs/runs.repository.js';
import { memoryOf } from './memory-database.js';
import { duplicate, type MemoryTables } from './memory-tables.js';
import type { SimProcess } from './sim-process.js';

const noSnapshot = { snapshot_seq: null, snapshot: null, snapshot_graphs: null, snapshot_times: null };
const keyOf = (uid: string, of: string | bigint): string => `${uid}/${of}`;

/** The statements of {@link RunsRepository} on tables in memory, as Postgres would do them. */
export class MemoryRepository implements RunsRepository {
  constructor(
    private readonly tables: MemoryTables,
    private readonly process: SimProcess,
  ) {}

  insertRuns(tx: Transaction, runs: readonly NewRun[]): void {
    if (runs.length === 0) return;
    const { tables } = this;
    memoryOf(tx).demand(() => {
      for (const { uid } of runs) if (tables.runs.has(uid)) throw duplicate(`run ${uid}`);
    });
    memoryOf(tx).atomically(() => {
      for (const { id: _id, start, ...run } of runs)
        tables.runs.set(run.uid, { ...run, start: Buffer.from(start), history_uri: null });
    });
  }

  updateRuns(tx: Transaction, updates: readonly RunUpdate[]): void {
    memoryOf(tx).atomically(() => {
      for (const { uid, phase, attention, quarantine } of updates) {
        const run = this.tables.runs.get(uid);
        if (run) Object.assign(run, { phase, attention, quarantine });
      }
    });
  }

  appendLog(tx: Transaction, rows: readonly LogAppend[]): void {
    const { log } = this.tables;
    memoryOf(tx).demand(() => {
      for (const { uid, firstSeq } of rows)
        if (log.get(uid)?.some((row) => row.first_seq === firstSeq)) throw duplicate(`log ${uid} ${firstSeq}`);
    });
    memoryOf(tx).atomically(() => {
      for (const { uid, firstSeq, count, segment } of rows) {
        const row: LogRow = { run_uid: uid, first_seq: firstSeq, entry_count: count, segment: Buffer.from(segment) };
        const list = log.get(uid);
        if (list) list.push(row);
        else log.set(uid, [row]);
      }
    });
  }

  writeSnapshots(tx: Transaction, snapshots: readonly SnapshotWrite[]): void {
    memoryOf(tx).atomically(() => {
      for (const { uid, nextSeq, state, graphs, times } of snapshots)
        this.tables.snapshots.set(uid, {
          snapshot_seq: nextSeq,
          snapshot: Buffer.from(state),
          snapshot_graphs: { ...graphs },
          // As jsonb gives it back.
          snapshot_times: times ? (JSON.parse(JSON.stringify(times)) as Record<string, unknown>) : null,
        });
    });
  }

  setTimers(tx: Transaction, timers: readonly TimerWrite[]): void {
    memoryOf(tx).atomically(() => {
      for (const timer of timers) this.tables.timers.set(keyOf(timer.uid, timer.timer), timer);
    });
  }

  clearTimers(tx: Transaction, timers: readonly { uid: string; timer: bigint }[]): void {
    memoryOf(tx).atomically(() => {
      for (const { uid, timer } of timers) this.tables.timers.delete(keyOf(uid, timer));
    });
  }

  holdReservations(tx: Transaction, rows: readonly ReservationWrite[]): void {
    memoryOf(tx).atomically(() => {
      for (const { uid, attempt, shard, request } of rows)
        this.tables.reservations.set(keyOf(uid, attempt), {
          run_uid: uid,
          attempt,
          shard,
          request: Buffer.from(request),
        });
    });
  }

  dropReservations(tx: Transaction, rows: readonly { uid: string; attempt: string }[]): void {
    memoryOf(tx).atomically(() => {
      for (const { uid, attempt } of rows) this.tables.reservations.delete(keyOf(uid, attempt));
    });
  }

  rememberAborts(tx: Transaction, aborts: readonly ChildAbort[]): void {
    memoryOf(tx).atomically(() => {
      for (const abort of aborts) {
        const key = keyOf(abort.uid, abort.child.name);
        if (!this.tables.childAborts.has(key)) this.tables.childAborts.set(key, abort);
      }
    });
  }

  forgetAbort(_db: Queryable, { uid, child }: { uid: string; child: string }): Promise<void> {
    return this.ask('forget abort', () => void this.tables.childAborts.delete(keyOf(uid, child)));
  }

  childAborts(_db: Queryable, shards: readonly number[]): Promise<ChildAbort[]> {
    return this.ask('child aborts', () => this.ofShards(this.tables.childAborts.values(), shards));
  }

  load(_db: Queryable, uids: readonly string[]): Promise<{ runs: RunRow[]; log: Map<string, LogRow[]> }> {
    const { tables } = this;
    return this.ask('load runs', () => {
      const runs: RunRow[] = [];
      const log = new Map<string, LogRow[]>();
      for (const uid of uids) {
        const stored = tables.runs.get(uid);
        if (!stored) continue;
        const snapshot = tables.snapshots.get(uid) ?? noSnapshot;
        runs.push({ ...stored, ...snapshot });
        if (stored.history_uri !== null) continue;
        const from = snapshot.snapshot_seq ?? 1n;
        const rows = (tables.log.get(uid) ?? []).filter(({ first_seq }) => first_seq >= from);
        if (rows.length > 0) log.set(uid, inOrder(rows));
      }
      return { runs, log };
    });
  }

  needingAttention(_db: Queryable, shards: readonly number[]): Promise<{ uid: string }[]> {
    return this.ask('needing attention', () =>
      this.ofShards(this.tables.runs.values(), shards)
        .filter(({ attention, quarantine }) => attention && quarantine === null)
        .map(({ uid }) => ({ uid })),
    );
  }

  private timerReads: number[] = [];

  private countTimerRead(): void {
    const { time } = this.process.scheduler;
    this.timerReads = [...this.timerReads.filter((at) => at > time - 1000), time];
    this.tables.mostTimerReads = Math.max(this.tables.mostTimerReads, this.timerReads.length);
  }

  timers(
    _db: Queryable,
    shards: readonly number[],
    until: number,
    limit: number,
  ): Promise<{ uid: string; timer: bigint; at: number }[]> {
    this.countTimerRead();
    return this.ask('timers', () =>
      this.ofShards(this.tables.timers.values(), shards)
        .filter(({ uid, at }) => at <= until && this.tables.runs.get(uid)?.quarantine === null)
        .sort((a, b) => a.at - b.at)
        .slice(0, limit),
    );
  }

  timersOf(_db: Queryable, uid: string): Promise<{ timer: bigint; at: number }[]> {
    return this.ask('timers of a run', () => [...this.tables.timers.values()].filter((timer) => timer.uid === uid));
  }

  reservations(
    _db: Queryable,
    shards: readonly number[],
  ): Promise<{ run_uid: string; attempt: string; shard: number; request: Buffer }[]> {
    const { tables } = this;
    return this.ask('reservations', () => {
      for (const [key, { run_uid }] of tables.reservations)
        if (tables.runs.get(run_uid)?.history_uri) tables.reservations.delete(key);
      return this.ofShards(tables.reservations.values(), shards);
    });
  }

  histories(_db: Queryable, uids: readonly string[]): Promise<LogRow[]> {
    return this.ask('histories', () => uids.flatMap((uid) => inOrder(this.tables.log.get(uid) ?? [])));
  }

  smallLogs(_db: Queryable, uids: readonly string[], maxBytes: number): Promise<WholeLog[]> {
    return this.ask('small logs', () =>
      uids.flatMap((run_uid) => {
        const rows = inOrder(this.tables.log.get(run_uid) ?? []);
        const log = Buffer.concat(rows.map(({ segment }) => segment));
        return rows.length > 0 && log.length <= maxBytes ? [{ run_uid, log }] : [];
      }),
    );
  }

  trim(tx: Transaction, runs: readonly { uid: string; historyUri: string }[]): void {
    const { tables } = this;
    memoryOf(tx).atomically(() => {
      for (const { uid, historyUri } of runs) {
        const run = tables.runs.get(uid);
        if (run?.history_uri === null) Object.assign(run, { history_uri: historyUri, attention: false });
        tables.log.delete(uid);
        tables.snapshots.delete(uid);
        for (const table of [tables.timers, tables.reservations])
          for (const key of [...table.keys()]) if (key.startsWith(`${uid}/`)) table.delete(key);
      }
    });
  }

  findHistory(_db: Queryable, uid: string): Promise<{ historyUri: string | null } | undefined> {
    return this.ask('find history', () => {
      const run = this.tables.runs.get(uid);
      return run && { historyUri: run.history_uri };
    });
  }

  private ask<T>(label: string, read: () => T): Promise<T> {
    return this.process.call('database', label, read);
  }

  private ofShards<T extends { shard: number }>(rows: Iterable<T>, shards: readonly number[]): T[] {
    return [...rows].filter(({ shard }) => shards.includes(shard));
  }
}

function inOrder(rows: readonly LogRow[]): LogRow[] {
  return [...rows].sort((a, b) => (a.first_seq < b.first_seq ? -1 : 1));
}
