import { jest } from '@jest/globals';
import { isUniqueViolation } from './database-error.js';
import { testDatabase, type TestDatabase } from './testing/index.js';

describe('openDatabase', () => {
  let test: TestDatabase;
  beforeAll(async () => {
    test = await testDatabase({
      schema: 'rows',
      migrations: [{ name: 'rows', sql: 'CREATE TABLE items (id int8 PRIMARY KEY, name text UNIQUE)' }],
    });
  });
  afterAll(() => test.drop());
  beforeEach(() => test.database.query('TRUNCATE items'));

  it('gives bigints for int8, alone and in arrays, and Buffers for bytea', async () => {
    const sql = `SELECT 9007199254740993::int8 AS big, ARRAY[1, NULL, 3]::int8[] AS many, '\\x00ff'::bytea AS bytes`;
    expect((await test.database.query(sql)).rows).toEqual([
      { big: 9007199254740993n, many: [1n, null, 3n], bytes: Buffer.from([0, 255]) },
    ]);
  });

  it('commits, and then runs the effects in order', async () => {
    const seen: string[] = [];
    const result = await test.database.transaction(async (tx) => {
      tx.afterCommit(() => seen.push('first'));
      await tx.query({ name: 'insert item', text: 'INSERT INTO items (id) VALUES ($1)' }, [1n]);
      tx.afterCommit(() => seen.push('second'));
      seen.push('work');
      return 'done';
    });
    expect(result).toBe('done');
    expect(seen).toEqual(['work', 'first', 'second']);
    expect((await test.database.query('SELECT id FROM items')).rows).toEqual([{ id: 1n }]);
  });

  it('rolls back when the work throws, and runs no effect', async () => {
    const effect = jest.fn();
    const work = test.database.transaction(async (tx) => {
      tx.afterCommit(effect);
      await tx.query('INSERT INTO items (id) VALUES (1)');
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    expect(effect).not.toHaveBeenCalled();
    expect((await test.database.query('SELECT id FROM items')).rows).toEqual([]);
  });

  it('refuses to commit after a failed statement whose error was dropped', async () => {
    const effect = jest.fn();
    const work = test.database.transaction(async (tx) => {
      tx.afterCommit(effect);
      await tx.query('SELECT 1 / 0').catch(() => undefined);
    });
    await expect(work).rejects.toMatchObject({ code: 'ABORTED' });
    expect(effect).not.toHaveBeenCalled();
  });

  it('sends a last statement with the commit, and rolls back when it fails', async () => {
    const results: unknown[] = [];
    const insert = (id: bigint) =>
      test.database.transaction(async (tx) => {
        tx.withCommit(() => ({
          sql: { name: 'insert and tell', text: 'INSERT INTO items (id) VALUES ($1) RETURNING id' },
          values: [id],
          committed: ({ rows }) => results.push(rows),
        }));
        await tx.query('INSERT INTO items (id) VALUES ($1)', [id + 100n]);
      });
    await insert(1n);
    await expect(insert(1n)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await expect(test.database.transaction((tx) => tx.query('SELECT $1::int', ['x']))).rejects.toThrow('22P02');
    expect(results).toEqual([[{ id: 1n }]]);
    expect((await test.database.query('SELECT id FROM items ORDER BY id')).rows).toEqual([{ id: 1n }, { id: 101n }]);
  });

  it('rolls back behind statements that are still on their way, and says what the first of them said', async () => {
    const database = test.open('rows', 1);
    for (let i = 0; i < 20; i++) {
      const work = database.transaction(async (tx) => {
        const first = tx.query('SELECT 1 / 0');
        for (let j = 0; j < 5; j++) tx.send('SELECT pg_sleep(0.001)');
        const later = tx.query('SELECT 1').catch(() => undefined);
        await first;
        await later;
      });
      await expect(work).rejects.toThrow('division by zero');
      const thrown = database.transaction(async (tx) => {
        for (let j = 0; j < 5; j++) tx.send('SELECT pg_sleep(0.001)');
        throw new Error('changed its mind');
      });
      await expect(thrown).rejects.toThrow('changed its mind');
      const refused = database.transaction(async (tx) => {
        await tx.query('SELECT 1');
        tx.send('SELECT 1 / 0');
        const answer = tx.query('SELECT 1').catch(() => undefined);
        for (let j = 0; j < 5; j++) tx.send({ name: 'three', text: 'SELECT $1::int4, pg_sleep(0.001)' }, [3]);
        await answer;
        throw new Error('refused');
      });
      await expect(refused).rejects.toThrow('division by zero');
      expect((await database.query('SELECT 2::int4 AS two')).rows).toEqual([{ two: 2 }]);
    }
    await database.close();
  });

  it('lends its connection for COPY', async () => {
    await test.database.transaction(async (tx) => {
      await tx.query('INSERT INTO items (id) VALUES (1)');
      const { rows } = await tx.client.query('SELECT count(*) FROM items');
      expect(rows).toEqual([{ count: 1n }]);
    });
    expect((await test.database.query('SELECT count(*) FROM items')).rows).toEqual([{ count: 1n }]);
  });

  it('says ALREADY_EXISTS for a unique violation, with the constraint', async () => {
    await test.database.query(`INSERT INTO items VALUES (1, 'a')`);
    const error = await test.database.query(`INSERT INTO items VALUES (2, 'a')`).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'ALREADY_EXISTS', constraint: 'items_name_key' });
    expect(isUniqueViolation(error, 'items_name_key')).toBe(true);
    expect(isUniqueViolation(error, 'items_pkey')).toBe(false);
  });

  it('says ABORTED for a deadlock', async () => {
    await test.database.query('INSERT INTO items SELECT generate_series(1, 2)');
    let met!: () => void;
    const both = new Promise<void>((resolve) => (met = resolve));
    let waiting = 0;
    const lock = (first: number, then: number) =>
      test.database.transaction(async (tx) => {
        await tx.query('SELECT 1 FROM items WHERE id = $1 FOR UPDATE', [first]);
        if (++waiting === 2) met();
        await both;
        await tx.query('SELECT 1 FROM items WHERE id = $1 FOR UPDATE', [then]);
      });
    const results = await Promise.allSettled([lock(1, 2), lock(2, 1)]);
    const failed = results.filter((result) => result.status === 'rejected');
    expect(failed).toHaveLength(1);
    expect(failed[0]!.reason).toMatchObject({ code: 'ABORTED', sqlState: '40P01' });
  });

  it('says UNAVAILABLE when the connection is lost, and opens another one', async () => {
    const killed = test.database.transaction(async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await test.database.query('SELECT pg_terminate_backend($1, 5000)', [rows[0]!.pid]);
      await tx.query('SELECT 1');
    });
    await expect(killed).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect((await test.database.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  it('says UNAVAILABLE when it is closed', async () => {
    const closed = test.open('rows');
    await closed.close();
    await closed.close();
    await expect(closed.query('SELECT 1')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
