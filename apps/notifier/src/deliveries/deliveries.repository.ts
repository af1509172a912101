import type { Queryable } from '@aloft/database';

export type Channel = 'slack' | 'email';

/** One message to one recipient about one run. */
export interface PlannedDelivery {
  run: string;
  /** `plan:<index>` or `rule:<name>`. */
  source: string;
  channel: Channel;
  recipient: string;
  subject: string;
  body: string;
}

/** With what it is part of. */
export interface TracedDelivery extends PlannedDelivery {
  traceparent: string;
  /** When the run's end became durable. */
  toldAt: Date | null;
}

export interface ClaimedDelivery extends TracedDelivery {
  id: string;
  /** This one included. */
  attempts: number;
}

export class DeliveriesRepository {
  /** Those that exist already (same run, source, channel, recipient) stay as they are. */
  async add(db: Queryable, deliveries: readonly TracedDelivery[]): Promise<void> {
    if (deliveries.length === 0) return;
    const column = (name: keyof TracedDelivery) => deliveries.map((delivery) => delivery[name]);
    await db.query(
      `INSERT INTO deliveries (run, source, channel, recipient, subject, body, traceparent, told_at)
       SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
         $8::timestamptz[])
       ON CONFLICT DO NOTHING`,
      [
        column('run'),
        column('source'),
        column('channel'),
        column('recipient'),
        column('subject'),
        column('body'),
        column('traceparent'),
        column('toldAt'),
      ],
    );
  }

  /**
   * Takes one that is due, for `forMs`: an attempt that has not ended by then died with its process and is made again (the
   * only case in which a recipient may get a message twice).
   */
  async claim(db: Queryable, forMs: number): Promise<ClaimedDelivery | undefined> {
    const { rows } = await db.query<ClaimedDelivery>(
      `UPDATE deliveries SET state = 'sending', attempts = attempts + 1,
         due_at = clock_timestamp() + make_interval(secs => $1::float8 / 1000)
       WHERE id = (SELECT id FROM deliveries WHERE state IN ('pending', 'sending') AND due_at <= clock_timestamp()
                   ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING id, run, source, channel, recipient, subject, body, attempts,
         traceparent, told_at AS "toldAt"`,
      [forMs],
    );
    return rows[0];
  }

  async sent(db: Queryable, id: string): Promise<void> {
    await db.query(
      `UPDATE deliveries SET state = 'sent', ended_at = clock_timestamp(), last_error = '' WHERE id = $1`,
      [id],
    );
  }

  async retry(db: Queryable, id: string, delayMs: number, error: string): Promise<void> {
    await db.query(
      `UPDATE deliveries SET state = 'pending', last_error = $3,
         due_at = clock_timestamp() + make_interval(secs => $2::float8 / 1000)
       WHERE id = $1`,
      [id, delayMs, error],
    );
  }

  async failed(db: Queryable, id: string, error: string): Promise<void> {
    await db.query(
      `UPDATE deliveries SET state = 'failed', ended_at = clock_timestamp(), last_error = $2 WHERE id = $1`,
      [id, error],
    );
  }

  /** Milliseconds until the next one is due (0 = now); `undefined` if there is none. */
  async nextDue(db: Queryable): Promise<number | undefined> {
    const { rows } = await db.query<{ ms: number | null }>(
      `SELECT (extract(epoch FROM min(due_at) - clock_timestamp()) * 1000)::float8 AS ms FROM deliveries
       WHERE state IN ('pending', 'sending')`,
    );
    const ms = rows[0]?.ms ?? undefined;
    return ms === undefined ? undefined : Math.max(0, ms);
  }

  async prune(db: Queryable, days: number): Promise<void> {
    await db.query(
      `DELETE FROM deliveries WHERE state IN ('sent', 'failed') AND ended_at < clock_timestamp() - make_interval(days => $1)`,
      [days],
    );
  }
}
