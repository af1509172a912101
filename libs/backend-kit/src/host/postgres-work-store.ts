import type { Database, Queryable, Transaction } from '@aloft/database';
import { AloftError } from '@aloft/errors';
import { Envelope } from '@aloft/idl/aloft/v1/bus';
import { endStuckBlockers } from './stuck-sessions.js';
import type {
  AbortRequest,
  Added,
  Fence,
  FinishedBatch,
  Holder,
  Memory,
  Renewal,
  WorkRow,
  WorkStore,
} from './work-store.js';

interface WorkColumns {
  key: string;
  generation: string;
  command: Buffer;
  abort_reason: string | null;
  report: Buffer | null;
  losses: number;
  remembered: Buffer | null;
}

const columns = 'key, generation, command, abort_reason, report, losses, remembered';
/** Rows that nobody holds taken at once: hosts share what another one left. */
const maxUnheld = 50;

/** {@link WorkStore} over the schema that `backendMigrations` make; one backend's part of it. */
export class PostgresWorkStore implements WorkStore {
  constructor(
    private readonly database: Database,
    private readonly backend: string,
  ) {}

  async acquire(host: string, leaseMs: number): Promise<bigint> {
    return this.database.transaction(async (tx) => {
      // Waits for what an earlier process of the name is just committing: it is found by `load` then.
      await tx.query('SELECT 1 FROM host WHERE backend = $1 AND name = $2 FOR UPDATE', [this.backend, host]);
      const { rows } = await tx.query<{ epoch: string }>(
        `INSERT INTO host (backend, name, epoch, expires_at)
         VALUES ($1, $2, nextval('host_epoch'), clock_timestamp() + $3 * interval '1 ms')
         ON CONFLICT (backend, name) DO UPDATE SET epoch = excluded.epoch, expires_at = excluded.expires_at
         RETURNING epoch`,
        [this.backend, host, leaseMs],
      );
      return BigInt((rows[0] as { epoch: string }).epoch);
    });
  }

  async renew({ name, epoch }: Holder, leaseMs: number): Promise<Renewal> {
    const { rows } = await this.database.query<{ epoch: string; next_end: number | null; unheld: boolean }>(
      `UPDATE host
       SET expires_at = CASE WHEN epoch = $3 THEN clock_timestamp() + $4 * interval '1 ms' ELSE expires_at END
       WHERE backend = $1 AND name = $2
       RETURNING epoch,
         (SELECT extract(epoch FROM min(o.expires_at) - clock_timestamp()) * 1000
          FROM host o WHERE o.backend = $1 AND o.name <> $2)::float8 AS next_end,
         EXISTS (SELECT 1 FROM work WHERE backend = $1 AND host = '')
           OR EXISTS (SELECT 1 FROM finished WHERE backend = $1 AND host = '') AS unheld`,
      [this.backend, name, epoch, leaseMs],
    );
    const row = rows[0];
    if (!row) return { state: 'taken' };
    const state = BigInt(row.epoch) === epoch ? 'held' : 'fenced';
    return { state, nextEndMs: row.next_end ?? undefined, unheld: row.unheld };
  }

  async release({ name, epoch }: Holder, forget = false): Promise<void> {
    if (forget)
      await this.database.query(
        `DELETE FROM host WHERE backend = $1 AND name = $2 AND epoch = $3
           AND NOT EXISTS (SELECT 1 FROM work WHERE backend = $1 AND host = $2)`,
        [this.backend, name, epoch],
      );
    await this.database.query('UPDATE host SET expires_at = now() WHERE backend = $1 AND name = $2 AND epoch = $3', [
      this.backend,
      name,
      epoch,
    ]);
  }

  async load(host: string) {
    const { rows: finished } = await this.database.query<FinishedBatch>(
      'SELECT id, reports FROM finished WHERE backend = $1 AND host = $2',
      [this.backend, host],
    );
    const { rows } = await this.database.query<{ key: string; generation: string }>(
      'SELECT key, generation FROM fence WHERE backend = $1 ORDER BY at',
      [this.backend],
    );
    return { finished, fences: rows.map((row) => ({ key: row.key, generation: Number(row.generation) })) };
  }

