// The layer of an image with a Python environment of this machine, as a tar file: interpreter, packages and the libraries that they
// load, all where they are here. Without Docker, for nodes of kube-nodes.mjs.
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { addTo, librariesOf, relative, run } from './layers.mjs';

/** What no task needs of an interpreter. What is compiled stays: without it each container compiles all that it imports, for 10 s and more. */
const left = ['test', 'tests', 'idlelib', 'tkinter', 'config-3.*', '*.a', 'ensurepip', 'pip', 'lib2to3'];
/** What flytekit calls, which a small shell does not have in full. */
const programs = ['/usr/bin/tar', '/usr/bin/gzip'];

/**
 * Writes `archive` for the virtual environment of `python` and returns its path. Its programs (`pyflyte-execute` …) are in `/usr/local/bin`; the
 * shell of `base`, a folder, comes with it. `excludes`: names of packages that its tasks do without.
 */
export function pythonLayer({ python, archive, base, excludes = [] }) {
  const venv = dirname(dirname(python));
  const interpreter = realpathSync(python);
  const version = run(python, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']).trim();
  const library = join(dirname(dirname(interpreter)), 'lib', `python${version}`);
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
  const links = linksOf(python).filter((path) => !path.startsWith(`${venv}/`));
  run('tar', ['-C', base, '-cf', archive, '.']);
  run('tar', ['-C', shims, '-rf', archive, '.']);
  addTo(archive, [venv, library, interpreter, ...links], {
    excludes: [...left, ...excludes, relative(join(library, 'site-packages'))],
  });
  addTo(archive, [...programs, ...librariesOf([library, venv], [interpreter, ...programs])], { followed: true });
  return archive;
}

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
