import { createHash } from 'node:crypto';
import type { BlobStore } from '@aloft/blob';
import { notFound } from '@aloft/errors';
import { describe, expect, it } from '@jest/globals';
import { chain } from '../testing/workflows.js';
import { pureEngine } from './engine.js';
import { GraphCache } from './graph-cache.js';

const bytes = chain(50);
const digest = createHash('sha256').update(bytes).digest('hex');
const uri = 's3://b/closure';

function storage() {
  const files = new Map<string, Uint8Array>([[uri, bytes]]);
  const blob = {
    bucket: 'b',
    get: async (from: string) => {
      const found = files.get(from);
      if (!found) throw notFound(`there is nothing at ${from}`);
      return found;
    },
    put: async (to: string, data: Uint8Array) => void files.set(to, data),
  } as unknown as BlobStore;
  return { files, blob };
}

/** What was compiled on the loop and beside it. */
function cacheOver(blob: BlobStore, largeBytes: number) {
  const counts = { compiled: 0, packed: 0 };
  const cache = new GraphCache({
    blob,
    engine: {
      ...pureEngine,
      compileGraph: (...input) => {
        counts.compiled++;
        return pureEngine.compileGraph(...input);
      },
    },
    compiler: {
      packGraph: async (...input) => {
        counts.packed++;
        return pureEngine.packGraph(...input);
      },
    },
    largeBytes,
    maxBytes: 2 ** 20,
    maxClosureBytes: 2 ** 20,
  });
  return { cache, counts };
}

describe('graphs', () => {
  it('of small closures are compiled at once, and nothing is stored', async () => {
    const { blob, files } = storage();
    const { cache, counts } = cacheOver(blob, bytes.length);
    const [first, second] = await Promise.all([cache.load(digest, uri), cache.load(digest, uri)]);
    expect(first).toBe(second);
    expect(counts).toEqual({ compiled: 1, packed: 0 });
    expect([...files.keys()]).toEqual([uri]);
  });

  it('of large ones are compiled beside the loop once, for all processes and times', async () => {
    const { blob } = storage();
    const first = cacheOver(blob, 10);
    await first.cache.load(digest, uri);
    await first.cache.load(digest, uri);
    expect(first.counts).toEqual({ compiled: 0, packed: 1 });
    const second = cacheOver(blob, 10);
    const graph = await second.cache.load(digest, uri);
    expect(graph.digest).toBe(digest);
    expect(second.counts).toEqual({ compiled: 0, packed: 0 });
  });

  it('whose stored form is damaged are made anew', async () => {
    const { blob, files } = storage();
    await cacheOver(blob, 10).cache.load(digest, uri);
    const stored = [...files.keys()].find((each) => each !== uri)!;
    const whole = files.get(stored)!;
    for (const damaged of [
      whole.subarray(0, 20),
      whole.subarray(0, -1),
      whole.map((byte, at) => (at === 99 ? ~byte : byte)),
    ]) {
      files.set(stored, damaged);
      const { cache, counts } = cacheOver(blob, 10);
      await cache.load(digest, uri);
      expect(counts.packed).toBe(1);
      expect(Buffer.from(files.get(stored)!).equals(whole)).toBe(true);
    }
  });
});
