import type { Database, Statement, Transaction } from '@aloft/database';
import { AloftError } from '@aloft/errors';
import type { PositionStore, StoredPosition, Stream } from '../port.js';

/** A transaction was refused because its process no longer owns the stream (or never was where it thought). */
export class LeaseLostError extends AloftError {
  constructor(message: string) {
    super('ABORTED', message);
    this.name = 'LeaseLostError';
  }
}

export type Move = { stream: Stream; from: bigint; to: bigint; epoch: bigint; mark?: string };

const advanceOne: Statement = {
  name: 'aloft_bus_advance_one',
  text: `UPDATE bus_streams SET position = $5, mark = coalesce($7, mark)
         WHERE group_name = $1 AND topic = $2 AND partition = $3 AND position = $4 AND epoch = $6`,
};
const advanceMany: Statement = {
  name: 'aloft_bus_advance_many',
  text: `UPDATE bus_streams s SET position = m.ends, mark = coalesce(m.mark, s.mark)
         FROM unnest($2::text[], $3::int[], $4::int8[], $5::int8[], $6::int8[], $7::text[])
           AS m(topic, partition, begins, ends, epoch, mark)
         WHERE s.group_name = $1 AND s.topic = m.topic AND s.partition = m.partition
           AND s.position = m.begins AND s.epoch = m.epoch`,
};

/**
 * Stored positions of a consumer group, in the schema of `tx` (table `bus_streams`). `advance` locks the streams' rows
 * until the transaction ends, so a takeover waits for a commit under way; one that comes after it is refused. It may be
 * called with `from` equal to `to`, to check the lease alone.
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
    async advance(tx, moves) {
      if (moves.length === 0) return;
      const moved = await (moves.length === 1 ? moveOne(tx, group, moves[0]!) : moveMany(tx, group, moves));
      if (moved === moves.length) return;
      throw new LeaseLostError(await explain(tx, group, moves));
    },
  };
}

async function moveOne(tx: Transaction, group: string, move: Move): Promise<number> {
  const { stream, from, to, epoch, mark = null } = move;
  const { rowCount } = await tx.query(advanceOne, [group, stream.topic, stream.partition, from, to, epoch, mark]);
  return rowCount ?? 0;
}

async function moveMany(tx: Transaction, group: string, moves: readonly Move[]): Promise<number> {
  const { rowCount } = await tx.query(advanceMany, [
    group,
    moves.map(({ stream }) => stream.topic),
    moves.map(({ stream }) => stream.partition),
    moves.map(({ from }) => from),
    moves.map(({ to }) => to),
    moves.map(({ epoch }) => epoch),
    moves.map(({ mark }) => mark ?? null),
  ]);
  return rowCount ?? 0;
}

async function explain(tx: Transaction, group: string, moves: readonly Move[]): Promise<string> {
  const { rows } = await tx.query<{ position: bigint | null; epoch: bigint | null; owner: string | null }>(
    `SELECT s.position, s.epoch, s.owner
     FROM unnest($2::text[], $3::int[]) WITH ORDINALITY AS u(topic, partition, n)
     LEFT JOIN bus_streams s ON s.group_name = $1 AND s.topic = u.topic AND s.partition = u.partition ORDER BY u.n`,
    [group, moves.map(({ stream }) => stream.topic), moves.map(({ stream }) => stream.partition)],
  );
  const wrong = moves.flatMap(({ stream, from, epoch }, i) => {
    const row = rows[i]!;
    if (row.position === from && row.epoch === epoch) return [];
    const what = `${stream.topic}/${stream.partition}`;
    if (row.epoch === null) return [`${what} was never leased`];
    if (row.epoch !== epoch) return [`${what} is at epoch ${row.epoch} of ${row.owner ?? 'nobody'}, not ${epoch}`];
    return [`${what} is at position ${row.position}, not ${from}`];
  });
  return `group ${group}: refused to move its position: ${wrong.join('; ')}`;
}

/** Where one stream stands, outside a transaction of the caller's. */
export function loadPosition(database: Database, group: string, stream: Stream): Promise<StoredPosition> {
  return database.transaction(async (tx) => (await createPositionStore(group).restore(tx, [stream]))[0]!);
}
