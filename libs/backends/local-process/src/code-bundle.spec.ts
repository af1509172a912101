import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { BlobStore } from '@aloft/blob';
import { CodeBundles } from './code-bundle.js';

const uri = 's3://aloft/code/bundle.tar.gz';
const content = Buffer.from(Array.from({ length: 400_000 }, (_, at) => at % 251));

/** A store of elsewhere that has one bundle, and gives it out bit by bit. */
function elsewhere(pieces = 40, given = content.length): { blob: BlobStore; reads: () => number } {
  let reads = 0;
  async function* bits() {
    for (let at = 0; at < given; at += content.length / pieces) {
      await setImmediate();
      yield content.subarray(at, Math.min(given, at + content.length / pieces));
    }
  }
  const blob = {
    localPath: () => undefined,
    head: (asked: string) => Promise.resolve(asked === uri ? { uri, size: content.length, etag: 'e' } : undefined),
    stream: () => {
      reads++;
      return Promise.resolve(Readable.from(bits()));
    },
  } as unknown as BlobStore;
  return { blob, reads: () => reads };
}

describe('code bundles that lie elsewhere', () => {
  let workDir: string;
  beforeEach(async () => {
    workDir = await mkdtemp(join(tmpdir(), 'aloft-bundles-'));
  });
  afterEach(() => rm(workDir, { recursive: true }));

  test('are whole for each of many attempts that ask at once, and fetched once', async () => {
    const { blob, reads } = elsewhere();
    const bundles = new CodeBundles(workDir);
    const asked = Array.from({ length: 8 }, async (_, at) => {
      for (let turns = 0; turns < at * 3; turns++) await setImmediate();
      const { path } = await bundles.locate(uri, blob);
      expect((await readFile(path)).equals(content)).toBe(true);
      return path;
    });
    expect(new Set(await Promise.all(asked)).size).toBe(1);
    expect(reads()).toBe(1);
  });

  test('are whole also where several hosts share a folder, and leave nothing else there', async () => {
    const hosts = [1, 2, 3].map(() => new CodeBundles(workDir));
    const paths = await Promise.all(hosts.map(async (host) => (await host.locate(uri, elsewhere().blob)).path));
    for (const path of paths) expect((await readFile(path)).equals(content)).toBe(true);
    expect(await readdir(dirname(paths[0]!))).toEqual(['bundle.tar.gz']);
  });

  test('are asked for again where only a part came', async () => {
    const bundles = new CodeBundles(workDir);
    await expect(bundles.locate(uri, elsewhere(40, 1000).blob)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('1000 of 400000 bytes') as unknown,
    });
    const { path } = await bundles.locate(uri, elsewhere().blob);
    expect((await readFile(path)).equals(content)).toBe(true);
  });

  test('that are not there are refused with what to do', async () => {
    const bundles = new CodeBundles(workDir);
    const { blob } = elsewhere();
    await expect(bundles.locate('s3://aloft/code/gone.tar.gz', blob)).rejects.toThrow('register the task again');
    await expect(bundles.locate('file:///tmp/x', blob)).rejects.toThrow('s3://');
  });
});