  async take(holder: Holder, marginMs: number) {
    return endStuckBlockers(this.database, async (tx) => {
      await this.checkLease(tx, holder);
      // Also waits for a commit under way of a host that is only slow: its rows are then seen below.
      const hosts = await tx.query<{ name: string }>(
        `DELETE FROM host WHERE backend = $1 AND name <> $2 AND expires_at < clock_timestamp() - $3 * interval '1 ms'
         RETURNING name`,
        [this.backend, holder.name, marginMs],
      );
      const lost = hosts.rows.map((row) => row.name);
      const work = await tx.query<WorkColumns>(
        `WITH of_lost AS (SELECT key FROM work WHERE backend = $1 AND host = ANY($3) ORDER BY seq FOR UPDATE),
         unheld AS (
           SELECT key FROM work WHERE backend = $1 AND host = '' ORDER BY seq LIMIT ${maxUnheld} FOR UPDATE SKIP LOCKED
         ),
         mine AS (SELECT key FROM of_lost UNION ALL SELECT key FROM unheld),
         taken AS (
           UPDATE work SET host = $2, losses = losses + (work.host <> '')::int FROM mine
           WHERE work.backend = $1 AND work.key = mine.key RETURNING work.*
         )
         SELECT ${columns} FROM taken ORDER BY seq`,
        [this.backend, holder.name, lost],
      );
      const finished = await tx.query<FinishedBatch>(
        `UPDATE finished SET host = $2
         WHERE id IN (SELECT id FROM finished WHERE backend = $1 AND (host = '' OR host = ANY($3)) FOR UPDATE SKIP LOCKED)
         RETURNING id, reports`,
        [this.backend, holder.name, lost],
      );
      if (lost.length > 0)
        await tx.query('UPDATE superseded SET host = $2 WHERE backend = $1 AND host = ANY($3)', [
          this.backend,
          holder.name,
          lost,
        ]);
      const rows = work.rows.map(rowOf);
      return { work: rows, finished: finished.rows, lost, more: rows.length >= maxUnheld };
    });
  }

  async held(host: string) {
    type Held = Pick<WorkColumns, 'key' | 'generation' | 'abort_reason' | 'losses'> & { is_remembered: boolean };
    const { rows } = await this.database.query<Held>(
      `SELECT key, generation, abort_reason, losses, remembered IS NOT NULL AS is_remembered
         FROM work WHERE backend = $1 AND host = $2 ORDER BY seq`,
      [this.backend, host],
    );
    return rows.map((row) => ({
      key: row.key,
      generation: Number(row.generation),
      abortReason: row.abort_reason ?? undefined,
      losses: row.losses,
      remembered: row.is_remembered,
    }));
  }

  async rows(host: string, keys: readonly string[]): Promise<WorkRow[]> {
    const { rows } = await this.database.query<WorkColumns>(
      `SELECT ${columns} FROM work WHERE backend = $1 AND host = $2 AND key = ANY($3) ORDER BY seq`,
      [this.backend, host, keys],
    );
    return rows.map(rowOf);
  }

  async abortsOf(host: string) {
    const { rows } = await this.database.query<{ key: string; generation: string; abort_reason: string }>(
      'SELECT key, generation, abort_reason FROM work WHERE backend = $1 AND host = $2 AND abort_reason IS NOT NULL',
      [this.backend, host],
    );
    return rows.map((row) => ({ key: row.key, generation: Number(row.generation), reason: row.abort_reason }));
  }

  async add(tx: Transaction, holder: Holder, rows: readonly WorkRow[], shared: boolean): Promise<Added> {
    const refused = new Set<string>();
    const waiting = new Map<string, string>();
    const newest = new Map<string, WorkRow>();
    for (const row of rows) if ((newest.get(row.key)?.generation ?? -1) < row.generation) newest.set(row.key, row);
    let open = [...newest.values()];
    while (open.length > 0) {
      const inserted = await this.insert(tx, holder, open);
      if (shared && inserted.size > 0)
        // A statement of its own: what was deleted to make room for our row left its fence, which is seen by now.
        for (const key of await this.removeFenced(tx, holder.name, [...inserted])) refused.add(key);
      open = open.filter(({ key }) => !inserted.has(key));
      if (open.length > 0) open = await this.meet(tx, holder.name, open, refused, waiting);
    }
    return { refused, waiting };
  }

