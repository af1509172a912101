import { randomUUID } from 'node:crypto';
import type { Database } from '@aloft/database';
import { toAloftError, unavailable } from '@aloft/errors';
import { createLogger, type Logger } from '@aloft/telemetry';
import pg from 'pg';
import type { HeldLease, Stream, StreamLeases } from '../port.js';
import type { SessionId } from './members.js';

export interface StreamLeasesOptions {
  group: string;
  /** Default 10,000 ms. Renew every third of it. */
  leaseMs?: number;
  /** Unique to this process' life; default: random. */
  owner?: string;
  /**
   * Another owner of the group (which has this set, too) gave leases up, came or went: heard over the session, without a
   * connection of its own.
   */
  onChanged?: () => void;
  logger?: Logger;
}

export interface OwnedStreamLeases extends StreamLeases {
  readonly owner: string;
  /** Those that were held at the last answer. */
  readonly held: readonly HeldLease[];
  /**
   * As {@link StreamLeases.acquire}, but at most `most` of the streams that nobody holds: dead owners' are taken all the
   * same, for they wait for somebody.
   */
  acquire(streams: readonly Stream[], most?: number): Promise<HeldLease[]>;
  /** The session that stands for this owner. */
  session(): Promise<SessionId>;
  /** Tells the others' `onChanged`. {@link StreamLeases.release} does so itself. */
  announce(): Promise<void>;
  /** Ends the session that stands for this owner; what it still holds is free from then on. */
  close(): Promise<void>;
}

/**
 * Leases of a group's streams, in the schema of `database` (table `bus_streams`). A lease ends by release, by expiry, or
 * with its owner's session: when a process is killed, the next one takes over at once instead of waiting for expiry.
 * Times are the database's.
 */
export function createStreamLeases(database: Database, options: StreamLeasesOptions): OwnedStreamLeases {
  return new Leases(database, options);
}

/** One idle connection, whose end tells the others that this process is gone. */
interface Session extends SessionId {
  client: pg.Client;
}

interface LeaseRow {
  topic: string;
  partition: number;
  epoch: bigint;
  expires_at: Date;
}

class Leases implements OwnedStreamLeases {
  readonly owner: string;
  readonly #group: string;
  readonly #leaseMs: number;
  readonly #log: Logger;
  readonly #onChanged: (() => void) | undefined;
  readonly #channel: string;
  readonly #held = new Map<string, HeldLease>();
  #session: Promise<Session> | undefined;
  #closed = false;

  constructor(
    readonly database: Database,
    options: StreamLeasesOptions,
  ) {
    this.owner = options.owner ?? randomUUID();
    this.#group = options.group;
    this.#leaseMs = options.leaseMs ?? 10_000;
    this.#onChanged = options.onChanged;
    this.#channel = `aloft_leases_${database.schema}_${options.group}`;
    this.#log = options.logger ?? createLogger('bus', { level: 'warn' });
  }

