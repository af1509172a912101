import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import { jest } from '@jest/globals';
import fc from 'fast-check';
import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { DefinitionError, TypeMismatchError } from '../errors.js';
import { noTransfer, type FileTransfer } from './file-transfer.js';
import { FlyteDirectory, FlyteFile, t, type AnyType } from './index.js';

async function roundTrip(type: AnyType, value: unknown, transfer: FileTransfer = noTransfer): Promise<unknown> {
  const literal = await type.toLiteral(value, transfer, 'value');
  return type.fromLiteral(Literal.decode(Literal.encode(literal).finish()), transfer, 'value');
}

describe('types', () => {
  test.each<[string, AnyType, unknown]>([
    ['int', t.int, -42],
    ['int at its limit', t.int, Number.MAX_SAFE_INTEGER],
    ['bigint at its limits', t.bigint, -(2n ** 63n)],
    ['float', t.float, 0.1],
    ['infinite float', t.float, Number.NEGATIVE_INFINITY],
    ['string', t.string, 'naïve ☃'],
    ['empty string', t.string, ''],
    ['boolean', t.boolean, false],
    ['datetime', t.datetime, new Date('2026-11-23T20:15:00.123Z')],
    ['datetime before 1970', t.datetime, new Date('1901-02-03T04:05:06.789Z')],
    ['duration', t.duration, 90_500],
    ['negative duration', t.duration, -1_500],
    ['binary', t.binary, new Uint8Array([0, 255, 7])],
    ['enum', t.enum(['red', 'green']), 'green'],
    ['list', t.list(t.int), [1, 2, 3]],
    ['empty list', t.list(t.string), []],
    ['list of lists', t.list(t.list(t.float)), [[1.5], []]],
    ['map', t.map(t.boolean), { a: true, b: false }],
    ['optional that is there', t.optional(t.int), 3],
    ['optional that is none', t.optional(t.int), null],
    ['union', t.union(t.int, t.string), 'seven'],
    ['list of optionals', t.list(t.optional(t.string)), ['a', null]],
    ['struct', t.struct({ n: t.int, at: t.datetime, tags: t.list(t.string) }), { n: 1, at: new Date(5), tags: ['x'] }],
    ['nested struct', t.struct({ inner: t.struct({ x: t.float }) }), { inner: { x: 2.5 } }],
    ['JSON', t.json(), { any: ['thing', 1, null, { deep: true }] }],
  ])('C-111: %s keeps its value on the wire', async (_name, type, value) => {
    await expect(roundTrip(type, value)).resolves.toEqual(value);
  });

  test('every 64-bit integer and every double keeps its value', async () => {
    await fc.assert(
      fc.asyncProperty(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), async (value) => {
        expect(await roundTrip(t.bigint, value)).toBe(value);
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.double(), async (value) => {
        expect(Object.is(await roundTrip(t.float, value), value)).toBe(true);
      }),
    );
  });

  test.each<[string, AnyType, unknown, string]>([
    ['an int with a fraction', t.int, 1.5, 'value must be an integer, but it is 1.5.'],
    ['an int that a number cannot hold', t.int, 2n ** 60n, 't.bigint holds all 64 bits'],
    ['a string for an int', t.int, '3', 'value must be an integer, but it is "3".'],
    ['an invalid date', t.datetime, new Date(NaN), 'value must be a valid Date'],
    ['a word for a duration', t.duration, 'soon', "like '90s', '1h30m'"],
    ['a stranger to an enum', t.enum(['a', 'b']), 'c', "value must be one of 'a', 'b', but it is \"c\"."],
    ['an item of another type', t.list(t.int), [1, 'x'], 'value[1] must be an integer'],
    ['a field of another type', t.struct({ a: t.list(t.int) }), { a: ['x'] }, 'value.a[0] must be an integer'],
    ['a missing field', t.struct({ a: t.int }), {}, 'value.a must be int, but it is missing.'],
    ['an undeclared field', t.struct({ a: t.int }), { a: 1, b: 2 }, 'value.b must be one of the fields a'],
    ['null where nothing is optional', t.string, null, 'value must be a string, but it is null.'],
  ])('%s is refused with its path', async (_name, type, value, message) => {
    const refused = type.toLiteral(value, noTransfer, 'value');
    await expect(refused).rejects.toThrow(TypeMismatchError);
    await expect(refused).rejects.toThrow(message);
  });

  test('what a struct cannot hold is refused where it is defined', () => {
    expect(() => t.struct({ f: t.file('csv') })).toThrow(DefinitionError);
    expect(() => t.struct({ f: t.file('csv') })).toThrow("field 'f' is csv file, which JSON cannot hold");
  });

  test('variants that look alike on the wire are refused where they are defined', () => {
    expect(() => t.union(t.list(t.int), t.list(t.string))).toThrow('two variants look alike on the wire');
  });

  test('C-103: a struct reads the MessagePack that flytekit writes, with more fields than it declares', () => {
    const literal = Literal.fromPartial({
      value: {
        $case: 'scalar',
        value: {
          value: { $case: 'binary', value: { value: Buffer.from(encode({ a: 1, more: 'x' })), tag: 'msgpack' } },
        },
      },
    });
    expect(t.struct({ a: t.int }).fromLiteral(literal, noTransfer, 'x')).toEqual({ a: 1 });
  });

  test('a bare value is read as an optional one', async () => {
    const literal = await t.int.toLiteral(7, noTransfer, 'x');
    expect(t.optional(t.int).fromLiteral(literal, noTransfer, 'x')).toBe(7);
  });

  test('files and folders are stored when given as paths and read when used', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aloft-types-'));
    await writeFile(join(folder, 'a.csv'), 'x,y\n1,2\n');
    const upload = jest.fn(async () => 's3://bucket/raw/a.csv');
    const download = jest.fn(async () => join(folder, 'a.csv'));
    const transfer: FileTransfer = { upload, download };
    const read = (await roundTrip(t.file('csv'), new FlyteFile(join(folder, 'a.csv')), transfer)) as FlyteFile;
    expect(upload).toHaveBeenCalledWith(join(folder, 'a.csv'), false);
    expect(download).not.toHaveBeenCalled();
    expect(await read.text()).toBe('x,y\n1,2\n');
    expect(await read.text()).toBe(await readFile(join(folder, 'a.csv'), 'utf8'));
    expect(download).toHaveBeenCalledTimes(1);
    await roundTrip(t.directory(), folder, transfer);
    expect(upload).toHaveBeenLastCalledWith(folder, true);
    expect(await new FlyteDirectory(folder).list()).toEqual(['a.csv']);
  });

  test('a file that is already stored is passed on, not copied', async () => {
    const read = (await roundTrip(t.file(), 's3://bucket/x.bin')) as FlyteFile;
    expect(read.location).toBe('s3://bucket/x.bin');
  });
});
