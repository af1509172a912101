import type { Database, Transaction } from '@aloft/database';
import { unavailable } from '@aloft/errors';
import { deferred } from './fixture.js';

export interface FaultyDatabase extends Database {
  /** Resolves when it died. */
  readonly died: Promise<void>;
  readonly isDead: boolean;
}

/**
 * A database of a process that is killed at its n-th step, counted from 1: before or after a statement, before or after
 * a COMMIT (then the commit happened, but nobody hears of it). From there on nothing works.
 */
export function faultyDatabase(database: Database, step: number): FaultyDatabase {
  const { promise: died, resolve } = deferred();
  let steps = 0;
  let dead = false;
  const boundary = () => {
    if (++steps === step) {
      dead = true;
      resolve();
    }
    if (dead) throw unavailable(`killed at step ${step}`);
  };
  const query: Database['query'] = async (sql, values) => {
    boundary();
    const result = await database.query<never>(sql, values);
    boundary();
    return result;
  };
  return {
    died,
    get isDead() {
      return dead;
    },
    schema: database.schema,
    url: database.url,
    query,
    async transaction(work) {
      boundary();
      const result = await database.transaction(async (tx) => {
        const done = await work(wrap(tx, boundary));
        boundary();
        return done;
      });
      boundary();
      return result;
    },
    close: () => database.close(),
  };
}

function wrap(tx: Transaction, boundary: () => void): Transaction {
  return {
    get client() {
      return tx.client;
    },
    query: async (sql, values) => {
      boundary();
      const result = await tx.query<never>(sql, values);
      boundary();
      return result;
    },
    withCommit: (make) => tx.withCommit(make),
    afterCommit: (effect) => tx.afterCommit(effect),
  };
}
