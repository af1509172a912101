import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { BackendHost, outcomeUris } from '@aloft/backend-kit';
import { integer, MemoryBus, MemoryWorkStore } from '@aloft/backend-kit/testing';
import type { Database } from '@aloft/database';
import type { TaskAttempt, TaskReport } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { DynamicJobSpec } from '@aloft/idl/flyteidl/core/dynamic_job';
import { SimpleType } from '@aloft/idl/flyteidl/core/types';
import type { LocalProcessBackend } from './local-process-backend.js';
import { PythonWorld, testPython } from './testing/python-world.js';
import { testLogger } from './testing/shell-world.js';

const describeWithFlytekit = testPython === undefined ? describe.skip : describe;

const primitive = (report: TaskReport, name = 'o0') => {
  const result = report.outcome?.result;
  if (result?.$case !== 'outputs' || result.value.value?.$case !== 'inline')
    throw new Error(
      `${Phase[report.phase]}: ${report.reason} ${JSON.stringify(result?.value, (_, v) => (typeof v === 'bigint' ? String(v) : v))}`,
    );
  const literal = result.value.value.value.literals[name];
  const scalar = literal?.value?.$case === 'scalar' ? literal.value.value.value : undefined;
  return scalar?.$case === 'primitive' ? scalar.value.value?.value : undefined;
};

const errorOf = (report: TaskReport) => {
  const result = report.outcome?.result;
  if (result?.$case !== 'error') throw new Error(`no error in ${Phase[report.phase]}`);
  return result.value;
};

const text = { o0: { type: { $case: 'simple' as const, value: SimpleType.STRING } } } as never;

