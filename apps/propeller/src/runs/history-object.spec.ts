import type { BlobStore } from '@aloft/blob';
import { notFound } from '@aloft/errors';
import { describe, expect, it } from '@jest/globals';
import { historyObjects, historyUri, readHistory, type History } from './history-object.js';

const history = (uid: string, bytes: Uint8Array): History => ({
  run: { uid, id: { org: '', project: 'p', domain: 'd', name: `run-${uid}` } },
  bytes,
});
const small = (uid: string) => history(uid, Buffer.from(`history of ${uid}`));

/** Blob storage that holds these objects. */
function store(objects: readonly { uri: string; bytes: Uint8Array }[]): BlobStore {
  const stored = new Map(objects.map(({ uri, bytes }) => [uri, bytes]));
  return {
    get: async (uri: string) => {
      const bytes = stored.get(uri);
      if (!bytes) throw notFound(`there is no object ${uri}`);
      return bytes;
    },
  } as unknown as BlobStore;
}

describe('objects of histories', () => {
  it('small ones share one, and each is found in it', async () => {
    const histories = ['u1', 'u2', 'u3'].map(small);
    const objects = historyObjects(histories);
    expect(objects).toHaveLength(1);
    const blob = store(objects);
    for (const { uid, historyUri: uri } of objects[0]!.holds)
      expect(Buffer.from(await readHistory(blob, uri, 1)).toString()).toBe(`history of ${uid}`);
  });

  it('a lone one, and a large one among others, has an object of its own', async () => {
    const large = history('u9', Buffer.alloc(300_000, 7));
    expect(historyObjects([small('u1')]).map(({ uri }) => uri)).toEqual([historyUri(small('u1').run)]);
    const objects = historyObjects([small('u1'), large, small('u2')]);
    expect(objects.map(({ holds }) => holds.map(({ uid }) => uid))).toEqual([['u9'], ['u1', 'u2']]);
    const [own] = objects;
    expect(own).toMatchObject({ uri: historyUri(large.run), holds: [{ historyUri: historyUri(large.run) }] });
    expect(await readHistory(store(objects), own!.uri, 1_000_000)).toHaveLength(300_000);
  });

  it('a pack holds a few megabytes at most', () => {
    const objects = historyObjects(Array.from({ length: 40 }, (_, i) => history(`u${i}`, Buffer.alloc(200_000))));
    expect(objects.length).toBeGreaterThan(1);
    for (const { bytes } of objects) expect(bytes.length).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(objects.flatMap(({ holds }) => holds)).toHaveLength(40);
  });

  it('packs of other runs are other objects, those of the same runs the same: writing one twice harms nobody', () => {
    const uriOf = (...uids: string[]) => historyObjects(uids.map(small))[0]!.uri;
    expect(uriOf('u1', 'u2')).toBe(uriOf('u1', 'u2'));
    expect(new Set([uriOf('u1', 'u2'), uriOf('u1', 'u3'), uriOf('u1', 'u2', 'u3')]).size).toBe(3);
  });

  it('a pack that is too short is DATA_LOSS, one that is gone NOT_FOUND', async () => {
    const [pack] = historyObjects([small('u1'), small('u2')]);
    const last = pack!.holds[1]!.historyUri;
    const cut = store([{ uri: pack!.uri, bytes: pack!.bytes.subarray(0, 20) }]);
    await expect(readHistory(cut, last, 1)).rejects.toMatchObject({ code: 'DATA_LOSS' });
    await expect(readHistory(store([]), last, 1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