  private async insert(tx: Transaction, { name, epoch }: Holder, rows: readonly WorkRow[]): Promise<Set<string>> {
    const answer = await tx.query<{ held: boolean; keys: string[] }>(
      `WITH lease AS (SELECT 1 FROM host WHERE backend = $1 AND name = $2 AND epoch = $3 FOR KEY SHARE),
       inserted AS (
         INSERT INTO work (backend, host, key, generation, command)
         SELECT $1, $2, r.* FROM unnest($4::text[], $5::bigint[], $6::bytea[]) AS r, lease
         ON CONFLICT (backend, key) DO NOTHING RETURNING key
       )
       SELECT EXISTS (SELECT 1 FROM lease) AS held, ARRAY(SELECT key FROM inserted) AS keys`,
      [
        this.backend,
        name,
        epoch,
        rows.map((row) => row.key),
        rows.map((row) => row.generation),
        rows.map((row) => Buffer.from(Envelope.encode(row.command).finish())),
      ],
    );
    const { held, keys } = answer.rows[0] as { held: boolean; keys: string[] };
    if (!held) throw notHeld(this.backend, name);
    return new Set(keys);
  }

  /** Rows that are there already; resolves to those that turned out to be gone, for another try. */
  private async meet(
    tx: Transaction,
    host: string,
    rows: readonly WorkRow[],
    refused: Set<string>,
    waiting: Map<string, string>,
  ): Promise<WorkRow[]> {
    const keys = rows.map(({ key }) => key);
    const there = await tx.query<{ key: string; generation: string; host: string }>(
      'SELECT key, generation, host FROM work WHERE backend = $1 AND key = ANY($2) ORDER BY key FOR UPDATE',
      [this.backend, keys],
    );
    const found = new Map(there.rows.map((row) => [row.key, row]));
    const again: WorkRow[] = [];
    for (const row of rows) {
      const other = found.get(row.key);
      if (!other) again.push(row);
      else if (Number(other.generation) < row.generation) {
        await this.replace(tx, host, row);
        if (other.host !== host && other.host !== '') waiting.set(row.key, other.host);
      } else if (Number(other.generation) > row.generation || other.host !== host) refused.add(row.key);
    }
    if (again.length === 0) return again;
    const fences = await tx.query<{ key: string; generation: string }>(
      'SELECT key, generation FROM fence WHERE backend = $1 AND key = ANY($2)',
      [this.backend, again.map(({ key }) => key)],
    );
    const fenced = new Map(fences.rows.map((row) => [row.key, Number(row.generation)]));
    const ended = (row: WorkRow) => (fenced.get(row.key) ?? -1) >= row.generation;
    for (const row of again) if (ended(row)) refused.add(row.key);
    return again.filter((row) => !ended(row));
  }

  /** A newer generation: whoever else has the older one ends it first. */
  private async replace(tx: Transaction, host: string, row: WorkRow): Promise<void> {
    await tx.query(
      `INSERT INTO superseded (backend, key, generation, host, command, remembered)
       SELECT backend, key, generation, host, command, remembered FROM work
       WHERE backend = $1 AND key = $2 AND host <> $3 AND host <> '' AND report IS NULL ON CONFLICT DO NOTHING`,
      [this.backend, row.key, host],
    );
    await tx.query(
      `UPDATE work SET generation = $3, host = $4, command = $5, abort_reason = NULL, report = NULL, losses = 0,
         remembered = NULL
       WHERE backend = $1 AND key = $2`,
      [this.backend, row.key, row.generation, host, Buffer.from(Envelope.encode(row.command).finish())],
    );
  }

  private async removeFenced(tx: Transaction, host: string, keys: readonly string[]): Promise<string[]> {
    const { rows } = await tx.query<{ key: string }>(
      `DELETE FROM work USING fence WHERE work.backend = $1 AND work.host = $2 AND work.key = ANY($3)
         AND fence.backend = $1 AND fence.key = work.key AND fence.generation >= work.generation RETURNING work.key`,
      [this.backend, host, keys],
    );
    return rows.map(({ key }) => key);
  }