describeWithFlytekit('Python tasks in warm workers, with stock flytekit', () => {
  let world: PythonWorld;
  let bus: MemoryBus;
  let store: MemoryWorkStore;
  let plugin: LocalProcessBackend;
  let host: BackendHost;

  const start = async () => {
    plugin = world.plugin();
    host = new BackendHost({
      plugin,
      bus,
      database: undefined as unknown as Database,
      store,
      blob: world.blob,
      logger: testLogger,
      name: 'host-1',
    });
    await host.start();
  };

  beforeEach(async () => {
    world = new PythonWorld({ warmAtStart: true });
    await world.makeBundle();
    bus = new MemoryBus();
    store = new MemoryWorkStore();
    await start();
  });

  afterEach(async () => {
    await host.stop();
    await world.close();
  });

  const run = async (launch: ReturnType<PythonWorld['python']>) => {
    await bus.command({ launch });
    return bus.end(launch.attempt);
  };

  it('runs a fast-registered task, its output kept as a log', async () => {
    const launch = world.python('double', 'run1-n0-0');
    const end = await run(launch);
    expect(primitive(end)).toBe(42n);
    expect(readFileSync(world.blob.localPath(outcomeUris(launch.outputPrefix).log), 'utf8')).toContain('doubling 21');
    expect(end.usage?.cpuSeconds).toBeGreaterThan(0);
    expect(end.usage?.peakMemoryBytes).toBeGreaterThan(10_000_000n);
  });

  it('a hello task takes less than 150 ms from launch to outputs once warm', async () => {
    await run(world.python('double', 'run1-n0-0'));
    const took: number[] = [];
    const cpu: number[] = [];
    for (let i = 1; i <= 10; i++) {
      const began = performance.now();
      const end = await run(world.python('double', `run1-n${i}-0`));
      took.push(performance.now() - began);
      cpu.push(end.usage?.cpuSeconds ?? Infinity);
    }
    took.sort((a, b) => a - b);
    testLogger.info({ took }, 'hello tasks');
    if (process.env['ALOFT_TEST_FIGURES']) console.log(`hello, warm: ${took.map((ms) => ms.toFixed(0)).join(' ')} ms`);
    // An import of flytekit alone costs 0.8 s of CPU. Wall time says something only where nobody else wants the cores.
    expect(Math.max(...cpu)).toBeLessThan(0.3);
    if ((loadavg()[0] ?? 0) < availableParallelism()) expect(took[5]).toBeLessThan(150);
  });

  it('each attempt has its own folder, temporary folder, session and environment; all are removed', async () => {
    const launches = Array.from({ length: 4 }, (_, i) =>
      world.python('where', `run${i}-n0-0`, { execution: `run${i}`, inputs: { n: integer(i) }, outputs: text }),
    );
    await bus.command(...launches.map((launch) => ({ launch })));
    const ends = await Promise.all(launches.map(({ attempt }) => bus.end(attempt)));
    const answers = ends.map((end) => String(primitive(end)).split('|'));
    for (const [i, [cwd = '', tmp = '', file = '', execution, pid, session, module, listing]] of answers.entries()) {
      expect(cwd).toContain(`run${i}-n0-0`);
      expect(tmp.startsWith(join(cwd, '..'))).toBe(true);
      expect(file.startsWith(tmp)).toBe(true);
      expect(execution).toBe(`run${i}`);
      expect(session).toBe(pid);
      expect(module).toBe(join(cwd, 'tasks.py'));
      expect(listing).toBe('__pycache__,mine.txt,tasks.py');
    }
    expect(existsSync('/root/tasks.py')).toBe(false);
    const attempts = join(world.dir, 'work', 'attempts');
    while (readdirSync(attempts).length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    // flytekit's own scratch folders are the attempt's too: only those of the import itself stay.
    const [made = ''] = readdirSync(join(world.dir, 'work', 'tmp-python'));
    expect(readdirSync(join(world.dir, 'work', 'tmp-python', made), { recursive: true })).toEqual(
      expect.not.arrayContaining([expect.stringMatching(/local_flytekit\/\w{32}/)]),
    );
  });

  it("C-170: a ValueError is the user's and final, with its traceback; FlyteRecoverableException is retryable", async () => {
    const failed = await run(world.python('fail', 'run1-n0-0'));
    expect(Phase[failed.phase]).toBe('FAILED');
    expect(errorOf(failed).message).toContain('n must not be 21');
    expect(errorOf(failed).message).toContain('tasks.py');
    const again = await run(world.python('fail_for_now', 'run1-n1-0'));
    expect(Phase[again.phase]).toBe('RETRYABLE_FAILED');
  });

  it('C-150: a dynamic task ends with its futures, whose tasks name the same bundle and no folder of the attempt', async () => {
    // Registration puts its settings into the environment of dynamic tasks; they name the image of what is generated.
    const settings = execFileSync(testPython ?? '', [
      '-c',
      'from flytekit.configuration import SerializationSettings, ImageConfig\n' +
        'print(SerializationSettings(ImageConfig.auto(img_name="flytekit:1.16"), project="p", domain="d", version="v").serialized_context)',
    ]);
    const launch = world.python('fan', 'run1-n0-0', { env: { _F_SS_C: settings.toString().trim() } });
    const end = await run(launch);
    const result = end.outcome?.result;
    if (result?.$case !== 'futures') throw new Error(`${Phase[end.phase]}: ${end.reason}`);
    const spec = DynamicJobSpec.decode(await world.blob.get(result.value.uri));
    expect(spec.nodes).toHaveLength(2);
    const [task] = spec.tasks;
    const args = task?.target?.$case === 'container' ? task.target.value.args : [];
    expect(args.slice(0, 6)).toEqual([
      'pyflyte-fast-execute',
      '--additional-distribution',
      's3://aloft/code/fast1.tar.gz',
      '--dest-dir',
      '.',
      '--',
    ]);
  });

  it('map items read the whole inputs and take their own place', async () => {
    const list = {
      value: { $case: 'collection' as const, value: { literals: [3, 4, 5].map(integer) } },
      hash: '',
      metadata: {},
    };
    const items = [0, 1, 2].map((index) =>
      world.python('map:double', `run1-n0-0-${index}`, {
        index,
        inputs: { n: list },
        env: { BATCH_JOB_ARRAY_INDEX_VAR_NAME: 'FLYTE_K8S_ARRAY_INDEX', FLYTE_K8S_ARRAY_INDEX: String(index) },
      }),
    );
    await bus.command(...items.map((launch) => ({ launch })));
    const ends = await Promise.all(items.map(({ attempt }) => bus.end(attempt)));
    expect(ends.map((end) => primitive(end))).toEqual([6n, 8n, 10n]);
  });

  it('C-172: memory over the limit ends a warm attempt as OOMKilled', async () => {
    const end = await run(world.python('hog', 'run1-n0-0', { memory: '200Mi' }));
    expect(errorOf(end).code).toBe('OOMKilled');
  });

  it('a crashing attempt ends alone: the next one still is warm', async () => {
    const crashed = await run(world.python('crash', 'run1-n0-0'));
    expect(Phase[crashed.phase]).toBe('RETRYABLE_FAILED');
    expect(errorOf(crashed).message).toContain('SIGABRT');
    expect(primitive(await run(world.python('double', 'run1-n1-0')))).toBe(42n);
  });

  const waiting = async (task: string, name: string) => {
    const fifo = join(world.dir, `${name}.fifo`);
    execFileSync('mkfifo', [fifo]);
    const launch = world.python(task, name, { env: { FIFO: fifo } });
    await bus.command({ launch });
    await bus.report(launch.attempt, ({ phase }) => phase === Phase.RUNNING);
    return { launch, go: () => writeFile(fifo, 'go\n') };
  };

  it('an attempt lives on when launcher and warm parent are killed, and its result is read', async () => {
    const { launch, go } = await waiting('wait', 'run1-n0-0');
    const zygote = childrenOf(plugin.launcherPid as number);
    process.kill(plugin.launcherPid as number, 'SIGKILL');
    for (const pid of zygote) process.kill(pid, 'SIGKILL');
    await go();
    expect(primitive(await bus.end(launch.attempt))).toBe(22n);
    expect(primitive(await run(world.python('double', 'run1-n1-0')))).toBe(42n);
  });

  it('the warm parent killed: its attempt goes on, the next one gets a new parent', async () => {
    const { launch, go } = await waiting('wait', 'run1-n0-0');
    for (const pid of childrenOf(plugin.launcherPid as number)) process.kill(pid, 'SIGKILL');
    expect(primitive(await run(world.python('double', 'run1-n1-0')))).toBe(42n);
    await go();
    expect(primitive(await bus.end(launch.attempt))).toBe(22n);
  });

  it('an abort ends grandchildren too, even those in sessions of their own', async () => {
    const { launch } = await waiting('leave_children', 'run1-n0-0');
    const sleeps = () => world.processesOf(launch.attempt as TaskAttempt).length;
    while (sleeps() < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await bus.command({ abort: launch.attempt });
    expect(Phase[(await bus.end(launch.attempt)).phase]).toBe('ABORTED');
    expect(sleeps()).toBe(0);
  });

  it('what an attempt leaves running ends with it', async () => {
    const { launch, go } = await waiting('leave_children', 'run1-n0-0');
    await go();
    await bus.end(launch.attempt);
    while (world.processesOf(launch.attempt as TaskAttempt).length > 0)
      await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it('a variable that flytekit reads while it is imported means a cold start', async () => {
    const end = await run(world.python('double', 'run1-n0-0', { env: { FLYTE_SDK_LOGGING_LEVEL: '10' } }));
    expect(primitive(end)).toBe(42n);
  });

  it('a broken bundle is told as such', async () => {
    await writeFile(world.blob.localPath('s3://aloft/code/fast1.tar.gz'), 'not an archive');
    const end = await run(world.python('double', 'run1-n0-0'));
    expect(Phase[end.phase]).toBe('FAILED');
    expect(errorOf(end)).toMatchObject({ code: 'BrokenCodeBundle' });
    expect(errorOf(end).message).toContain('fast1.tar.gz');
  });
});

describe('Python tasks without flytekit', () => {
  it('say which interpreter was tried and what to install', async () => {
    const world = new PythonWorld({ python: '/usr/bin/python3' });
    await world.makeBundle();
    const bus = new MemoryBus();
    const host = new BackendHost({
      plugin: world.plugin(),
      bus,
      database: undefined as unknown as Database,
      store: new MemoryWorkStore(),
      blob: world.blob,
      logger: testLogger,
      name: 'host-1',
    });
    await host.start();
    const launch = world.python('double', 'run1-n0-0');
    await bus.command({ launch });
    const end = await bus.end(launch.attempt);
    expect(Phase[end.phase]).toBe('FAILED');
    expect(errorOf(end).message).toMatch(/\/usr\/bin\/python3.*(pip install flytekit|does not exist)/s);
    await host.stop();
    await world.close();
  });
});

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false;
      }
    })
    .map(Number);
}
