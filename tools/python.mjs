// Python virtual environments with packages from pip, made once.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { once } from './once.mjs';
import { root } from './prepare.mjs';

/** Path of the interpreter of an environment with a requirements file's packages, under .cache/: once per content of that file. */
export function pythonEnvironment(requirements) {
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = join(root, '.cache', `venv-${digest}`);
  return virtualEnvironment(folder, ['-r', requirements], () =>
    console.log(`Making a Python environment for ${requirements} (once) …`),
  );
}

/**
 * Path of the interpreter of the environment in `folder` with what pip is asked for; `begins` is called if it is not there yet.
 * @throws Error with what to do if there is no Python 3, or with what pip says.
 */
export async function virtualEnvironment(folder, packages, begins = () => undefined) {
  const python = join(folder, 'bin', 'python');
  const done = join(folder, '.complete');
  await once(
    folder,
    () => existsSync(done),
    () => {
      begins();
      rmSync(folder, { recursive: true, force: true });
      const system = process.env.ALOFT_SYSTEM_PYTHON ?? 'python3';
      run(system, ['-m', 'venv', folder], `${system} with the venv module is needed: install Python 3.10 or newer`);
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages];
      run(python, pip, `pip could not install ${packages.join(' ')}`);
      writeFileSync(done, '');
    },
  );
  return python;
}

function run(command, args, onFailure) {
  const { status, error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${onFailure}: ${error?.message ?? `${stdout}${stderr}`.trim()}`);
}
