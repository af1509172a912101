import type { Queryable } from '@aloft/database';
import { signalModel } from '../listing/run-models.js';
import { compileList, SqlParameters, type ListRequest } from '../listing/list-query.js';

export interface SignalRow {
  signalId: string;
  type: Buffer;
  value: Buffer | null;
  revision: bigint;
}

const columns = 's.signal_id AS "signalId", s.type, s.value, s.revision';

/** I/O on the table of signals: rows appear when a gate is reached (projection) or by GetOrCreateSignal. */
export class SignalsRepository {
  async find(db: Queryable, executionId: bigint, signalId: string, lock = false): Promise<SignalRow | undefined> {
    const { rows } = await db.query<SignalRow>(
      `SELECT ${columns} FROM signals s WHERE s.execution_id = $1 AND s.signal_id = $2${lock ? ' FOR UPDATE' : ''}`,
      [executionId, signalId],
    );
    return rows[0];
  }

  /** Does nothing to a row that exists. */
  async create(db: Queryable, executionId: bigint, signalId: string, nodeId: string, type: Buffer): Promise<void> {
    await db.query(
      `INSERT INTO signals (execution_id, signal_id, node_id, type) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
      [executionId, signalId, nodeId, type],
    );
  }

  async set(db: Queryable, executionId: bigint, signalId: string, value: Buffer, revision: bigint): Promise<void> {
    await db.query(
      'UPDATE signals SET value = $3, revision = $4, updated_at = now() WHERE execution_id = $1 AND signal_id = $2',
      [executionId, signalId, value, revision],
    );
  }

  async list(db: Queryable, executionId: bigint, request: ListRequest): Promise<{ rows: SignalRow[]; token: string }> {
    const parameters = new SqlParameters();
    const where = [`s.execution_id = ${parameters.add(executionId)}`];
    const list = compileList({ model: signalModel, request, parameters, where });
    const { rows } = await db.query<SignalRow>(`SELECT ${columns} ${list.tail}`, parameters.values);
    return { rows, token: list.nextToken(rows.length) };
  }
}
