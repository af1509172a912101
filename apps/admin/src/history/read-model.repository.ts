import type { Queryable } from '@aloft/database';
import type { NodeState } from '../projection/fold-node.js';
import type { TaskState } from '../projection/fold-task.js';
import type { ProjectionRepository } from '../projection/projection.repository.js';

/** A row's state, with the column that lists filter by. */
export interface StoredState<T> {
  phase: string;
  state: T;
}

const rowsAtOnce = 1000;

/** All rows of one run: their keys at once, what they hold in pieces. */
export class ReadModelRepository {
  constructor(private readonly projection: ProjectionRepository) {}

  async *nodes(db: Queryable, executionId: bigint): AsyncGenerator<StoredState<NodeState>> {
    const { rows } = await db.query<{ nodeId: string; phase: string }>(
      'SELECT node_id AS "nodeId", phase FROM node_executions WHERE execution_id = $1 ORDER BY id',
      [executionId],
    );
    for (const piece of inPieces(rows)) {
      const keys = piece.map(({ nodeId }) => ({ executionId, nodeId }));
      const states = new Map((await this.projection.loadNodes(db, keys)).map(({ state }) => [state.nodeId, state]));
      for (const { nodeId, phase } of piece) yield { phase, state: states.get(nodeId) as NodeState };
    }
  }

  async *tasks(db: Queryable, executionId: bigint): AsyncGenerator<StoredState<TaskState>> {
    const { rows } = await db.query<{ nodeId: string; retryAttempt: number; name: string; phase: string }>(
      `SELECT node_id AS "nodeId", retry_attempt AS "retryAttempt", task_name AS name, phase FROM task_executions
        WHERE execution_id = $1 ORDER BY id`,
      [executionId],
    );
    const keyOf = (nodeId: string, attempt: number, name: string) => JSON.stringify([nodeId, attempt, name]);
    for (const piece of inPieces(rows)) {
      const keys = piece.map(({ nodeId, retryAttempt }) => ({ executionId, nodeId, retryAttempt }));
      const loaded = await this.projection.loadTasks(db, keys);
      const states = new Map(
        loaded.map(({ state }) => [keyOf(state.nodeId, state.retryAttempt, state.task.name), state]),
      );
      for (const { nodeId, retryAttempt, name, phase } of piece)
        yield { phase, state: states.get(keyOf(nodeId, retryAttempt, name)) as TaskState };
    }
  }
}

function* inPieces<T>(rows: readonly T[]): Generator<T[]> {
  for (let at = 0; at < rows.length; at += rowsAtOnce) yield rows.slice(at, at + rowsAtOnce);
}