  get held(): readonly HeldLease[] {
    return [...this.#held.values()];
  }

  async session(): Promise<SessionId> {
    const { pid, start } = await this.#openSession();
    return { pid, start };
  }

  async acquire(streams: readonly Stream[], most?: number): Promise<HeldLease[]> {
    const { pid, start } = await this.#openSession();
    const topics = streams.map(({ topic }) => topic);
    const partitions = streams.map(({ partition }) => partition);
    // What is ours in the table at another epoch was given to us by an answer that got lost: it is taken again.
    const known = streams.map((stream) => this.#held.get(keyOf(stream))?.epoch ?? 0n);
    await this.database.query(
      `INSERT INTO bus_streams (group_name, topic, partition)
       SELECT $1, u.* FROM unnest($2::text[], $3::int[]) AS u ON CONFLICT DO NOTHING`,
      [this.#group, topics, partitions],
    );
    // A row that is locked belongs to a commit under way: its owner lives.
    const { rows } = await this.database.query<LeaseRow>(
      `UPDATE bus_streams s
       SET owner = $4, epoch = s.epoch + 1, session_pid = $5, session_start = $6,
           expires_at = clock_timestamp() + $7 * interval '1 millisecond'
       FROM (
         SELECT b.topic, b.partition
         FROM bus_streams b JOIN unnest($2::text[], $3::int[], $9::int8[]) AS u(topic, partition, known)
           ON b.topic = u.topic AND b.partition = u.partition
         WHERE b.group_name = $1 AND (b.owner IS NULL OR b.owner <> $4 OR b.epoch <> u.known) AND (
           b.owner IS NOT NULL OR $8::int IS NULL OR (b.topic, b.partition) IN (
             SELECT f.topic, f.partition FROM bus_streams f JOIN unnest($2::text[], $3::int[]) AS u(topic, partition)
               ON f.topic = u.topic AND f.partition = u.partition
             WHERE f.group_name = $1 AND f.owner IS NULL ORDER BY f.topic, f.partition LIMIT $8)
         ) AND (
           b.owner IS NULL OR b.owner = $4 OR b.expires_at < clock_timestamp() OR NOT EXISTS (
             SELECT 1 FROM pg_stat_activity a WHERE a.pid = b.session_pid AND a.backend_start = b.session_start))
         ORDER BY b.topic, b.partition FOR UPDATE OF b SKIP LOCKED
       ) AS free
       WHERE s.group_name = $1 AND s.topic = free.topic AND s.partition = free.partition
       RETURNING s.topic, s.partition, s.epoch, s.expires_at`,
      [this.#group, topics, partitions, this.owner, pid, start, this.#leaseMs, most ?? null, known],
    );
    for (const row of rows) this.#hold(row);
    return [...this.#held.values()];
  }

  async renew(): Promise<HeldLease[]> {
    if (this.#held.size === 0) return [];
    const { pid, start } = await this.#openSession();
    const leases = [...this.#held.values()];
    const { rows } = await this.database.query<LeaseRow>(
      `UPDATE bus_streams s
       SET session_pid = $6, session_start = $7, expires_at = clock_timestamp() + $8 * interval '1 millisecond'
       FROM unnest($2::text[], $3::int[], $4::int8[]) AS u(topic, partition, epoch)
       WHERE s.group_name = $1 AND s.topic = u.topic AND s.partition = u.partition AND s.epoch = u.epoch AND s.owner = $5
       RETURNING s.topic, s.partition, s.epoch, s.expires_at`,
      [
        this.#group,
        leases.map(({ stream }) => stream.topic),
        leases.map(({ stream }) => stream.partition),
        leases.map(({ epoch }) => epoch),
        this.owner,
        pid,
        start,
        this.#leaseMs,
      ],
    );
    this.#held.clear();
    for (const row of rows) this.#hold(row);
    return [...this.#held.values()];
  }

  async release(streams: readonly Stream[]): Promise<void> {
    const leases = streams.flatMap((stream) => this.#held.get(keyOf(stream)) ?? []);
    for (const { stream } of leases) this.#held.delete(keyOf(stream));
    if (leases.length === 0) return;
    await this.database.query(
      `UPDATE bus_streams s SET owner = NULL, session_pid = NULL, session_start = NULL, expires_at = NULL
       FROM unnest($2::text[], $3::int[], $4::int8[]) AS u(topic, partition, epoch)
       WHERE s.group_name = $1 AND s.topic = u.topic AND s.partition = u.partition AND s.epoch = u.epoch AND s.owner = $5`,
      [
        this.#group,
        leases.map(({ stream }) => stream.topic),
        leases.map(({ stream }) => stream.partition),
        leases.map(({ epoch }) => epoch),
        this.owner,
      ],
    );
    if (this.#onChanged) await this.announce();
  }

  async announce(): Promise<void> {
    await this.database.query('SELECT pg_notify($1, $2)', [this.#channel, this.owner]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#held.clear();
    const session = await this.#session?.catch(() => undefined);
    await session?.client.end().catch((error) => this.#log.debug({ err: error }, 'the session was already gone'));
  }

  #hold(row: LeaseRow): void {
    const stream = { topic: row.topic, partition: row.partition };
    this.#held.set(keyOf(stream), { stream, epoch: row.epoch, expiresAt: row.expires_at });
  }

  #openSession(): Promise<Session> {
    if (this.#closed) return Promise.reject(unavailable(`the leases of group ${this.#group} are closed`));
    if (!this.#session) {
      const session = this.#connect();
      this.#session = session;
      const forget = () => {
        if (this.#session === session) this.#session = undefined;
      };
      session.then(({ client }) => client.once('end', forget), forget);
    }
    return this.#session;
  }

  async #connect(): Promise<Session> {
    const client = new pg.Client({
      connectionString: this.database.url,
      application_name: `aloft-lease-${this.#group}`,
      keepAlive: true,
    });
    // The next renewal opens another session and writes it into the leases.
    client.on('error', (error) => this.#log.warn({ err: toAloftError(error) }, 'the session of the leases was lost'));
    client.on('notification', ({ payload }) => {
      if (payload !== this.owner) this.#onChanged?.();
    });
    await client.connect();
    if (this.#onChanged) await client.query(`LISTEN ${client.escapeIdentifier(this.#channel)}`);
    const { rows } = await client.query<{ pid: number; start: string }>(
      'SELECT pid, backend_start::text AS start FROM pg_stat_activity WHERE pid = pg_backend_pid()',
    );
    return { client, ...rows[0]! };
  }
}

const keyOf = ({ topic, partition }: Stream): string => `${topic}/${partition}`;
