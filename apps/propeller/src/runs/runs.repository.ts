import { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { arrayParameter, type Queryable, type Statement, type Transaction } from '@aloft/database';

/** A run's row as the loader needs it. */
export interface RunRow {
  uid: string;
  shard: number;
  phase: number;
  attention: boolean;
  start: Buffer;
  traceparent: string;
  tracestate: string;
  quarantine: string | null;
  history_uri: string | null;
  snapshot_seq: bigint | null;
  snapshot: Buffer | null;
  /** Where the closures lie that the snapshot names, by hex digest. */
  snapshot_graphs: Record<string, string> | null;
  /** See `RunTimes`. */
  snapshot_times: Record<string, unknown> | null;
}

export interface LogRow {
  run_uid: string;
  first_seq: bigint;
  entry_count: number;
  segment: Buffer;
}

export type WholeLog = Record<'run_uid', string> & Record<'log', Buffer>;

export interface NewRun {
  uid: string;
  id: { org: string; project: string; domain: string; name: string };
  shard: number;
  phase: number;
  attention: boolean;
  start: Uint8Array;
  traceparent: string;
  tracestate: string;
  quarantine: string | null;
}

export interface RunUpdate {
  uid: string;
  phase: number;
  attention: boolean;
  quarantine: string | null;
  /** Milliseconds since the epoch; undefined while it runs. */
  endedAt: number | undefined;
}

export interface LogAppend {
  uid: string;
  firstSeq: bigint;
  count: number;
  segment: Uint8Array;
}

export interface SnapshotWrite {
  uid: string;
  nextSeq: bigint;
  state: Uint8Array;
  graphs: Record<string, string>;
  /** See `RunTimes`. */
  times: Record<string, unknown> | undefined;
}

export interface TimerWrite {
  uid: string;
  timer: bigint;
  shard: number;
  /** Milliseconds since the epoch. */
  at: number;
}

/** A child that its parent wants stopped: remembered until admin has been told. */
export interface ChildAbort {
  uid: string;
  shard: number;
  child: WorkflowExecutionIdentifier;
  cause: string;
}

export interface ReservationWrite {
  uid: string;
  attempt: string;
  shard: number;
  request: Uint8Array;
}

const insertRuns: Statement = {
  name: 'propeller_insert_runs',
  text: `INSERT INTO runs (uid, org, project, domain, name, shard, phase, attention, start, traceparent, tracestate, quarantine)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[], $7::smallint[],
      $8::boolean[], $9::bytea[], $10::text[], $11::text[], $12::text[])`,
};
const updateRuns: Statement = {
  name: 'propeller_update_runs',
  text: `UPDATE runs SET phase = u.phase, attention = u.attention, quarantine = u.quarantine,
      ended_at = coalesce(runs.ended_at, to_timestamp(u.ended_at / 1000))
    FROM unnest($1::uuid[], $2::smallint[], $3::boolean[], $4::text[], $5::float8[]) AS u (uid, phase, attention, quarantine, ended_at)
    WHERE runs.uid = u.uid`,
};
/** All segments travel as one binary parameter, cut apart by the database: an array of bytea would be sent as hex. */
const appendLog: Statement = {
  name: 'propeller_append_log',
  text: `INSERT INTO log (run_uid, first_seq, entry_count, segment)
    SELECT u.uid, u.seq, u.entries, substring($6::bytea FROM u.at FOR u.size)
    FROM unnest($1::uuid[], $2::bigint[], $3::int[], $4::int[], $5::int[]) AS u (uid, seq, entries, at, size)`,
};
const appendOne: Statement = {
  name: 'propeller_append_one',
  text: 'INSERT INTO log (run_uid, first_seq, entry_count, segment) VALUES ($1, $2, $3, $4)',
};
const writeSnapshots: Statement = {
  name: 'propeller_write_snapshots',
  text: `INSERT INTO snapshots (run_uid, next_seq, state, graphs, times)
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::jsonb[], $5::jsonb[])
    ON CONFLICT (run_uid) DO UPDATE SET next_seq = excluded.next_seq, state = excluded.state, graphs = excluded.graphs,
      times = excluded.times`,
};
const setTimers: Statement = {
  name: 'propeller_set_timers',
  text: `INSERT INTO timers (run_uid, timer, shard, fire_at)
    SELECT u.uid, u.timer, u.shard, to_timestamp(u.at / 1000)
    FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::float8[]) AS u (uid, timer, shard, at)
    ON CONFLICT (run_uid, timer) DO UPDATE SET fire_at = excluded.fire_at`,
};
const clearTimers: Statement = {
  name: 'propeller_clear_timers',
  text: `DELETE FROM timers USING unnest($1::uuid[], $2::bigint[]) AS u (uid, timer)
    WHERE run_uid = u.uid AND timers.timer = u.timer`,
};
const holdReservations: Statement = {
  name: 'propeller_hold_reservations',
  text: `INSERT INTO reservations (run_uid, attempt, shard, request)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::bytea[])
    ON CONFLICT (run_uid, attempt) DO UPDATE SET request = excluded.request`,
};
const dropReservations: Statement = {
  name: 'propeller_drop_reservations',
  text: `DELETE FROM reservations USING unnest($1::uuid[], $2::text[]) AS u (uid, attempt)
    WHERE run_uid = u.uid AND reservations.attempt = u.attempt`,
};
const smallLogs: Statement = {
  name: 'propeller_small_logs',
  text: `SELECT run_uid, string_agg(segment, ''::bytea ORDER BY first_seq) AS log FROM log
    WHERE run_uid IN (SELECT run_uid FROM log WHERE run_uid = ANY($1::uuid[]) GROUP BY run_uid HAVING sum(length(segment)) <= $2)
    GROUP BY run_uid`,
};
/** The first place counts: by the time a slow process comes with another, the run may have been erased. */
const buryRuns: Statement = {
  name: 'propeller_bury_runs',
  text: `UPDATE runs SET history_uri = u.uri, attention = false
    FROM unnest($1::uuid[], $2::text[]) AS u (uid, uri) WHERE runs.uid = u.uid AND runs.history_uri IS NULL`,
};
const trims: readonly Statement[] = ['log', 'snapshots', 'timers', 'reservations'].map((table) => ({
  name: `propeller_trim_${table}`,
  text: `DELETE FROM ${table} WHERE run_uid = ANY($1::uuid[])`,
}));
const loadRuns: Statement = {
  name: 'propeller_load_runs',
  text: `SELECT r.uid, r.shard, r.phase, r.attention, r.start, r.traceparent, r.tracestate, r.quarantine, r.history_uri,
      s.next_seq AS snapshot_seq, s.state AS snapshot, s.graphs AS snapshot_graphs,
      s.times AS snapshot_times
    FROM runs r LEFT JOIN snapshots s ON s.run_uid = r.uid WHERE r.uid = ANY($1::uuid[])`,
};
const loadLog: Statement = {
  name: 'propeller_load_log',
  text: `SELECT l.run_uid, l.first_seq, l.entry_count, l.segment
    FROM unnest($1::uuid[], $2::bigint[]) AS u (uid, seq) JOIN log l ON l.run_uid = u.uid AND l.first_seq >= u.seq
    ORDER BY l.run_uid, l.first_seq`,
};

const column = <T, K extends keyof T>(rows: readonly T[], key: K): T[K][] => rows.map((row) => row[key]);
const hex = (bytes: Uint8Array): string =>
  `\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}`;

/**
 * Every statement of the engine's schema. What a commit writes is sent with it and answered by it; an empty list costs nothing.
 */
export class RunsRepository {
  insertRuns(tx: Transaction, runs: readonly NewRun[]): void {
    if (runs.length === 0) return;
    tx.send(insertRuns, [
      column(runs, 'uid'),
      runs.map(({ id }) => id.org),
      runs.map(({ id }) => id.project),
      runs.map(({ id }) => id.domain),
      runs.map(({ id }) => id.name),
      column(runs, 'shard'),
      column(runs, 'phase'),
      column(runs, 'attention'),
      runs.map(({ start }) => hex(start)),
      column(runs, 'traceparent'),
      column(runs, 'tracestate'),
      column(runs, 'quarantine'),
    ]);
  }

  updateRuns(tx: Transaction, runs: readonly RunUpdate[]): void {
    if (runs.length === 0) return;
    tx.send(updateRuns, [
      column(runs, 'uid'),
      column(runs, 'phase'),
      column(runs, 'attention'),
      column(runs, 'quarantine'),
      runs.map(({ endedAt }) => endedAt ?? null),
    ]);
  }

  appendLog(tx: Transaction, rows: readonly LogAppend[]): void {
    if (rows.length === 0) return;
    const [first] = rows;
    if (rows.length === 1) {
      tx.send(appendOne, [first!.uid, first!.firstSeq, first!.count, first!.segment]);
      return;
    }
    const at: number[] = [];
    let next = 1;
    for (const { segment } of rows) {
      at.push(next);
      next += segment.length;
    }
    tx.send(appendLog, [
      column(rows, 'uid'),
      column(rows, 'firstSeq'),
      column(rows, 'count'),
      at,
      rows.map(({ segment }) => segment.length),
      Buffer.concat(column(rows, 'segment')),
    ]);
  }

  writeSnapshots(tx: Transaction, snapshots: readonly SnapshotWrite[]): void {
    if (snapshots.length === 0) return;
    tx.send(writeSnapshots, [
      arrayParameter('uuid', column(snapshots, 'uid')),
      arrayParameter('bigint', column(snapshots, 'nextSeq')),
      arrayParameter('bytea', column(snapshots, 'state')),
      arrayParameter(
        'jsonb',
        snapshots.map(({ graphs }) => JSON.stringify(graphs)),
      ),
      arrayParameter(
        'jsonb',
        snapshots.map(({ times }) => (times ? JSON.stringify(times) : null)),
      ),
    ]);
  }

  setTimers(tx: Transaction, timers: readonly TimerWrite[]): void {
    if (timers.length === 0) return;
    tx.send(setTimers, [column(timers, 'uid'), column(timers, 'timer'), column(timers, 'shard'), column(timers, 'at')]);
  }

  clearTimers(tx: Transaction, timers: readonly { uid: string; timer: bigint }[]): void {
    if (timers.length === 0) return;
    tx.send(clearTimers, [column(timers, 'uid'), column(timers, 'timer')]);
  }

  holdReservations(tx: Transaction, rows: readonly ReservationWrite[]): void {
    if (rows.length === 0) return;
    tx.send(holdReservations, [
      column(rows, 'uid'),
      column(rows, 'attempt'),
      column(rows, 'shard'),
      rows.map(({ request }) => hex(request)),
    ]);
  }

  dropReservations(tx: Transaction, rows: readonly { uid: string; attempt: string }[]): void {
    if (rows.length === 0) return;
    tx.send(dropReservations, [column(rows, 'uid'), column(rows, 'attempt')]);
  }

  rememberAborts(tx: Transaction, aborts: readonly ChildAbort[]): void {
    if (aborts.length === 0) return;
    tx.send(
      `INSERT INTO child_aborts (run_uid, name, shard, child, cause)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::bytea[], $5::text[]) ON CONFLICT DO NOTHING`,
      [
        column(aborts, 'uid'),
        aborts.map(({ child }) => child.name),
        column(aborts, 'shard'),
        aborts.map(({ child }) => hex(WorkflowExecutionIdentifier.encode(child).finish())),
        column(aborts, 'cause'),
      ],
    );
  }

  async forgetAbort(db: Queryable, { uid, child }: { uid: string; child: string }): Promise<void> {
    await db.query('DELETE FROM child_aborts WHERE run_uid = $1 AND name = $2', [uid, child]);
  }

  async childAborts(db: Queryable, shards: readonly number[]): Promise<ChildAbort[]> {
    const { rows } = await db.query<{ run_uid: string; shard: number; child: Buffer; cause: string }>(
      'SELECT run_uid, shard, child, cause FROM child_aborts WHERE shard = ANY($1::smallint[])',
      [shards],
    );
    return rows.map(({ run_uid, shard, child, cause }) => ({
      uid: run_uid,
      shard,
      child: WorkflowExecutionIdentifier.decode(child),
      cause,
    }));
  }

  async load(db: Queryable, uids: readonly string[]): Promise<{ runs: RunRow[]; log: Map<string, LogRow[]> }> {
    const { rows: runs } = await db.query<RunRow & Record<string, unknown>>(loadRuns, [uids]);
    const live = runs.filter((run) => run.history_uri === null);
    const log = new Map<string, LogRow[]>();
    if (live.length > 0) {
      const { rows } = await db.query<LogRow & Record<string, unknown>>(loadLog, [
        column(live, 'uid'),
        live.map(({ snapshot_seq }) => snapshot_seq ?? 1n),
      ]);
      for (const row of rows) {
        const list = log.get(row.run_uid);
        if (list) list.push(row);
        else log.set(row.run_uid, [row]);
      }
    }
    return { runs, log };
  }

  /** Runs of these shards that something has to be done for though no message about them may come. */
  async needingAttention(db: Queryable, shards: readonly number[]): Promise<{ uid: string }[]> {
    const { rows } = await db.query<{ uid: string }>(
      `SELECT uid FROM runs WHERE attention AND quarantine IS NULL AND shard = ANY($1::smallint[])`,
      [shards],
    );
    return rows;
  }

  /** Timers of these shards by time of firing, the first `limit`. Those of quarantined runs wait for their release. */
  async timers(
    db: Queryable,
    shards: readonly number[],
    until: number,
    limit: number,
  ): Promise<{ uid: string; timer: bigint; at: number }[]> {
    const { rows } = await db.query<{ uid: string; timer: bigint; at: number }>(
      `SELECT t.run_uid AS uid, t.timer, extract(epoch FROM t.fire_at)::float8 * 1000 AS at
        FROM timers t JOIN runs r ON r.uid = t.run_uid
        WHERE t.fire_at <= to_timestamp($2 / 1000.0) AND t.shard = ANY($1::smallint[]) AND r.quarantine IS NULL
        ORDER BY t.fire_at LIMIT $3`,
      [shards, until, limit],
    );
    return rows;
  }

  async timersOf(db: Queryable, uid: string): Promise<{ timer: bigint; at: number }[]> {
    const { rows } = await db.query<{ timer: bigint; at: number }>(
      'SELECT timer, extract(epoch FROM fire_at)::float8 * 1000 AS at FROM timers WHERE run_uid = $1',
      [uid],
    );
    return rows;
  }

  async reservations(
    db: Queryable,
    shards: readonly number[],
  ): Promise<{ run_uid: string; attempt: string; shard: number; request: Buffer }[]> {
    // One that was taken while its run ended, by a process that died before it gave it back, is nobody's.
    const { rows } = await db.query<{ run_uid: string; attempt: string; shard: number; request: Buffer }>(
      `WITH orphans AS (
         DELETE FROM reservations USING runs
         WHERE runs.uid = run_uid AND runs.history_uri IS NOT NULL AND reservations.shard = ANY($1::smallint[])
       )
       SELECT run_uid, attempt, reservations.shard, request FROM reservations JOIN runs ON runs.uid = run_uid
       WHERE runs.history_uri IS NULL AND reservations.shard = ANY($1::smallint[])`,
      [shards],
    );
    return rows;
  }

  /** The whole log of some runs, in order. */
  async histories(db: Queryable, uids: readonly string[]): Promise<LogRow[]> {
    const { rows } = await db.query<LogRow & Record<string, unknown>>(
      `SELECT run_uid, first_seq, entry_count, segment FROM log WHERE run_uid = ANY($1::uuid[]) ORDER BY run_uid, first_seq`,
      [uids],
    );
    return rows;
  }

  /** Those of at most so many bytes, each as one LogSegment: segments one behind the other are one. */
  async smallLogs(db: Queryable, uids: readonly string[], maxBytes: number): Promise<WholeLog[]> {
    return (await db.query<WholeLog>(smallLogs, [uids, maxBytes])).rows;
  }

  /** What is left of ended runs once their histories are written: a tombstone. */
  trim(tx: Transaction, runs: readonly { uid: string; historyUri: string }[]): void {
    const uids = column(runs, 'uid');
    tx.send(buryRuns, [uids, column(runs, 'historyUri')]);
    for (const statement of trims) tx.send(statement, [uids]);
  }

  async findHistory(db: Queryable, uid: string): Promise<{ historyUri: string | null } | undefined> {
    const { rows } = await db.query<{ history_uri: string | null }>('SELECT history_uri FROM runs WHERE uid = $1', [
      uid,
    ]);
    return rows[0] && { historyUri: rows[0].history_uri };
  }
}
