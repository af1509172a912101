// The layer of an image with a Python environment of this machine, as a tar file: interpreter, packages and the libraries that they
// load, all where they are here. Without Docker, for nodes of kube-nodes.mjs.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What no task needs: half of an interpreter's files. */
const left = ['test', 'tests', 'idlelib', 'tkinter', '__pycache__', 'config-3.*', '*.a', 'ensurepip', 'pip', 'lib2to3'];

/** What flytekit calls, which a small shell does not have in full. */
const programs = ['/usr/bin/tar', '/usr/bin/gzip'];

/**
 * Writes `archive` for the virtual environment of `python` and returns its path. Its programs (`pyflyte-execute` …) are in `/usr/local/bin`; the
 * shell of `base`, a folder, comes with it.
 */
export function pythonLayer({ python, archive, base }) {
  const venv = dirname(dirname(python));
  const interpreter = realpathSync(python);
  const prefix = dirname(dirname(interpreter));
  const version =
    /python(\d+\.\d+)/.exec(interpreter)?.[1] ??
    run(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']).trim();
  const library = join(prefix, 'lib', `python${version}`);
  const shims = `${archive}.bin`;
  const shimFolder = join(shims, 'usr', 'local', 'bin');
  mkdirSync(shimFolder, { recursive: true });
  for (const folder of ['tmp', 'root']) mkdirSync(join(shims, folder), { recursive: true });
  for (const name of readdirSync(join(venv, 'bin')).filter((name) => name.startsWith('pyflyte'))) {
    // An environment that was copied names the place where it was made.
    const text = readFileSync(join(venv, 'bin', name), 'utf8').replace(/^#!.*/, `#!${python}`);
    writeFileSync(join(shimFolder, name), text);
    chmodSync(join(shimFolder, name), 0o755);
  }
  const excludes = [
    ...left.map((name) => `--exclude=${name}`),
    `--exclude=${relative(join(library, 'site-packages'))}`,
  ];
  run('tar', ['-C', base, '-cf', archive, '.']);
  run('tar', ['-C', shims, '-rf', archive, '.']);
  run('tar', [
    '-C',
    '/',
    '-rf',
    archive,
    ...excludes,
    ...[venv, library, interpreter, ...linksOf(python).filter((path) => !path.startsWith(`${venv}/`))].map(relative),
  ]);
  run('tar', [
    '-C',
    '/',
    '-rhf',
    archive,
    ...[...programs, ...librariesOf([interpreter, library, venv])].map(relative),
  ]);
  return archive;
}

const relative = (path) => path.replace(/^\/+/, '');

/** Links on the way from a program to the file that it is. */
function linksOf(program) {
  const links = [];
  for (let path = program; ;) {
    let target;
    try {
      target = readlinkSync(path);
    } catch {
      return links;
    }
    links.push(path);
    path = target.startsWith('/') ? target : join(dirname(path), target);
  }
}

/** Shared libraries of the system that these files, or files in these folders, load. */
function librariesOf(paths) {
  const files = run('find', [
    ...paths,
    '-type',
    'f',
    '(',
    '-name',
    '*.so',
    '-o',
    '-name',
    '*.so.*',
    '-o',
    '-perm',
    '-100',
    '-name',
    'python*',
    ')',
  ])
    .split('\n')
    .filter(Boolean);
  const { stdout } = spawnSync('ldd', [...files, ...programs], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  const found = new Set(stdout.split('\n').flatMap((line) => /(?:=>\s+|^\s+)(\/\S+\.so\S*)/.exec(line)?.[1] ?? []));
  return [...found].filter((path) => !paths.some((folder) => path.startsWith(`${folder}/`)));
}

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${command} ${args.slice(0, 6).join(' ')} …: ${stderr || error}`);
  return stdout;
}
