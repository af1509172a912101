import { invalidArgument } from '@aloft/errors';
import type { Database } from '@aloft/database';
import { requireKeyPart } from '../datasets/dataset-id.js';
import type { Duration } from '@aloft/idl/google/protobuf/duration';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';

/** Longest heartbeat interval. */
const maxHeartbeatMs = 10_000;
/** A reservation lasts so many heartbeats without being extended. */
const missedBeats = 3;

export interface HeldReservation {
  ownerId: string;
  heartbeatInterval: Duration;
  expiresAt: Timestamp;
}

/** Who computes a value right now, so that others wait instead of doing it again (C-95, K-35). */
export class ReservationsService {
  constructor(private readonly database: Database) {}

  /** Takes it if it is free or expired, extends it if it is the owner's; else says who holds it and until when. */
  async getOrExtend(key: string, owner: string, heartbeat: Duration | undefined): Promise<HeldReservation> {
    if (owner === '') throw invalidArgument('owner_id is empty: say who reserves');
    requireKeyPart(owner, 'owner_id');
    const asked = heartbeat ? Number(heartbeat.seconds) * 1000 + Math.ceil(heartbeat.nanos / 1e6) : maxHeartbeatMs;
    const heartbeatMs = Math.min(asked > 0 ? asked : maxHeartbeatMs, maxHeartbeatMs);
    const { rows } = await this.database.query<{ owner: string; heartbeat_ms: number; expires_ms: bigint }>(
      `WITH taken AS (
         INSERT INTO reservations AS r (key, owner, heartbeat_ms, expires_at)
         VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $3::int * $4::int / 1000.0))
         ON CONFLICT (key) DO UPDATE
           SET owner = excluded.owner, heartbeat_ms = excluded.heartbeat_ms, expires_at = excluded.expires_at
           WHERE r.owner = excluded.owner OR r.expires_at <= clock_timestamp()
         RETURNING r.owner, r.heartbeat_ms, r.expires_at)
       SELECT owner, heartbeat_ms, (extract(epoch FROM expires_at) * 1000)::bigint AS expires_ms FROM taken
       UNION ALL
       SELECT owner, heartbeat_ms, (extract(epoch FROM expires_at) * 1000)::bigint FROM reservations
       WHERE key = $1 AND NOT EXISTS (SELECT 1 FROM taken)`,
      [key, owner, heartbeatMs, missedBeats],
    );
    const held = rows[0];
    // Released or taken between the two halves of the statement: ask again.
    if (!held) return this.getOrExtend(key, owner, heartbeat);
    return {
      ownerId: held.owner,
      heartbeatInterval: {
        seconds: BigInt(Math.floor(held.heartbeat_ms / 1000)),
        nanos: (held.heartbeat_ms % 1000) * 1_000_000,
      },
      expiresAt: { seconds: held.expires_ms / 1000n, nanos: Number(held.expires_ms % 1000n) * 1_000_000 },
    };
  }

  /** Only the owner's; a missing one is released already. */
  async release(key: string, owner: string): Promise<void> {
    await this.database.query('DELETE FROM reservations WHERE key = $1 AND owner = $2', [key, owner]);
  }
}
