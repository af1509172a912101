// Parts of image layers that are made without Docker: tar files of what is on this machine.
import { spawnSync } from 'node:child_process';

/** Shared libraries of the system that these files, or programs and libraries in these folders, load. */
export function librariesOf(paths, programs = []) {
  const files = run('find', [
    ...paths,
    ...['-type', 'f', '(', '-name', '*.so', '-o', '-name', '*.so.*', '-o', '-name', '*.node', ')'],
  ]);
  const { stdout } = spawnSync('ldd', [...files.split('\n').filter(Boolean), ...programs], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  const found = new Set(stdout.split('\n').flatMap((line) => /(?:=>\s+|^\s+)(\/\S+\.so\S*)/.exec(line)?.[1] ?? []));
  return [...found].filter((path) => !paths.some((folder) => path.startsWith(`${folder}/`)));
}

/** Adds these files and folders to an archive, each where it is here; `followed`: links become what they name. */
export function addTo(archive, paths, { followed = false, excludes = [] } = {}) {
  const options = excludes.map((name) => `--exclude=${name}`);
  run('tar', ['-C', '/', followed ? '-rhf' : '-rf', archive, ...options, ...paths.map(relative)]);
}

export const relative = (path) => path.replace(/^\/+/, '');

export function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`${command} ${args.slice(0, 6).join(' ')} …: ${stderr || error}`);
  return stdout;
}
