import type { Database, Transaction } from '@aloft/database';
import { invalidArgument } from '@aloft/errors';
import { Envelope } from '@aloft/idl/aloft/v1/bus';
import type { ParkedMessage, ParkingStore, Stream } from '../port.js';

interface ParkedRow {
  topic: string;
  partition: number;
  position: bigint;
  reason: string;
  parked_at: Date;
  envelope: Buffer;
}

/** A {@link ParkingStore} that knows the parked keys of some streams. */
export interface LoadedParkingStore extends ParkingStore {
  /** Reads the keys parked in these streams: on taking a stream over, before handling its first message. */
  load(streams: readonly Stream[]): Promise<void>;
}

/**
 * Messages set aside, in the schema of `database` (table `bus_parked`). Which keys are parked is kept in memory, as the
 * commits of this process made it: only a stream's owner parks and takes.
 */
export function createParkingStore(database: Database, group: string): LoadedParkingStore {
  const keys = new Set<string>();
  return {
    async load(streams) {
      const { rows } = await database.query<{ key: string }>(
        `SELECT DISTINCT p.key FROM bus_parked p JOIN unnest($2::text[], $3::int[]) AS u(topic, partition)
           ON p.topic = u.topic AND p.partition = u.partition WHERE p.group_name = $1`,
        [group, streams.map(({ topic }) => topic), streams.map(({ partition }) => partition)],
      );
      for (const { key } of rows) keys.add(key);
    },

    isParked: (key) => keys.has(key),

    async park(tx, { message, reason, at }) {
      if (message.position === null)
        throw invalidArgument(
          `message ${message.envelope.id} has no position: reject it, its sender delivers it again`,
        );
      await tx.query(
        `INSERT INTO bus_parked (group_name, topic, partition, position, key, reason, parked_at, envelope)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
        [
          group,
          message.stream.topic,
          message.stream.partition,
          message.position,
          message.envelope.key,
          reason,
          at,
          Envelope.encode(message.envelope).finish(),
        ],
      );
      tx.afterCommit(() => keys.add(message.envelope.key));
    },

    async list(limit) {
      const { rows } = await database.query<ParkedRow>(
        'SELECT * FROM bus_parked WHERE group_name = $1 ORDER BY parked_at, topic, partition, position LIMIT $2',
        [group, limit],
      );
      return rows.map((row) => parked(group, row));
    },

    async take(tx: Transaction, key: string) {
      const { rows } = await tx.query<ParkedRow>(
        'DELETE FROM bus_parked WHERE group_name = $1 AND key = $2 RETURNING *',
        [group, key],
      );
      tx.afterCommit(() => keys.delete(key));
      return rows.map((row) => parked(group, row)).sort((a, b) => (a.message.position! < b.message.position! ? -1 : 1));
    },
  };
}

function parked(group: string, row: ParkedRow): ParkedMessage {
  return {
    group,
    message: {
      stream: { topic: row.topic, partition: row.partition },
      position: row.position,
      envelope: Envelope.decode(row.envelope),
    },
    reason: row.reason,
    at: row.parked_at,
  };
}
