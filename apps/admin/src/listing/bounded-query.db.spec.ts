import type { Queryable } from '@aloft/database';
import { Sort_Direction } from '@aloft/idl/flyteidl/admin/common';
import { testDatabase, type TestDatabase } from '@aloft/database/testing';
import { listQuery } from './bounded-query.js';

describe('lists that anybody may phrase', () => {
  let test: TestDatabase;
  beforeAll(async () => void (test = await testDatabase({ schema: 'bounded', migrations: [] })));
  afterAll(() => test.drop());

  it('are refused with the limit, their filters, and what would be quicker', async () => {
    const request = {
      filters: 'contains(error_message,disk)',
      sortBy: { key: 'started_at', direction: Sort_Direction.DESCENDING },
      token: '500',
      limit: 20,
    };
    const slow = (db: Queryable) => db.query('SELECT pg_sleep(60)');
    await expect(listQuery(test.database, 50, request, slow)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message:
        'filters: the list of "contains(error_message,disk)" sorted by started_at from row 500 takes longer than 50 ms ' +
        '(admin.limits.listMs): narrow it, e.g. by an exact name, a phase, or gte(created_at,<time>), sort by created_at, or take a ' +
        'page nearer to the first',
    });
    const long = { ...request, filters: 'x'.repeat(5_000) };
    const refused: Error = await listQuery(test.database, 50, long, slow).catch((error) => error);
    expect(refused.message.length).toBeLessThan(600);
  });

  it('give their rows, and bind nobody else', async () => {
    const asked = { filters: 'eq(name,x)', sortBy: undefined, token: '', limit: 1 };
    const found = await listQuery(test.database, 5_000, asked, (db) => db.query('SELECT $1::int AS n', [7]));
    expect(found.rows).toEqual([{ n: 7 }]);
    const { rows } = await test.database.query<{ limit: string }>(
      "SELECT current_setting('statement_timeout') AS limit",
    );
    expect(rows).toEqual([{ limit: '0' }]);
  });
});
