import type { Database, Statement } from '@aloft/database';
import { Envelope } from '@aloft/idl/aloft/v1/bus';
import { splitRow } from '../../batch.js';
import type { Stream } from '../../port.js';

/** Group of the relays' leases in `bus_streams`. */
export const relayGroup = '@outbox';

const rowsAtOnce = 64;

export const outboxStatement: Statement = {
  name: 'aloft_bus_outbox_publish',
  text: 'SELECT heads, at_ms AS at FROM bus_outbox_publish($1, $2, $3, $4, $5, $6, $7)',
};

const readStatement: Statement = {
  name: 'aloft_bus_outbox_read',
  text: `SELECT s.head, o.first, o.last, o.published_at, o.payload
         FROM bus_outbox_streams s LEFT JOIN LATERAL (
           SELECT first, last, published_at, payload FROM bus_outbox
           WHERE topic = s.topic AND partition = s.partition AND last > $3 ORDER BY last LIMIT ${rowsAtOnce}
         ) AS o ON true
         WHERE s.topic = $1 AND s.partition = $2 ORDER BY o.last`,
};

const removeStatement = `DELETE FROM bus_outbox o USING unnest($1::text[], $2::int[], $3::int8[], $4::int8[]) AS u(topic, partition, low, high)
         WHERE o.topic = u.topic AND o.partition = u.partition AND o.last > u.low AND o.last <= u.high`;

/** Messages of one commit in one stream's outbox. */
export interface OutboxPart {
  first: bigint;
  messages: readonly { envelope: Envelope; bytes: Uint8Array }[];
  /** When it was published, by the database's clock. */
  at: number;
}

/** What a service's database holds for Kafka. */
export class Outbox {
  constructor(readonly database: Database) {}

  /** What is stored of a stream after a sequence, oldest first (unless `isAll`, there is more), and its last sequence. */
  async read(
    { topic, partition }: Stream,
    after: bigint,
  ): Promise<{ head: bigint; parts: OutboxPart[]; isAll: boolean }> {
    const { rows } = await this.database.query<{
      head: bigint;
      first: bigint | null;
      last: bigint;
      published_at: Date;
      payload: Buffer;
    }>(readStatement, [topic, partition, after]);
    const parts = rows
      .filter(({ first }) => first !== null)
      .map(({ first, published_at: at, payload }) => ({
        first: first!,
        at: at.getTime(),
        messages: splitRow(payload, 0).map((bytes) => ({ envelope: Envelope.decode(bytes), bytes })),
      }));
    return { head: rows[0]?.head ?? 0n, parts, isAll: parts.length < rowsAtOnce };
  }

  /** Removes what Kafka has. Lost in a crash it comes again and is sent again, which consumers see; so nobody waits for it. */
  async remove(sent: readonly { stream: Stream; after: bigint; to: bigint }[]): Promise<void> {
    await this.database.transaction(async (tx) => {
      // Both in one write. Where the connection is lost both fail, and both are heard.
      await Promise.all([
        tx.query('SET LOCAL synchronous_commit TO off'),
        tx.query(removeStatement, [
          sent.map(({ stream }) => stream.topic),
          sent.map(({ stream }) => stream.partition),
          sent.map(({ after }) => after),
          sent.map(({ to }) => to),
        ]),
      ]);
    });
  }

  /** Streams with messages that no living relay is there for. */
  async orphans(): Promise<Stream[]> {
    const { rows } = await this.database.query<Stream>(
      `SELECT s.topic, s.partition FROM bus_outbox_streams s
       LEFT JOIN bus_streams l ON l.group_name = $1 AND l.topic = s.topic AND l.partition = s.partition
       WHERE (l.owner IS NULL OR l.expires_at < clock_timestamp() OR NOT EXISTS (
               SELECT 1 FROM pg_stat_activity a WHERE a.pid = l.session_pid AND a.backend_start = l.session_start))
         AND EXISTS (SELECT 1 FROM bus_outbox o WHERE o.topic = s.topic AND o.partition = s.partition)`,
      [relayGroup],
    );
    return rows;
  }

  /** Of these streams, those that still hold messages, with the last sequence each has given out now. */
  async unsent(streams: readonly Stream[]): Promise<{ stream: Stream; head: bigint }[]> {
    const { rows } = await this.database.query<{ topic: string; partition: number; head: bigint }>(
      `SELECT s.topic, s.partition, s.head FROM bus_outbox_streams s
       JOIN unnest($1::text[], $2::int[]) AS u(topic, partition) ON u.topic = s.topic AND u.partition = s.partition
       WHERE EXISTS (SELECT 1 FROM bus_outbox o WHERE o.topic = s.topic AND o.partition = s.partition)`,
      [streams.map(({ topic }) => topic), streams.map(({ partition }) => partition)],
    );
    return rows.map(({ topic, partition, head }) => ({ stream: { topic, partition }, head }));
  }

  /** Whether everything up to a sequence has left. */
  async hasLeft({ topic, partition }: Stream, sequence: bigint): Promise<boolean> {
    const { rows } = await this.database.query<{ waits: boolean }>(
      `SELECT EXISTS (SELECT 1 FROM bus_outbox WHERE topic = $1 AND partition = $2 AND first <= $3) AS waits`,
      [topic, partition, sequence],
    );
    return !rows[0]!.waits;
  }
}
