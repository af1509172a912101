// A Python virtual environment with a requirements file's packages, under .cache/, made once per content of that file.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { once } from './once.mjs';
import { root, run } from './prepare.mjs';

/** Path of the environment's interpreter; exits with what to do if there is no Python 3. */
export async function pythonEnvironment(requirements) {
  const digest = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = join(root, '.cache', `venv-${digest}`);
  const python = join(folder, 'bin', 'python');
  const done = join(folder, '.complete');
  await once(
    folder,
    () => existsSync(done),
    () => {
      const system = process.env.ALOFT_SYSTEM_PYTHON ?? 'python3';
      if (spawnSync(system, ['-m', 'venv', '--help'], { stdio: 'ignore' }).status !== 0) {
        console.error(`${system} with the venv module is needed for the Python suites: install Python 3.10 or newer.`);
        process.exit(1);
      }
      console.log(`Making a Python environment for ${requirements} (once) …`);
      rmSync(folder, { recursive: true, force: true });
      run(system, ['-m', 'venv', folder], 'python3 -m venv failed');
      run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements], 'pip failed');
      run(python, ['-c', `open(${JSON.stringify(`${done}.part`)}, "w").close()`], 'the new interpreter does not run');
      renameSync(`${done}.part`, done);
    },
  );
  return python;
}
