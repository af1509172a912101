import { testDatabase, type TestDatabase } from '@aloft/database/testing';
import { boundedQuery } from './bounded-query.js';

describe('queries that anybody may phrase', () => {
  let test: TestDatabase;
  beforeAll(async () => void (test = await testDatabase({ schema: 'bounded', migrations: [] })));
  afterAll(() => test.drop());

  it('are refused with the limit and what would be quicker', async () => {
    await expect(boundedQuery(test.database, 50, (db) => db.query('SELECT pg_sleep(60)'))).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringContaining('longer than 50 ms (admin.limits.listMs)'),
    });
  });

  it('give their rows, and bind nobody else', async () => {
    const found = await boundedQuery(test.database, 5_000, (db) => db.query('SELECT $1::int AS n', [7]));
    expect(found.rows).toEqual([{ n: 7 }]);
    const { rows } = await test.database.query<{ limit: string }>(
      "SELECT current_setting('statement_timeout') AS limit",
    );
    expect(rows).toEqual([{ limit: '0' }]);
  });
});
