import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareKeys, pathOfKey, segmentOfName } from './keys.js';
import { createLocalBlobStore, type LocalBlobStore } from './local-blob-store.js';
import { AloftError } from '@aloft/errors';

let dir: string;
let store: LocalBlobStore;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'aloft-blob-'));
  store = createLocalBlobStore({ dir, durable: false });
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const keysOf = async (prefix = 's3://aloft/') => {
  const keys: string[] = [];
  for await (const { uri } of store.list(prefix)) keys.push(uri.slice('s3://aloft/'.length));
  return keys;
};
const text = async (uri: string) => Buffer.from(await store.get(uri)).toString();

describe('keys are paths', () => {
  test('an object is the plain file of its key, and a file that a process wrote is an object', async () => {
    await store.put('s3://aloft/metadata/p-d-x/n0/data/inputs.pb', Buffer.from('in'), { metadata: { a: 'b' } });
    expect(readFileSync(join(dir, 'aloft/metadata/p-d-x/n0/data/inputs.pb'), 'utf8')).toBe('in');
    const outputs = store.localPath('s3://aloft/metadata/p-d-x/n0/data/0/outputs.pb');
    mkdirSync(join(outputs, '..'), { recursive: true });
    writeFileSync(outputs, 'out');
    expect(await store.head('s3://aloft/metadata/p-d-x/n0/data/0/outputs.pb')).toMatchObject({
      size: 3,
      etag: 'c68271a63ddbc431c307beb7d2918275',
    });
    expect(await keysOf()).toEqual(['metadata/p-d-x/n0/data/0/outputs.pb', 'metadata/p-d-x/n0/data/inputs.pb']);
  });

  test('a file that a process rewrote has no more of the old metadata or tag', async () => {
    const old = await store.put('s3://aloft/x', Buffer.alloc(2_000_000), { metadata: { a: 'b' } });
    writeFileSync(store.localPath('s3://aloft/x'), 'changed');
    const now = await store.head('s3://aloft/x');
    expect(now).toMatchObject({ size: 7, metadata: {} });
    expect(now!.etag).not.toBe(old.etag);
  });

  test('empty segments and names of our own have a way to be files', async () => {
    const keys = ['/x', 'a//b', 'a/', '.aloft~empty/y', '.hidden', '%2e%2e/x', 'a\\b'];
    for (const key of keys) await store.put(`s3://aloft/${key}`, Buffer.from(key));
    for (const key of keys) expect(await text(`s3://aloft/${key}`)).toBe(key);
    expect(await keysOf()).toEqual([...keys].sort(compareKeys));
    expect(await keysOf('s3://aloft/a//')).toEqual(['a//b']);
    expect(await keysOf('s3://aloft//')).toEqual(['/x']);
    for (const name of ['x', '', '.aloft~empty', '.aloft~~'])
      expect(segmentOfName(pathOfKey(`a/${name}`).slice(2))).toBe(name);
  });

  test.each([
    ['parent', '../x'],
    ['inner parent', 'a/../../x'],
    ['last parent', 'a/..'],
    ['this folder', './a'],
    ['inner this folder', 'a/./b'],
    ['NUL', 'a\0b'],
    ['a long segment', 'x'.repeat(300)],
    ['a long key', 'y/'.repeat(600)],
    ['none', ''],
  ])('%s in a key is refused', async (_what, key) => {
    await expect(store.put(`s3://aloft/${key}`, Buffer.from('x'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(store.get(`s3://aloft/${key}`)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(() => store.localPath(`s3://aloft/${key}`)).toThrow(AloftError);
  });

  test('a key and a folder of the same name: refused, whichever comes second, and nothing is lost', async () => {
    await store.put('s3://aloft/a', Buffer.from('a'));
    await expect(store.put('s3://aloft/a/b', Buffer.from('b'))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('use another key'),
    });
    await store.put('s3://aloft/c/d', Buffer.from('d'));
    for (const ifAbsent of [false, true])
      await expect(store.put('s3://aloft/c', Buffer.from('c'), { ifAbsent })).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
      });
    expect(await keysOf()).toEqual(['a', 'c/d']);
    expect(await store.head('s3://aloft/c')).toBeUndefined();
    expect(await store.head('s3://aloft/a/b')).toBeUndefined();
  });

  test('a folder without objects stands in nobody’s way', async () => {
    mkdirSync(join(dir, 'aloft/e/f/g'), { recursive: true });
    mkdirSync(join(dir, 'aloft/h'), { recursive: true });
    expect(await keysOf()).toEqual([]);
    await store.put('s3://aloft/e', Buffer.from('e'));
    await store.put('s3://aloft/h', Buffer.from('h'), { ifAbsent: true });
    expect(await keysOf()).toEqual(['e', 'h']);
  });
});

describe('nothing outside is reachable', () => {
  test('symbolic links to files and folders are no objects', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'aloft-outside-'));
    writeFileSync(join(outside, 'secret'), 'secret');
    symlinkSync(outside, join(dir, 'aloft/link'));
    symlinkSync(join(outside, 'secret'), join(dir, 'aloft/file'));
    for (const key of ['link/secret', 'file']) {
      expect(await store.head(`s3://aloft/${key}`)).toBeUndefined();
      await expect(store.get(`s3://aloft/${key}`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await store.delete(`s3://aloft/link/secret`);
    }
    expect(await keysOf()).toEqual([]);
    expect(await keysOf('s3://aloft/link/')).toEqual([]);
    await expect(store.put('s3://aloft/link/new/deep', Buffer.from('x'))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    await store.put('s3://aloft/file', Buffer.from('mine'));
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('secret');
    expect(readdirSync(outside)).toEqual(['secret']);
    rmSync(outside, { recursive: true });
  });

  test('special files are no objects and hang nobody', async () => {
    execFileSync('mkfifo', [join(dir, 'aloft/pipe')]);
    expect(await store.head('s3://aloft/pipe')).toBeUndefined();
    await expect(store.get('s3://aloft/pipe')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await keysOf()).toEqual([]);
  });
});

describe('a full disk', () => {
  // A tmpfs of 1 MB needs root and mount; /dev/full cannot stand in for a folder.
  const small = mkdtempSync(join(tmpdir(), 'aloft-full-'));
  let mounted = false;
  beforeAll(() => {
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', small], { stdio: 'ignore' });
      mounted = true;
    } catch {
      mounted = false;
    }
  });
  afterAll(() => {
    if (mounted) execFileSync('umount', [small]);
    rmSync(small, { recursive: true, force: true });
  });

  test('is RESOURCE_EXHAUSTED, and nothing half-written is visible or left', async () => {
    if (!mounted) return;
    const full = createLocalBlobStore({ dir: small });
    await full.put('s3://aloft/kept', Buffer.from('kept'));
    await expect(full.put('s3://aloft/kept', Buffer.alloc(2_000_000))).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringContaining('no space left'),
    });
    expect(Buffer.from(await full.get('s3://aloft/kept')).toString()).toBe('kept');
    expect(readdirSync(join(small, '.tmp'))).toEqual([]);
    await full.put('s3://aloft/small', Buffer.from('fits'));
  });
});

test('without an endpoint, signing says what is missing', async () => {
  await expect(store.signGet('s3://aloft/x', { expiresInSeconds: 1 })).rejects.toMatchObject({
    code: 'FAILED_PRECONDITION',
  });
});

test('no staging files or sidecars are left after deletes', async () => {
  await store.put('s3://aloft/x', Buffer.from('x'), { metadata: { a: 'b' } });
  await store.put('s3://aloft/x', Buffer.from('y'), { metadata: { a: 'c' } });
  await store.put('s3://aloft/x', Buffer.from('z'), { metadata: { a: 'd' }, ifAbsent: true }).catch(() => undefined);
  const sidecars = () =>
    readdirSync(join(dir, '.meta'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
  expect(sidecars()).toBe(1);
  await store.delete('s3://aloft/x');
  expect(sidecars()).toBe(0);
  expect(readdirSync(join(dir, '.tmp'))).toEqual([]);
  expect(existsSync(join(dir, 'aloft/x'))).toBe(false);
});
