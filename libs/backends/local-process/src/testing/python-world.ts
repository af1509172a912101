import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { integer, integerType, launchOf, type LaunchOptions } from '@aloft/backend-kit/testing';
import { create } from 'tar';
import type { LocalProcessOptions } from '../options.js';
import { ShellWorld } from './shell-world.js';

/** An interpreter that can import flytekit: `ALOFT_TEST_PYTHON`, or one of the environments that `tools/python.mjs` makes. */
export const testPython = [process.env['ALOFT_TEST_PYTHON'], ...madeForSuites()].find(
  (path) => path !== undefined && existsSync(path),
);

function madeForSuites(): string[] {
  const cache = fileURLToPath(new URL('../../../../../.cache/', import.meta.url));
  if (!existsSync(cache)) return [];
  return readdirSync(cache)
    .filter((name) => name.startsWith('venv-'))
    .map((name) => join(cache, name, 'bin', 'python'))
    .filter((python) => existsSync(join(python, '..', 'pyflyte-execute')));
}

const tasks = `
import os, subprocess, sys, tempfile, time
from flytekit import task, dynamic, map_task
from flytekit.types.file import FlyteFile
from flytekit.exceptions.user import FlyteRecoverableException

@task
def double(n: int) -> int:
    print("doubling", n)
    return n * 2

@task
def save(n: int) -> FlyteFile:
    with open("saved.txt", "w") as file:
        file.write("x" * n)
    return FlyteFile("saved.txt")

@task(enable_deck=True)
def show(n: int) -> int:
    return n

@task
def talk(n: int) -> int:
    print("first words", flush=True)
    with open(os.environ["FIFO"]) as fifo:
        fifo.readline()
    print("last words", flush=True)
    return n

@task
def where(n: int) -> str:
    open("mine.txt", "w").write(str(n))
    handle, name = tempfile.mkstemp()
    return "|".join([os.getcwd(), tempfile.gettempdir(), name, os.environ["FLYTE_INTERNAL_EXECUTION_ID"],
                     str(os.getpid()), str(os.getsid(0)), __file__, ",".join(sorted(os.listdir(".")))])

@task
def fail(n: int) -> int:
    raise ValueError("n must not be " + str(n))

@task
def fail_for_now(n: int) -> int:
    raise FlyteRecoverableException("try again")

@task
def wait(n: int) -> int:
    with open(os.environ["FIFO"]) as fifo:
        fifo.readline()
    return n + 1

@task
def hog(n: int) -> int:
    much = bytearray(b"x") * (400 * 1024 * 1024)
    time.sleep(60)
    return len(much)

@task
def leave_children(n: int) -> int:
    subprocess.Popen(["sleep", "300"])
    subprocess.Popen(["sleep", "300"], start_new_session=True)
    with open(os.environ["FIFO"]) as fifo:
        fifo.readline()
    return n

@task
def crash(n: int) -> int:
    os.abort()

@dynamic
def fan(n: int) -> int:
    return double(n=double(n=n))

mapped = map_task(double)
`;

/** Python tasks of one module, in a code bundle in blob storage. */
export class PythonWorld extends ShellWorld {
  constructor(options: Partial<LocalProcessOptions> = {}) {
    super({ python: testPython ?? 'python3', ...options });
  }

  async makeBundle(): Promise<void> {
    const folder = join(this.dir, 'source');
    mkdirSync(folder);
    writeFileSync(join(folder, 'tasks.py'), tasks);
    const path = join(this.dir, 'fast1.tar.gz');
    await create({ gzip: true, file: path, cwd: folder }, ['tasks.py']);
    await this.blob.put('s3://aloft/code/fast1.tar.gz', readFileSync(path));
  }

  python(task: string, name: string, more: Partial<LaunchOptions> & { fast?: boolean; raw?: string } = {}) {
    const options: LaunchOptions = {
      name,
      type: 'python-task',
      inputs: { n: integer(21) },
      outputs: { o0: integerType },
      ...more,
      env: {
        FLYTE_INTERNAL_EXECUTION_ID: more.execution ?? 'run1',
        ...this.marks.environment({ name, generation: more.generation ?? 1 }),
        ...more.env,
      },
    };
    const { inputsUri, outputPrefix } = launchOf(options);
    const raw = more.raw ?? join(this.dir, 'raw');
    const map = task.startsWith('map:');
    const execute = [
      map ? 'pyflyte-map-execute' : 'pyflyte-execute',
      ...['--inputs', inputsUri, '--output-prefix', outputPrefix],
      ...['--raw-output-data-prefix', raw],
      ...['--checkpoint-path', `${raw}/checkpoints`, '--prev-checkpoint', '""'],
      ...(map
        ? ['--resolver', 'flytekit.core.array_node_map_task.ArrayNodeMapTaskResolver', '--', 'vars', '', 'resolver']
        : ['--resolver']),
      'flytekit.core.python_auto_container.default_task_resolver',
      ...(map ? [] : ['--']),
      ...['task-module', 'tasks', 'task-name', task.replace('map:', '')],
    ];
    const fast = [
      'pyflyte-fast-execute',
      '--additional-distribution',
      's3://aloft/code/fast1.tar.gz',
      '--dest-dir',
      '/root',
      '--',
    ];
    return launchOf({ ...options, args: more.fast === false ? execute : [...fast, ...execute] });
  }
}
