import { busMigrations } from '@aloft/bus';
import type { Transaction } from '@aloft/database';
import { type TestDatabase, testDatabase } from '@aloft/database/testing';
import { commandEnvelope } from '../testing/memory-bus.js';
import { launchOf } from '../testing/launches.js';
import { backendMigrations } from './migrations.js';
import { PostgresWorkStore } from './postgres-work-store.js';

describe('the work table', () => {
  let test: TestDatabase;
  beforeAll(async () => {
    test = await testDatabase({
      schema: 'backends',
      migrations: backendMigrations,
      also: [{ schema: 'backends', service: 'bus', migrations: busMigrations }],
    });
  });
  afterAll(() => test.drop());

  it('takes the abort of an attempt while its end is written: neither statement waits for the other one', async () => {
    const store = new PostgresWorkStore(test.database, 'test');
    const holder = { name: 'host', epoch: await store.acquire('host', 60_000) };
    const command = commandEnvelope({ $case: 'launch', value: launchOf({ name: 'run1-n0-0' }) });
    const row = { key: 'k', generation: 1, command, abortReason: undefined };
    await test.database.transaction((tx) => store.add(tx, holder, [row], true));

    const blocked = async () => {
      const { rows } = await test.database.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      return rows.length > 0;
    };
    let ending: Promise<void> | undefined;
    await test.database.transaction(async (tx) => {
      // Between the statements of the abort, the end comes, and waits for what the abort has.
      const slow = {
        query: async (...args: Parameters<Transaction['query']>) => {
          const answer = await tx.query(...args);
          if (ending) return answer;
          ending = store.end('host', [{ key: 'k', generation: 1 }]);
          ending.catch(() => undefined);
          while (!(await blocked())) await new Promise((resolve) => setTimeout(resolve, 5));
          return answer;
        },
      } as Transaction;
      await store.requestAbort(slow, 'host', [{ key: 'k', generation: 1, reason: 'enough' }]);
    });
    await ending;
    expect(await store.held('host')).toEqual([]);
  });
});
