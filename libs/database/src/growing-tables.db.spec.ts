import { jest } from '@jest/globals';
import { createLogger } from '@aloft/telemetry';
import { GrowingTables } from './growing-tables.js';
import { testDatabase, type TestDatabase } from './testing/index.js';

let created: TestDatabase;
beforeAll(async () => {
  created = await testDatabase({ schema: 'growing' });
  await created.database.query('CREATE TABLE things (id integer PRIMARY KEY)');
});
afterAll(() => created?.drop());

const known = async (): Promise<number> => {
  const { rows } = await created.database.query<{ reltuples: number }>(
    `SELECT reltuples FROM pg_class WHERE oid = 'things'::regclass`,
  );
  return rows[0]?.reltuples ?? -2;
};

test('a table is looked at when its first hundred rows are there, and not for every row', async () => {
  const warn = jest.fn();
  const tables = new GrowingTables(
    created.database,
    Object.assign(createLogger('test', { level: 'silent' }), { warn }),
  );
  const add = async (from: number, to: number) => {
    await created.database.query('INSERT INTO things SELECT generate_series($1::integer, $2::integer)', [from, to]);
    tables.grew('things', to - from + 1);
  };
  await add(1, 99);
  await add(100, 150);
  while ((await known()) !== 150);
  await add(151, 900);
  expect(await known()).toBe(150);
  tables.grew('nothing', 100);
  while (warn.mock.calls.length === 0) await known();
  expect(warn).toHaveBeenCalledWith(expect.objectContaining({ table: 'nothing' }), expect.any(String));
});
