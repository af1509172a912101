import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { chooseAccount } from './account.js';
import { findBinaries } from './binaries.js';

const ifRoot = process.getuid?.() === 0 && process.platform === 'linux' ? it : it.skip;

describe('chooseAccount', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'aloft-account-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  ifRoot('runs programs and data that lie under a folder only root may enter (a clone under /root)', async () => {
    const { initdb } = await findBinaries();
    cpSync(resolve(initdb, '..', '..'), join(folder, 'native'), { recursive: true, verbatimSymlinks: true });
    const data = join(folder, 'data');
    mkdirSync(data);
    const bin = join(folder, 'native', 'bin');
    const { ids, command } = chooseAccount(undefined, [folder, bin]);
    chownSync(data, ids!.uid, ids!.gid);
    const made = command(join(bin, basename(initdb)), ['-D', data, '-A', 'trust', '-N']);
    expect(made.file).toBe('setpriv');
    const { status, stderr } = spawnSync(made.file, made.args, { ...made.options, encoding: 'utf8' });
    expect(`${status} ${stderr}`).toMatch(/^0 /);
  });

  ifRoot('needs nothing special for folders that anybody may enter', () => {
    chmodSync(folder, 0o755);
    const { ids, command } = chooseAccount(undefined, [folder]);
    expect(ids!.uid).not.toBe(0);
    expect(command('postgres', ['-D', 'x'])).toEqual({ file: 'postgres', args: ['-D', 'x'], options: ids });
  });

  ifRoot('stays with the user that owns the data', () => {
    chmodSync(folder, 0o755);
    expect(chooseAccount({ uid: 12345, gid: 12345 }, [folder]).ids).toEqual({ uid: 12345, gid: 12345 });
  });
});
