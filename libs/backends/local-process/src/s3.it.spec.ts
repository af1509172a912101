import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackendHost, outcomeUris } from '@aloft/backend-kit';
import {
  describeBackendConformance,
  integer,
  MemoryBus,
  MemoryWorkStore,
  type S3Server,
  startS3,
} from '@aloft/backend-kit/testing';
import { type BlobStore, followObject } from '@aloft/blob';
import { createS3BlobStore } from '@aloft/blob/s3';
import type { Database } from '@aloft/database';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { LocalProcessOptions } from './options.js';
import { PythonWorld, testPython } from './testing/python-world.js';
import { ShellWorld, testLogger } from './testing/shell-world.js';

let server: S3Server;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'aloft-s3-'));
  server = await startS3(dir);
}, 180_000);

afterAll(async () => {
  await server.kill();
  await rm(dir, { recursive: true, force: true });
});

const store = (): BlobStore =>
  createS3BlobStore({
    buckets: ['aloft'],
    endpoint: server.endpoint,
    region: server.region,
    credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
  });

/** How tasks reach the storage themselves. */
const storage: Partial<LocalProcessOptions> = {
  storage: () => ({
    endpoint: server.endpoint,
    region: server.region,
    accessKeyId: server.accessKeyId,
    secretAccessKey: server.secretAccessKey,
  }),
};

/** The same world over blob storage that is no folder of this machine; cases must not find each other's objects. */
function onS3<W extends ShellWorld>(world: W): W {
  return Object.assign(world, { blob: store() });
}

const clear = async () => {
  const blob = store();
  for await (const { uri } of blob.list('s3://aloft/metadata/')) await blob.delete(uri);
};

describeBackendConformance('local-process on S3', {
  world: async () => {
    await clear();
    return onS3(new ShellWorld(storage));
  },
  many: 100,
});

const describeWithFlytekit = testPython === undefined ? describe.skip : describe;

describeWithFlytekit('Python tasks over S3, with stock flytekit', () => {
  let world: PythonWorld;
  let bus: MemoryBus;
  let host: BackendHost;

  beforeEach(async () => {
    await clear();
    world = onS3(new PythonWorld({ warmAtStart: true, ...storage }));
    await world.makeBundle();
    bus = new MemoryBus();
    host = new BackendHost({
      plugin: world.plugin(),
      bus,
      database: undefined as unknown as Database,
      store: new MemoryWorkStore(),
      blob: world.blob,
      logger: testLogger,
      name: 'host-1',
    });
    await host.start();
  });

  afterEach(async () => {
    await host.stop();
    await world.close();
  });

  const run = async (task: string, more: Parameters<PythonWorld['python']>[2] = {}) => {
    const launch = world.python(task, 'run1-n0-0', { raw: 's3://aloft/data/run1', ...more });
    await bus.command({ launch });
    const end = await bus.end(launch.attempt);
    return { launch, end, blob: store(), uris: outcomeUris(launch.outputPrefix) };
  };

  it('C-100: outputs, deck and output lie in the bucket', async () => {
    const { end, blob, uris } = await run('show');
    expect([Phase[end.phase], end.reason]).toEqual(['SUCCEEDED', '']);
    expect(await blob.head(uris.outputs)).toBeDefined();
    expect(end.outcome?.deckUri).toBe(uris.deck);
    expect(await blob.head(uris.log)).toBeDefined();
  }, 60_000);

  it('a file that a task returns is uploaded by flytekit itself, with the keys that it was given', async () => {
    const { end, blob } = await run('save', { inputs: { n: integer(1000) }, outputs: {} });
    expect([Phase[end.phase], end.reason]).toEqual(['SUCCEEDED', '']);
    const found: number[] = [];
    for await (const { size } of blob.list('s3://aloft/data/run1')) found.push(size);
    expect(found).toContain(1000);
  }, 60_000);

  it('C-170: error.pb lies in the bucket and is named by its URI', async () => {
    const failed = await run('fail');
    expect(failed.end.outcome?.result).toMatchObject({ $case: 'error', value: { errorUri: failed.uris.error } });
    expect(await failed.blob.head(failed.uris.error)).toBeDefined();
  }, 60_000);

  it('a dynamic task’s futures', async () => {
    const settings = execFileSync(testPython ?? '', [
      '-c',
      'from flytekit.configuration import SerializationSettings, ImageConfig\n' +
        'print(SerializationSettings(ImageConfig.auto(img_name="test:1"), project="p", domain="d", version="v").serialized_context)',
    ]);
    const { end, blob, uris } = await run('fan', { env: { _F_SS_C: settings.toString().trim() } });
    expect(end.outcome?.result).toMatchObject({ $case: 'futures', value: { uri: uris.futures } });
    expect((await blob.get(uris.futures)).length).toBeGreaterThan(100);
  }, 60_000);

  it('C-176: what a running task says can be followed from anywhere, then its whole output without the parts', async () => {
    const fifo = join(world.dir, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const launch = world.python('talk', 'run1-n0-0', { raw: 's3://aloft/data/run1', env: { FIFO: fifo } });
    const uris = outcomeUris(launch.outputPrefix);
    await bus.command({ launch });
    const ended = new AbortController();
    const over = bus.end(launch.attempt).then((end) => {
      ended.abort();
      return end;
    });
    let text = '';
    const options = { until: ended.signal, signal: new AbortController().signal, everyMs: 50 };
    for await (const piece of followObject(store(), uris.log, options)) {
      const before = text;
      text += Buffer.from(piece).toString();
      if (!before.includes('first words') && text.includes('first words')) await writeFile(fifo, 'go\n');
    }
    expect(Phase[(await over).phase]).toBe('SUCCEEDED');
    expect(text.match(/first words/g)).toHaveLength(1);
    expect(text.match(/last words/g)).toHaveLength(1);
    const left: string[] = [];
    for await (const { uri } of store().list(uris.log)) left.push(uri);
    expect(left).toEqual([uris.log]);
  }, 60_000);

  it('storage that is away for a while delays the end of an attempt, and loses nothing', async () => {
    const launch = world.python('double', 'run1-n0-0', { raw: 's3://aloft/data/run1' });
    const put = world.blob.put.bind(world.blob);
    let failures = 3;
    world.blob.put = async (uri, ...rest) => {
      if (uri.endsWith('outputs.pb') && failures-- > 0) throw new Error('the storage is away');
      return put(uri, ...rest);
    };
    await bus.command({ launch });
    expect(Phase[(await bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
    expect(failures).toBeLessThan(0);
  }, 60_000);
});
