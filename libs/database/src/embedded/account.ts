import { spawnSync, type SpawnOptions } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { failedPrecondition } from '@aloft/errors';

/** How to run Postgres' programs: it refuses to run as root. */
export interface Account {
  /** undefined: as ourselves. */
  ids: { uid: number; gid: number } | undefined;
  /** Program and arguments to put in front, and what to give `spawn`. */
  command(program: string, args: readonly string[]): { file: string; args: string[]; options: SpawnOptions };
}

const asOurselves: Account = {
  ids: undefined,
  command: (file, args) => ({ file, args: [...args], options: {} }),
};

/**
 * Chooses whom Postgres runs as: ourselves, unless we are root; then the data folder's owner, else the user
 * `postgres` (made if missing), else `nobody`.
 *
 * That user must reach both the data folder and Postgres' programs. Where a folder above is closed to it (a clone
 * under /root), it gets the one capability to pass closed folders, from `setpriv`; no folder's mode is changed.
 * FAILED_PRECONDITION says which folder is in the way when that is not possible either.
 */
export function chooseAccount(owner: { uid: number; gid: number } | undefined, paths: readonly string[]): Account {
  if (process.getuid?.() !== 0) return asOurselves;
  const ids = owner !== undefined && owner.uid !== 0 ? owner : unprivilegedUser();
  const closed = paths.find((path) => !canEnter(ids, path));
  if (closed === undefined) return { ids, command: (file, args) => ({ file, args: [...args], options: ids }) };
  const capability = passFolders();
  if (capability === undefined || !hasSetpriv(ids, capability))
    throw failedPrecondition(
      `Postgres does not run as root, and user id ${ids.uid} can't enter ${closed}: ` +
        `open the folders above it (chmod o+x ${firstClosed(ids, closed)}), set ALOFT_DATA_DIR to a folder outside of ` +
        `it, or run Aloft as an ordinary user`,
    );
  return {
    ids,
    command: (file, args) => ({
      file: 'setpriv',
      args: [...setprivFlags(ids, capability), file, ...args],
      options: {},
    }),
  };
}

function unprivilegedUser(): { uid: number; gid: number } {
  const existing = userNamed('postgres');
  if (existing) return existing;
  const makers: [string, string[]][] = [
    ['useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres']],
    ['adduser', ['-S', '-D', '-H', '-s', '/sbin/nologin', 'postgres']],
  ];
  for (const [program, args] of makers) {
    if (spawnSync(program, args, { stdio: 'ignore' }).status !== 0) continue;
    const made = userNamed('postgres');
    if (made) return made;
  }
  const nobody = userNamed('nobody');
  if (nobody) return nobody;
  throw failedPrecondition(
    'Postgres does not run as root, and no user "postgres" could be made: add one (useradd --system postgres)',
  );
}

function userNamed(name: string): { uid: number; gid: number } | undefined {
  const id = (flag: string) => {
    const { status, stdout } = spawnSync('id', [flag, name], { encoding: 'utf8' });
    return status === 0 ? Number(stdout) : undefined;
  };
  const uid = id('-u');
  const gid = id('-g');
  return uid === undefined || gid === undefined || uid === 0 ? undefined : { uid, gid };
}

function canEnter(ids: { uid: number; gid: number }, path: string): boolean {
  return spawnSync('/bin/sh', ['-c', 'cd -- "$1"', 'sh', path], { ...ids, cwd: '/', stdio: 'ignore' }).status === 0;
}

function firstClosed(ids: { uid: number; gid: number }, path: string): string {
  const above = dirname(path);
  return above === path || canEnter(ids, above) ? path : firstClosed(ids, above);
}

/** CAP_DAC_READ_SEARCH is all it takes; containers often grant the wider CAP_DAC_OVERRIDE only. */
function passFolders(): 'dac_read_search' | 'dac_override' | undefined {
  if (process.platform !== 'linux') return undefined;
  const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const bits = BigInt(`0x${bounding ?? '0'}`);
  if ((bits >> 2n) & 1n) return 'dac_read_search';
  if ((bits >> 1n) & 1n) return 'dac_override';
  return undefined;
}

function setprivFlags({ uid, gid }: { uid: number; gid: number }, capability: string): string[] {
  const caps = `+${capability}`;
  // access(2), by which Postgres looks for its own programs, counts capabilities of users but root only with this bit.
  const bits = '--securebits=+no_setuid_fixup';
  return [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', bits, `--inh-caps=${caps}`, `--ambient-caps=${caps}`];
}

function hasSetpriv(ids: { uid: number; gid: number }, capability: string): boolean {
  return spawnSync('setpriv', [...setprivFlags(ids, capability), 'true'], { stdio: 'ignore' }).status === 0;
}
