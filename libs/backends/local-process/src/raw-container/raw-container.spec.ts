import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchOf } from '@aloft/backend-kit/testing';
import { createLocalBlobStore } from '@aloft/blob';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { type Literal, LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { DataLoadingConfig } from '@aloft/idl/flyteidl/core/tasks';
import { BlobType_BlobDimensionality as Dimensionality, type LiteralType } from '@aloft/idl/flyteidl/core/types';
import { literalOf, typeOf } from '@aloft/literals';
import type { ExitRecord } from '../launcher/protocol.js';
import { RawContainer } from './raw-container.js';

const exit = (code: number): ExitRecord => ({
  code,
  endedAt: 0,
  cpuSeconds: 0,
  peakMemoryBytes: 0,
  memoryByteSeconds: 0,
});

// Real: the file system and a blob store in it. The container's command is played by the tests.
describe('C-180: a raw container as a process', () => {
  const dir = mkdtempSync(join(tmpdir(), 'aloft-raw-'));
  const blob = createLocalBlobStore({ dir: join(dir, 'blob'), durable: false });
  afterAll(() => rm(dir, { recursive: true }));
  let count = 0;

  function attempt(inputs: Record<string, Literal>, outputs: Record<string, LiteralType> = {}) {
    const folder = join(dir, `attempt-${count}`);
    const launch: LaunchTask = launchOf({ name: `run-n${count++}`, inputs, outputs });
    launch.rawOutputPrefix += `/${count}`;
    if (launch.template?.target?.$case !== 'container') throw new Error('unreachable');
    launch.template.target.value.dataConfig = DataLoadingConfig.fromPartial({
      enabled: true,
      inputPath: '/var/data',
      outputPath: '/var/data/out/',
    });
    const container = RawContainer.of(launch, folder)!;
    const written = (path: string, text: string) => writeFileSync(join(folder, 'outputs', path), text);
    const given = (path: string) => readFileSync(join(folder, 'inputs', path), 'utf8');
    const collected = async (code = 0) => {
      await container.collect(exit(code), blob, blob);
      const read = async (name: string) => {
        const uri = `${launch.outputPrefix}/${name}`;
        return (await blob.head(uri)) ? await blob.get(uri) : undefined;
      };
      const [values, error] = [await read('outputs.pb'), await read('error.pb')];
      return {
        literals: values && LiteralMap.decode(values).literals,
        error: error && ErrorDocument.decode(error).error,
      };
    };
    return { folder, launch, container, written, given, collected };
  }

  it('other tasks have no such files', () => {
    expect(RawContainer.of(launchOf({ name: 'x' }), dir)).toBeUndefined();
  });

  it('its paths lie in the attempt’s folder, where command and environment name them', () => {
    const { container, folder } = attempt({});
    const { argv, env } = container.relocated(
      ['sh', '-c', 'cat /var/data/a > /var/data/out/b; ls /var/database /my/var/data', '/var/data/'],
      { IN: 'x:/var/data' },
    );
    const [inputs, outputs] = [join(folder, 'inputs'), join(folder, 'outputs')];
    expect(argv.slice(2)).toEqual([`cat ${inputs}/a > ${outputs}/b; ls /var/database /my/var/data`, `${inputs}/`]);
    expect(env).toEqual({ IN: `x:${inputs}` });
  });

  it('inputs are files: scalars as text, blobs themselves, folders for directories, lists and maps', async () => {
    await blob.put('s3://aloft/raw/note', Buffer.from('of a field'));
    await blob.put('s3://aloft/raw/folder/x/y', Buffer.from('deep'));
    const { container, given, folder } = attempt({
      n: literalOf.integer(2n ** 62n),
      s: literalOf.string('ü\n'),
      when: literalOf.datetime({ seconds: 0n, nanos: 0 }),
      none: literalOf.union(literalOf.none(), typeOf.none()),
      note: literalOf.blob('s3://aloft/raw/note', '', Dimensionality.SINGLE),
      all: literalOf.blob('s3://aloft/raw/folder', '', Dimensionality.MULTIPART),
      list: literalOf.collection([literalOf.float(0.5), literalOf.struct({ a: 1 })]),
    });
    await container.place(blob);
    expect(['n', 's', 'when', 'none', 'note', 'all/x/y', 'list/0', 'list/1'].map(given)).toEqual([
      '4611686018427387904',
      'ü\n',
      '1970-01-01T00:00:00Z',
      'null',
      'of a field',
      'deep',
      '0.5',
      '{"a":1}',
    ]);
    const summary = JSON.parse(given('inputs.json')) as Record<string, unknown>;
    expect(summary).toMatchObject({
      n: '4611686018427387904',
      list: [0.5, { a: 1 }],
      note: join(folder, 'inputs/note'),
    });
    expect(existsSync(join(folder, 'inputs', 'inputs.pb'))).toBe(true);
  });

  it('an input that would leave the folder is refused', async () => {
    const { container } = attempt({ m: literalOf.map({ '../../evil': literalOf.integer(1) }) });
    await expect(container.place(blob)).rejects.toThrow('"../../evil" cannot be a file');
  });

  it('outputs are read by their types; files and folders go to blob storage', async () => {
    const outputs = {
      n: typeOf.integer(),
      f: typeOf.float(),
      b: typeOf.boolean(),
      s: typeOf.string(),
      span: typeOf.duration(),
      what: typeOf.struct(),
      report: typeOf.blob('', Dimensionality.SINGLE),
      parts: typeOf.blob('', Dimensionality.MULTIPART),
    };
    const { container, folder, written, collected, launch } = attempt({}, outputs);
    await container.place(blob);
    mkdirSync(join(folder, 'outputs', 'parts', 'deep'), { recursive: true });
    for (const [name, text] of Object.entries({
      n: '42\n',
      f: '0.5\n',
      b: 'true\n',
      s: ' as it is\n',
      span: '1h30m',
      what: '{"a": 1}',
      report: 'a report',
      'parts/deep/one': '1',
    }))
      written(name, text);
    const { literals, error } = await collected();
    expect(error).toBeUndefined();
    expect(literals).toMatchObject({
      n: literalOf.integer(42),
      f: literalOf.float(0.5),
      b: literalOf.boolean(true),
      s: literalOf.string(' as it is\n'),
      span: literalOf.duration({ seconds: 5400n, nanos: 0 }),
      what: literalOf.struct({ a: 1 }),
      report: literalOf.blob(`${launch.rawOutputPrefix}/report`, '', Dimensionality.SINGLE),
    });
    const text = async (path: string) => Buffer.from(await blob.get(`${launch.rawOutputPrefix}/${path}`)).toString();
    expect([await text('report'), await text('parts/deep/one')]).toEqual(['a report', '1']);
  });

  it.each([
    ['what is missing', {}, 'did not write its output "n" to /var/data/out/n'],
    ['what is of another type', { n: 'seven' }, '/var/data/out/n must be integer like 42, but it is "seven"'],
    ['what the task said itself', { n: '1', _ERROR: 'no field\n' }, 'no field'],
  ])('%s is the author’s error, with its place', async (_, files, message) => {
    const { container, written, collected } = attempt({}, { n: typeOf.integer() });
    await container.place(blob);
    for (const [name, value] of Object.entries(files)) written(name, value);
    const { literals, error } = await collected();
    expect(literals).toBeUndefined();
    expect(error?.message).toContain(message);
  });

  it('of a command that failed nothing is collected', async () => {
    const { container, written, collected } = attempt({}, { n: typeOf.integer() });
    await container.place(blob);
    written('n', '1');
    expect(await collected(1)).toEqual({ literals: undefined, error: undefined });
  });
});
