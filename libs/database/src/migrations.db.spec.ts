import { inspectMigrations, migrate, type Migration } from './migrations.js';
import { testDatabase, type TestDatabase } from './testing/index.js';

const first: Migration = { name: '0001 runs', sql: 'CREATE TABLE runs (id int8 PRIMARY KEY)' };
const second: Migration = {
  name: '0002 fill',
  revision: 1,
  up: async (tx) => void (await tx.query('INSERT INTO runs SELECT generate_series(1, 3)')),
};

describe('migrate', () => {
  let test: TestDatabase;
  beforeEach(async () => {
    test = await testDatabase({ schema: 'migrated' });
  });
  afterEach(() => test.drop());

  it('runs each step once, in order, and says which', async () => {
    expect(await migrate(test.database, 'runs', [first])).toEqual(['0001 runs']);
    expect(await migrate(test.database, 'runs', [first, second])).toEqual(['0002 fill']);
    expect(await migrate(test.database, 'runs', [first, second])).toEqual([]);
    expect((await test.database.query('SELECT count(*) FROM runs')).rows).toEqual([{ count: 3n }]);
  });

  it('lets processes that start together wait for one another', async () => {
    const ran = await Promise.all([1, 2, 3].map(() => migrate(test.database, 'runs', [first, second])));
    expect(ran.flat().sort()).toEqual(['0001 runs', '0002 fill']);
  });

  it('refuses an older binary on a newer schema', async () => {
    await migrate(test.database, 'runs', [first, second]);
    await expect(migrate(test.database, 'runs', [first])).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('older than the database'),
    });
  });

  it('refuses a step that changed after it ran', async () => {
    await migrate(test.database, 'runs', [first]);
    const changed = { ...first, sql: 'CREATE TABLE runs (id text PRIMARY KEY)' };
    await expect(migrate(test.database, 'runs', [changed])).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('A step that has run never changes'),
    });
  });

  it('keeps nothing of a step that fails, and runs it again next time', async () => {
    const broken = { name: '0002 broken', sql: 'CREATE TABLE half (id int); SELECT 1 / 0' };
    await expect(migrate(test.database, 'runs', [first, broken])).rejects.toMatchObject({ sqlState: '22012' });
    expect(await migrate(test.database, 'runs', [first, { ...broken, sql: 'CREATE TABLE half (id int)' }])).toEqual([
      '0002 broken',
    ]);
  });

  it('keeps the lists of services that share a schema apart', async () => {
    await migrate(test.database, 'runs', [first]);
    expect(await migrate(test.database, 'other', [{ name: '0001', sql: 'CREATE TABLE other (id int)' }])).toEqual([
      '0001',
    ]);
  });

  it('is inspected without being changed: what is pending, what is unknown, what is no longer the same', async () => {
    const look = (...steps: Migration[]) => inspectMigrations(test.database, 'runs', steps);
    expect(await look(first)).toEqual({ pending: ['0001 runs'], unknown: [] });
    await migrate(test.database, 'runs', [first, second]);
    expect(await look(first, second)).toEqual({ pending: [], unknown: [] });
    expect(await look(first, second, { name: '0003', sql: '' })).toEqual({ pending: ['0003'], unknown: [] });
    expect(await look(first)).toEqual({ pending: [], unknown: ['0002 fill'] });
    await expect(look({ ...first, sql: 'CREATE TABLE other (id int)' })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
  });
});