  async requestAbort(tx: Transaction, host: string, aborts: readonly AbortRequest[]): Promise<string[]> {
    if (aborts.length === 0) return [];
    const { rows } = await tx.query<{ host: string }>(
      `UPDATE work SET abort_reason = request.reason
       FROM unnest($2::text[], $3::bigint[], $4::text[]) AS request (key, generation, reason)
       WHERE work.backend = $1 AND work.key = request.key AND work.generation <= request.generation
       RETURNING work.host`,
      [this.backend, aborts.map((a) => a.key), aborts.map((a) => a.generation), aborts.map((a) => a.reason)],
    );
    await this.fence(tx, aborts);
    return [...new Set(rows.map((row) => row.host))].filter((name) => name !== host && name !== '');
  }

  async addFinished(tx: Transaction, holder: Holder, batches: readonly FinishedBatch[]): Promise<void> {
    if (batches.length === 0) return;
    const { rowCount } = await tx.query(
      `INSERT INTO finished (backend, host, id, reports)
       SELECT $1, $2, r.* FROM unnest($4::text[], $5::bytea[]) AS r,
         (SELECT 1 FROM host WHERE backend = $1 AND name = $2 AND epoch = $3 FOR KEY SHARE) AS lease`,
      [
        this.backend,
        holder.name,
        holder.epoch,
        batches.map((batch) => batch.id),
        batches.map((batch) => Buffer.from(batch.reports)),
      ],
    );
    if (rowCount !== batches.length) throw notHeld(this.backend, holder.name);
  }

  private async fence(queryable: Queryable, fences: readonly Fence[]): Promise<void> {
    if (fences.length === 0) return;
    // One row a key: ON CONFLICT must not meet the same key twice in a statement.
    const highest = new Map<string, number>();
    for (const { key, generation } of fences) highest.set(key, Math.max(generation, highest.get(key) ?? 0));
    await queryable.query(
      `INSERT INTO fence (backend, key, generation) SELECT $1, * FROM unnest($2::text[], $3::bigint[]) ORDER BY 2
       ON CONFLICT (backend, key) DO UPDATE SET generation = greatest(fence.generation, excluded.generation), at = now()`,
      [this.backend, [...highest.keys()], [...highest.values()]],
    );
  }

  recordEnds(holder: Holder, ends: readonly { key: string; generation: number; report: Uint8Array }[]) {
    return this.note(
      'report',
      holder,
      ends.map((end) => ({ ...end, bytes: end.report })),
    );
  }

  remember(holder: Holder, memories: readonly Memory[]) {
    return this.note(
      'remembered',
      holder,
      memories.map((memory) => ({ ...memory, bytes: memory.state })),
    );
  }

  /** Sets a column of rows that are this holder's; resolves to their keys. */
  private async note(
    column: 'report' | 'remembered',
    holder: Holder,
    notes: readonly (Fence & { bytes: Uint8Array })[],
  ): Promise<Set<string>> {
    const { rows } = await this.database.query<{ key: string }>(
      `WITH lease AS (SELECT 1 FROM host WHERE backend = $1 AND name = $2 AND epoch = $3 FOR KEY SHARE)
       UPDATE work SET ${column} = r.bytes
       FROM unnest($4::text[], $5::bigint[], $6::bytea[]) AS r (key, generation, bytes), lease
       WHERE work.backend = $1 AND work.key = r.key AND work.generation = r.generation AND work.host = $2
       RETURNING work.key`,
      [
        this.backend,
        holder.name,
        holder.epoch,
        notes.map((note) => note.key),
        notes.map((note) => note.generation),
        notes.map((note) => Buffer.from(note.bytes)),
      ],
    );
    return new Set(rows.map(({ key }) => key));
  }

  async give({ name, epoch }: Holder, to: string, keys: readonly string[]) {
    const { rows } = await this.database.query<{ key: string }>(
      `WITH live AS (
         SELECT 1 FROM host WHERE backend = $1 AND name = $4 AND expires_at > clock_timestamp() FOR KEY SHARE
       ),
       lease AS (SELECT 1 FROM host WHERE backend = $1 AND name = $2 AND epoch = $3 FOR KEY SHARE)
       UPDATE work SET host = $4 FROM live, lease
       WHERE work.backend = $1 AND work.host = $2 AND work.key = ANY($5) AND report IS NULL RETURNING work.key`,
      [this.backend, name, epoch, to, keys],
    );
    return new Set(rows.map(({ key }) => key));
  }

