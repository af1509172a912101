import { arrayParameter, type Element, type ElementType } from './array-parameter.js';
import { openDatabase } from './open-database.js';
import { testDatabase, type TestDatabase } from './testing/test-database.js';

describe('arrays in binary', () => {
  let test: TestDatabase;
  beforeAll(async () => void (test = await testDatabase({ schema: 'arrays', migrations: [] })));
  afterAll(() => test.drop());

  const same: [ElementType, Element[], unknown[]?][] = [
    ['boolean', [true, false, null]],
    ['smallint', [-32768, 32767]],
    ['integer', [-(2 ** 31), null, 2 ** 31 - 1]],
    ['bigint', [2n ** 63n - 1n, -1, null], [2n ** 63n - 1n, -1n, null]],
    ['double precision', [0.1, -1e300]],
    ['text', ['', 'a"b\\c{,}', 'NULL', 'ü€𝄞', null]],
    ['bytea', [new Uint8Array([0, 255]), Buffer.alloc(0), null], [Buffer.from([0, 255]), Buffer.alloc(0), null]],
    ['uuid', ['0b5c1f3e-8d5a-4c8e-9a65-0123456789ab']],
    ['text', []],
    ['text', ['a\0b'], ['a\uFFFDb']],
    ['jsonb', ['{"a": [1, "x"]}', null], [{ a: [1, 'x'] }, null]],
    ['text', ['x'.repeat(200_000), 'y']],
  ];
  it.each(same)('%s arrives as it was', async (type, values, expected = values) => {
    const database = openDatabase({ url: test.database.url, schema: 'arrays' });
    const { rows } = await database.query<{ v: unknown }>(`SELECT * FROM unnest($1::${type}[]) AS u(v)`, [
      arrayParameter(type, values),
    ]);
    expect(rows.map(({ v }) => v)).toEqual(expected);
    await database.close();
  });

  it('times keep their microseconds, also before 2000 and 1970', async () => {
    const times = [
      { seconds: 1_700_000_000n, nanos: 123_456_789 },
      { seconds: 0n, nanos: 0 },
      { seconds: -1n, nanos: 999_999_000 },
      { seconds: 253_402_300_799n, nanos: 0 },
    ];
    const { rows } = await test.database.query<{ micros: bigint }>(
      `SELECT (extract(epoch FROM t) * 1000000)::int8 AS micros FROM unnest($1::timestamptz[]) AS u(t)`,
      [arrayParameter('timestamptz', times)],
    );
    expect(rows.map(({ micros }) => micros)).toEqual(
      times.map(({ seconds, nanos }) => seconds * 1_000_000n + BigInt(Math.floor(nanos / 1000))),
    );
  });

  it('what is no UUID is refused here', () => {
    expect(() => arrayParameter('uuid', ['0b5c'])).toThrow('"0b5c" must be a UUID');
  });
});
