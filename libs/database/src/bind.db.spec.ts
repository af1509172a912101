import { openDatabase } from './open-database.js';
import { testDatabase, type TestDatabase } from './testing/test-database.js';

describe('parameters of a statement', () => {
  let test: TestDatabase;
  beforeAll(async () => void (test = await testDatabase({ schema: 'binds', migrations: [] })));
  afterAll(() => test.drop());

  const large = (bytes: number) =>
    Buffer.alloc(
      bytes,
      Uint8Array.from({ length: 251 }, (_, i) => i),
    );

  it('arrive as they were, large and small, in any order', async () => {
    const database = openDatabase({ url: test.database.url, schema: 'binds' });
    const values = [large(4095), 'ü€𝄞', large(300_000), null, large(4096), '', Buffer.alloc(0), large(70_000), '\\x41'];
    const types = values.map((value) => (typeof value === 'string' ? 'text' : 'bytea'));
    const text = `SELECT ${types.map((type, i) => `$${i + 1}::${type} AS v${i}`).join(', ')}`;
    const asked = [text, { name: 'binds_mixed', text }, { name: 'binds_mixed', text }];
    const answers = await Promise.all(asked.map((sql) => database.query<Record<string, unknown>>(sql, values)));
    for (const { rows } of answers) expect(Object.values(rows[0] ?? {})).toEqual(values);
    await database.close();
  });

  it('that cannot be said fail their statement alone', async () => {
    const database = openDatabase({ url: test.database.url, schema: 'binds', poolSize: 1 });
    const unsayable = {
      toPostgres() {
        throw new Error('no form for it');
      },
    };
    await expect(database.query('SELECT $1::text', [unsayable])).rejects.toThrow('no form for it');
    await expect(database.query('SELECT $1::integer', ['x'])).rejects.toThrow('invalid input syntax');
    const { rows } = await database.query('SELECT $1::integer AS v', [7]);
    expect(rows).toEqual([{ v: 7 }]);
    await database.close();
  });

  it('make no copies of what is large', async () => {
    const database = openDatabase({ url: test.database.url, schema: 'binds', poolSize: 1 });
    const bytes = large(8 * 2 ** 20);
    const statement = { name: 'binds_length', text: 'SELECT octet_length($1::bytea) AS n' };
    await database.query(statement, [bytes]);
    const before = process.memoryUsage().arrayBuffers;
    const answers = Promise.all([1, 2, 3].map(() => database.query(statement, [bytes])));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(bytes.length);
    await answers;
    await database.close();
  });
});