  async handOver({ name, epoch }: Holder, keys?: readonly string[]): Promise<void> {
    const lease = 'EXISTS (SELECT 1 FROM host WHERE backend = $1 AND name = $2 AND epoch = $3)';
    if (keys) {
      if (keys.length === 0) return;
      await this.database.query(
        `UPDATE work SET host = '' WHERE backend = $1 AND host = $2 AND ${lease} AND key = ANY($4)`,
        [this.backend, name, epoch, keys],
      );
      return;
    }
    await this.database.transaction(async (tx) => {
      for (const table of ['work', 'finished'])
        await tx.query(`UPDATE ${table} SET host = '' WHERE backend = $1 AND host = $2 AND ${lease}`, [
          this.backend,
          name,
          epoch,
        ]);
    });
  }

  async superseded(host: string): Promise<WorkRow[]> {
    const { rows } = await this.database.query<WorkColumns>(
      `SELECT key, generation, command, NULL AS abort_reason, NULL AS report, 0 AS losses, remembered
       FROM superseded WHERE backend = $1 AND host = $2`,
      [this.backend, host],
    );
    return rows.map(rowOf);
  }

  async existing(keys: readonly string[]): Promise<ReadonlySet<string>> {
    const { rows } = await this.database.query<{ key: string }>(
      'SELECT key FROM work WHERE backend = $1 AND key = ANY($2)',
      [this.backend, keys],
    );
    return new Set(rows.map(({ key }) => key));
  }

  async stillEnding(keys: readonly string[]): Promise<ReadonlySet<string>> {
    const { rows } = await this.database.query<{ key: string }>(
      'SELECT key FROM superseded WHERE backend = $1 AND key = ANY($2)',
      [this.backend, keys],
    );
    return new Set(rows.map(({ key }) => key));
  }

  async supersededEnded(ended: readonly Fence[]): Promise<void> {
    if (ended.length === 0) return;
    await this.database.query(
      `DELETE FROM superseded USING unnest($2::text[], $3::bigint[]) AS e (key, generation)
       WHERE superseded.backend = $1 AND superseded.key = e.key AND superseded.generation = e.generation`,
      [this.backend, ended.map((e) => e.key), ended.map((e) => e.generation)],
    );
  }

  /** Rows before fences, as an abort that comes at the same time: two that lock them the other way round end each other. */
  async end(host: string, ended: readonly Fence[]): Promise<void> {
    if (ended.length === 0) return;
    await this.database.query(
      `WITH ended AS (SELECT * FROM unnest($3::text[], $4::bigint[]) AS e (key, generation)),
       gone AS (
         DELETE FROM work USING ended WHERE work.backend = $1 AND work.host = $2
           AND work.key = ended.key AND work.generation <= ended.generation RETURNING 1
       )
       INSERT INTO fence (backend, key, generation)
       SELECT $1, key, max(generation) FROM ended, (SELECT count(*) FROM gone) AS first GROUP BY key ORDER BY key
       ON CONFLICT (backend, key) DO UPDATE SET generation = greatest(fence.generation, excluded.generation), at = now()`,
      [this.backend, host, ended.map((e) => e.key), ended.map((e) => e.generation)],
    );
  }

  async deleteFinished(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.database.query('DELETE FROM finished WHERE id = ANY($1)', [ids]);
  }

  async prune(olderThanMs: number): Promise<void> {
    await this.database.query(`DELETE FROM fence WHERE backend = $1 AND at < now() - $2 * interval '1 ms'`, [
      this.backend,
      olderThanMs,
    ]);
  }

  private async checkLease(tx: Transaction, { name, epoch }: Holder): Promise<void> {
    const { rowCount } = await tx.query(
      'SELECT 1 FROM host WHERE backend = $1 AND name = $2 AND epoch = $3 FOR KEY SHARE',
      [this.backend, name, epoch],
    );
    if (rowCount === 0) throw notHeld(this.backend, name);
  }
}

function rowOf(row: WorkColumns): WorkRow {
  return {
    key: row.key,
    generation: Number(row.generation),
    command: Envelope.decode(row.command),
    abortReason: row.abort_reason ?? undefined,
    report: row.report ?? undefined,
    losses: row.losses,
    remembered: row.remembered ?? undefined,
  };
}

const notHeld = (backend: string, host: string) =>
  new AloftError('ABORTED', `host ${host} of the backend "${backend}" no longer holds its lease`);
