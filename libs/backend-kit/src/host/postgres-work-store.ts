import type { Database, Queryable, Transaction } from '@aloft/database';
import { Envelope } from '@aloft/idl/aloft/v1/bus';
import type { Fence, FinishedBatch, LeaseState, WorkRow, WorkStore } from './work-store.js';

/** {@link WorkStore} over the schema that `backendMigrations` make; one backend's part of it. */
export class PostgresWorkStore implements WorkStore {
  constructor(
    private readonly database: Database,
    private readonly backend: string,
  ) {}

  async acquire(host: string, leaseMs: number): Promise<bigint> {
    const { rows } = await this.database.query<{ epoch: string }>(
      `INSERT INTO host (backend, name, epoch, expires_at) VALUES ($1, $2, 1, now() + $3 * interval '1 ms')
       ON CONFLICT (backend, name) DO UPDATE SET epoch = host.epoch + 1, expires_at = excluded.expires_at
       RETURNING epoch`,
      [this.backend, host, leaseMs],
    );
    return BigInt((rows[0] as { epoch: string }).epoch);
  }

  async renew(host: string, epoch: bigint, leaseMs: number): Promise<LeaseState> {
    const { rows } = await this.database.query<{ epoch: string }>(
      `UPDATE host SET expires_at = CASE WHEN epoch = $3 THEN now() + $4 * interval '1 ms' ELSE expires_at END
       WHERE backend = $1 AND name = $2 RETURNING epoch`,
      [this.backend, host, epoch, leaseMs],
    );
    const row = rows[0];
    if (!row) return 'taken';
    return BigInt(row.epoch) === epoch ? 'held' : 'fenced';
  }

  async release(host: string, epoch: bigint): Promise<void> {
    await this.database.query('UPDATE host SET expires_at = now() WHERE backend = $1 AND name = $2 AND epoch = $3', [
      this.backend,
      host,
      epoch,
    ]);
  }

  async load(host: string, takeOver: boolean) {
    return this.database.transaction(async (tx) => {
      if (takeOver) await this.takeOver(tx, host);
      const work = await tx.query<{ key: string; generation: string; command: Buffer; abort_reason: string | null }>(
        'SELECT key, generation, command, abort_reason FROM work WHERE backend = $1 AND host = $2 ORDER BY seq',
        [this.backend, host],
      );
      const finished = await tx.query<FinishedBatch>(
        'SELECT id, reports FROM finished WHERE backend = $1 AND host = $2',
        [this.backend, host],
      );
      const fences = await tx.query<{ key: string; generation: string }>(
        'SELECT key, generation FROM fence WHERE backend = $1 ORDER BY at',
        [this.backend],
      );
      return {
        work: work.rows.map((row) => ({
          key: row.key,
          generation: Number(row.generation),
          command: Envelope.decode(row.command),
          abortReason: row.abort_reason ?? undefined,
        })),
        finished: finished.rows,
        fences: fences.rows.map((row) => ({ key: row.key, generation: Number(row.generation) })),
      };
    });
  }

  async abortsOf(host: string) {
    const { rows } = await this.database.query<{ key: string; generation: string; abort_reason: string }>(
      'SELECT key, generation, abort_reason FROM work WHERE backend = $1 AND host = $2 AND abort_reason IS NOT NULL',
      [this.backend, host],
    );
    return rows.map((row) => ({ key: row.key, generation: Number(row.generation), reason: row.abort_reason }));
  }

  async add(tx: Transaction, host: string, rows: readonly WorkRow[]): Promise<void> {
    if (rows.length === 0) return;
    await tx.query(
      `INSERT INTO work (backend, host, key, generation, command)
       SELECT $1, $2, * FROM unnest($3::text[], $4::bigint[], $5::bytea[])
       ON CONFLICT (backend, key) DO UPDATE
         SET generation = excluded.generation, host = excluded.host, command = excluded.command, abort_reason = NULL
         WHERE work.generation < excluded.generation`,
      [
        this.backend,
        host,
        rows.map((row) => row.key),
        rows.map((row) => row.generation),
        rows.map((row) => Buffer.from(Envelope.encode(row.command).finish())),
      ],
    );
  }

  async requestAbort(tx: Transaction, aborts: readonly { key: string; generation: number; reason: string }[]) {
    if (aborts.length === 0) return;
    await tx.query(
      `UPDATE work SET abort_reason = request.reason
       FROM unnest($2::text[], $3::bigint[], $4::text[]) AS request (key, generation, reason)
       WHERE work.backend = $1 AND work.key = request.key AND work.generation <= request.generation`,
      [this.backend, aborts.map((a) => a.key), aborts.map((a) => a.generation), aborts.map((a) => a.reason)],
    );
    await this.fence(tx, aborts);
  }

  async addFinished(tx: Transaction, host: string, batches: readonly FinishedBatch[]): Promise<void> {
    if (batches.length === 0) return;
    await tx.query(
      'INSERT INTO finished (backend, host, id, reports) SELECT $1, $2, * FROM unnest($3::text[], $4::bytea[])',
      [this.backend, host, batches.map((batch) => batch.id), batches.map((batch) => Buffer.from(batch.reports))],
    );
  }

  async fence(queryable: Queryable, fences: readonly Fence[]): Promise<void> {
    if (fences.length === 0) return;
    // One row a key: ON CONFLICT must not meet the same key twice in a statement.
    const highest = new Map<string, number>();
    for (const { key, generation } of fences) highest.set(key, Math.max(generation, highest.get(key) ?? 0));
    await queryable.query(
      `INSERT INTO fence (backend, key, generation) SELECT $1, * FROM unnest($2::text[], $3::bigint[])
       ON CONFLICT (backend, key) DO UPDATE SET generation = greatest(fence.generation, excluded.generation), at = now()`,
      [this.backend, [...highest.keys()], [...highest.values()]],
    );
  }

  async end(ended: readonly Fence[]): Promise<void> {
    if (ended.length === 0) return;
    await this.database.query(
      `WITH ended AS (SELECT * FROM unnest($2::text[], $3::bigint[]) AS e (key, generation)),
       gone AS (
         DELETE FROM work USING ended
         WHERE work.backend = $1 AND work.key = ended.key AND work.generation <= ended.generation
       )
       INSERT INTO fence (backend, key, generation) SELECT $1, key, max(generation) FROM ended GROUP BY key
       ON CONFLICT (backend, key) DO UPDATE SET generation = greatest(fence.generation, excluded.generation), at = now()`,
      [this.backend, ended.map((e) => e.key), ended.map((e) => e.generation)],
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

  /** Everything of hosts whose lease ended becomes this host's; the old holder finds its lease gone. */
  private async takeOver(tx: Transaction, host: string): Promise<void> {
    const { rows } = await tx.query<{ name: string }>(
      'DELETE FROM host WHERE backend = $1 AND name <> $2 AND expires_at < now() RETURNING name',
      [this.backend, host],
    );
    const gone = rows.map((row) => row.name);
    if (gone.length === 0) return;
    await tx.query('UPDATE work SET host = $2 WHERE backend = $1 AND host = ANY($3)', [this.backend, host, gone]);
    await tx.query('UPDATE finished SET host = $2 WHERE backend = $1 AND host = ANY($3)', [this.backend, host, gone]);
  }
}
