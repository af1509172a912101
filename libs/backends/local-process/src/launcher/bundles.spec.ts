import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from 'tar';
import { BrokenBundle, Bundles } from './bundles.js';

describe('unpacked code bundles', () => {
  const dir = mkdtempSync(join(tmpdir(), 'aloft-bundles-'));
  afterAll(() => rm(dir, { recursive: true }));

  const archive = async (name: string) => {
    const folder = join(dir, 'sources', name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'main.js'), name);
    const path = join(dir, `${name}.tar.gz`);
    await create({ file: path, gzip: true, cwd: folder }, ['main.js']);
    return { path, digest: name };
  };
  const textIn = (folder: string) => readFileSync(join(folder, 'main.js'), 'utf8');

  it('many at once, some for several attempts, more than are kept', async () => {
    const archives = await Promise.all(Array.from({ length: 30 }, (_, at) => archive(`b${at}`)));
    const bundles = new Bundles(join(dir, 'many'), 5);
    await Promise.all(
      [...archives, ...archives].map(async (bundle, at) => {
        const target = join(dir, 'attempts', String(at));
        await bundles.copyTo(bundle, target);
        expect(textIn(target)).toBe(bundle.digest);
      }),
    );
    await bundles.copyTo(await archive('last'), join(dir, 'attempts', 'last'));
    expect(readdirSync(join(dir, 'many'))).toHaveLength(5);
  });

  it('the one that is used stays, however long ago it was unpacked', async () => {
    const [used, ...others] = await Promise.all(['u', 'v', 'w', 'x'].map(archive));
    const bundles = new Bundles(join(dir, 'used'), 2);
    const copy = (bundle: { path: string; digest: string }, at: number) =>
      bundles.copyTo(bundle, join(dir, 'copies', `${bundle.digest}-${at}`));
    await copy(used!, 0);
    for (const [at, other] of others.entries()) {
      await copy(used!, at + 1);
      await copy(other, 0);
    }
    expect(readdirSync(join(dir, 'used')).sort()).toEqual(['u', 'x']);
  });

  it('one that is cut is its author’s mistake, and is tried anew', async () => {
    const path = join(dir, 'cut.tar.gz');
    writeFileSync(path, 'nothing');
    const bundles = new Bundles(join(dir, 'cut'));
    const copied = () => bundles.copyTo({ path, digest: 'cut' }, join(dir, 'attempts', 'cut'));
    await expect(copied()).rejects.toThrow(BrokenBundle);
    const { path: good } = await archive('good');
    writeFileSync(path, readFileSync(good));
    await copied();
    expect(textIn(join(dir, 'attempts', 'cut'))).toBe('good');
  });
});
