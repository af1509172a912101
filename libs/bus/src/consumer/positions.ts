import { DatabaseError, type Database, type Statement } from '@aloft/database';
import { AloftError } from '@aloft/errors';
import type { PositionStore, StoredPosition, Stream } from '../port.js';

/** A transaction was refused because its process no longer owns the stream (or never was where it thought). */
export class LeaseLostError extends AloftError {
  constructor(message: string) {
    super('ABORTED', message);
    this.name = 'LeaseLostError';
  }
}

const advanceStatement: Statement = {
  name: 'aloft_bus_advance',
  text: 'SELECT bus_advance($1, $2, $3, $4, $5, $6, $7)',
};
/** What `bus_advance` raises. */
const refused = 'AL001';

/**
 * Stored positions of a consumer group, in the schema of `tx` (table `bus_streams`). `advance` locks the streams' rows
 * until the transaction ends, so a takeover waits for a commit under way; one that comes after it is refused: the transaction
 * rejects with {@link LeaseLostError}. Nothing waits for its answer, so that a commit is one round trip. It may be called
 * with `from` equal to `to`, to check the lease alone.
 */
export function createPositionStore(group: string): PositionStore {
  return {
    async load(tx, streams) {
      return (await this.restore(tx, streams)).map(({ position }) => position);
    },
    async restore(tx, streams) {
      const { rows } = await tx.query<{ position: bigint | string; mark: string | null }>(
        `SELECT coalesce(s.position, 0) AS position, s.mark
         FROM unnest($2::text[], $3::int[]) WITH ORDINALITY AS u(topic, partition, n)
         LEFT JOIN bus_streams s ON s.group_name = $1 AND s.topic = u.topic AND s.partition = u.partition ORDER BY u.n`,
        [group, streams.map(({ topic }) => topic), streams.map(({ partition }) => partition)],
      );
      return rows.map((row) => ({ position: BigInt(row.position), mark: row.mark ?? undefined }));
    },
    advance(tx, moves) {
      if (moves.length === 0) return;
      const values = [
        group,
        moves.map(({ stream }) => stream.topic),
        moves.map(({ stream }) => stream.partition),
        moves.map(({ from }) => from),
        moves.map(({ to }) => to),
        moves.map(({ epoch }) => epoch),
        moves.map(({ mark }) => mark ?? null),
      ];
      tx.send(advanceStatement, values, (error) =>
        error instanceof DatabaseError && error.sqlState === refused
          ? new LeaseLostError((error.cause as Error).message)
          : error,
      );
    },
  };
}

/** Where one stream stands, outside a transaction of the caller's. */
export function loadPosition(database: Database, group: string, stream: Stream): Promise<StoredPosition> {
  return database.transaction(async (tx) => (await createPositionStore(group).restore(tx, [stream]))[0]!);
}
