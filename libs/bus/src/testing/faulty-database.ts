import type { Database, Transaction } from '@aloft/database';
import { unavailable } from '@aloft/errors';
import { deferred } from './fixture.js';

export interface FaultyDatabase extends Database {
  /** Resolves when the fault happened. */
  readonly struck: Promise<void>;
  readonly wasStruck: boolean;
}

/**
 * A database whose n-th step fails, counted from 1: before or after a statement, before or after a COMMIT (then the
 * commit happened, but nobody hears of it).
 *
 * Without `fault` the process was killed there: from then on nothing works. With it, `fault` happens there (say, all
 * connections are dropped), and everything after it fares as it will.
 */
export function faultyDatabase(database: Database, step: number, fault?: () => Promise<void>): FaultyDatabase {
  const { promise: struck, resolve } = deferred();
  let steps = 0;
  let wasStruck = false;
  const boundary = async () => {
    if (++steps === step) {
      wasStruck = true;
      await fault?.();
      resolve();
    }
    if (wasStruck && !fault) throw unavailable(`killed at step ${step}`);
  };
  const query: Database['query'] = async (sql, values) => {
    await boundary();
    const result = await database.query<never>(sql, values);
    await boundary();
    return result;
  };
  return {
    struck,
    get wasStruck() {
      return wasStruck;
    },
    schema: database.schema,
    url: database.url,
    query,
    async transaction(work) {
      await boundary();
      const result = await database.transaction(async (tx) => {
        const sent: (() => void)[] = [];
        const done = await work(wrap(tx, boundary, sent));
        for (const send of sent) {
          await boundary();
          send();
        }
        await boundary();
        return done;
      });
      await boundary();
      return result;
    },
    close: () => database.close(),
  };
}

function wrap(tx: Transaction, boundary: () => Promise<void>, sent: (() => void)[]): Transaction {
  return {
    get client() {
      return tx.client;
    },
    query: async (sql, values) => {
      await boundary();
      const result = await tx.query<never>(sql, values);
      await boundary();
      return result;
    },
    send: (sql, values, explain) => void sent.push(() => tx.send(sql, values, explain)),
    withCommit: (make) => tx.withCommit(make),
    afterCommit: (effect) => tx.afterCommit(effect),
  };
}
