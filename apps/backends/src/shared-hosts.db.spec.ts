import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commandEnvelope, encodeLiterals, integer, integerType, launchOf } from '@aloft/backend-kit/testing';
import { testBus, type TestBus } from '@aloft/bus/testing';
import { type LaunchTask, TaskReport } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { backendsMigrations } from './backends.js';

const script = fileURLToPath(new URL('../dist/testing/host-process.js', import.meta.url));
const leaseMs = 2_000;

/** Two processes with a host each, each with a folder of its own, over one database; tasks are real processes. */
describe('hosts in processes of their own', () => {
  let test: TestBus;
  let dir: string;
  let hosts: ChildProcess[];
  let stopped: number[];

  beforeEach(async () => {
    test = await testBus({ schema: 'backends', migrations: backendsMigrations });
    dir = mkdtempSync(join(tmpdir(), 'aloft-hosts-'));
    hosts = [];
    stopped = [];
  });

  afterEach(async () => {
    for (const pid of stopped) signal(pid, 'SIGCONT');
    writeFileSync(join(dir, 'go'), '');
    for (const host of hosts) await end(host, 'SIGTERM');
    await test.drop();
    await rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  const start = async (name: string, { drainMs = 0, lease = leaseMs } = {}): Promise<ChildProcess> => {
    const { NODE_OPTIONS: _, ...env } = process.env;
    const host = spawn(
      process.execPath,
      [script, test.url, join(dir, name), join(dir, 'blob'), String(lease), String(drainMs)],
      { stdio: ['ignore', 'pipe', 'inherit'], env },
    );
    hosts.push(host);
    await new Promise<void>((resolve, reject) => {
      host.stdout?.once('data', () => resolve());
      host.once('exit', (code) => reject(new Error(`the host ended with ${code}`)));
    });
    return host;
  };

  const launcherOf = (name: string): number =>
    Number.parseInt(readFileSync(join(dir, name, 'work', 'launcher'), 'utf8'), 10);

  const pause = (pid: number) => {
    stopped.push(pid);
    signal(pid, 'SIGSTOP');
  };

  /** A task that leaves a mark with its pid all the time, until the file `go` is there. */
  const beating = (name = 'run1-n0-0'): LaunchTask => {
    const output = encodeLiterals({ x: integer(7) }).toString('base64');
    const beat = `echo "start $$" >> "$2/marks"; while [ ! -e "$2/go" ]; do echo "beat $$" >> "$2/marks"; sleep 0.02; done`;
    return launchOf({
      name,
      outputs: { x: integerType },
      args: [
        'sh',
        '-c',
        `${beat}; echo ${output} | base64 -d > "$1/outputs.pb"`,
        'task',
        launchOf({ name }).outputPrefix,
        dir,
      ],
    });
  };

  const publish = (launch: LaunchTask) =>
    test.database.transaction((tx) =>
      test.bus.publish(tx, [
        { topic: 'tasks.commands.local', envelope: commandEnvelope({ $case: 'launch', value: launch }) },
      ]),
    );

  const marks = (): string[] => {
    const path = join(dir, 'marks');
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  };
  const starts = (): number[] =>
    marks()
      .filter((mark) => mark.startsWith('start'))
      .map((mark) => Number(mark.split(' ')[1]));

  const until = async (condition: () => boolean) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
  };

  const firstEnd = async (): Promise<TaskReport> => {
    const reader = test.bus.read({ topic: 'tasks.reports', partition: 0 }, 0n);
    try {
      for (let batch = await reader.next(100); batch; batch = await reader.next(100)) {
        for (const { envelope } of batch.messages) {
          const report = TaskReport.decode(envelope.payload);
          if (report.outcome || report.phase === Phase.ABORTED) return report;
        }
        batch.acknowledge();
      }
      throw new Error('the reader closed');
    } finally {
      await reader.close();
    }
  };

  /** Nothing of the first start came after the second one began. */
  const expectNoOverlap = () => {
    const [first, second] = starts();
    const all = marks();
    expect(all.slice(all.indexOf(`start ${second}`)).filter((mark) => mark.endsWith(` ${first}`))).toEqual([]);
  };

  it('kill -9 of a host: its launcher ends its work in time, then the other host begins it anew', async () => {
    const a = await start('a');
    await publish(beating());
    await until(() => starts().length === 1);
    await start('b');
    signal(a.pid as number, 'SIGKILL');
    await until(() => starts().length === 2);
    writeFileSync(join(dir, 'go'), '');
    expect(Phase[(await firstEnd()).phase]).toBe('SUCCEEDED');
    expectNoOverlap();
    expect(starts()).toHaveLength(2);
  }, 120_000);

  it('SIGSTOP of a host: the same; woken, it finds itself without a lease, tells nothing and comes back', async () => {
    const a = await start('a');
    await publish(beating());
    await until(() => starts().length === 1);
    await start('b');
    pause(a.pid as number);
    await until(() => starts().length === 2);
    signal(a.pid as number, 'SIGCONT');
    writeFileSync(join(dir, 'go'), '');
    expect(Phase[(await firstEnd()).phase]).toBe('SUCCEEDED');
    expectNoOverlap();
    expect(starts()).toHaveLength(2);
  }, 120_000);

  it('SIGSTOP of host and launcher: what ran on meanwhile is ended at once when they wake, and counts for nothing', async () => {
    const a = await start('a');
    await publish(beating());
    await until(() => starts().length === 1);
    await start('b');
    pause(launcherOf('a'));
    pause(a.pid as number);
    await until(() => starts().length === 2);
    const [first = 0] = starts();
    for (const pid of stopped.splice(0)) signal(pid, 'SIGCONT');
    await until(() => !existsSync(`/proc/${first}`));
    writeFileSync(join(dir, 'go'), '');
    expect(Phase[(await firstEnd()).phase]).toBe('SUCCEEDED');
    expect(starts()).toHaveLength(2);
  }, 120_000);

  it('SIGTERM: what does not end within its time is ended, and goes on elsewhere at once', async () => {
    const a = await start('a', { drainMs: 300 });
    await publish(beating());
    await until(() => starts().length === 1);
    await start('b');
    const over = end(a, 'SIGTERM');
    await until(() => starts().length === 2);
    await over;
    writeFileSync(join(dir, 'go'), '');
    expect(Phase[(await firstEnd()).phase]).toBe('SUCCEEDED');
    expectNoOverlap();
  }, 120_000);

  it('kill -9 and a new process on the same folder within the lease: the work goes on', async () => {
    const a = await start('a', { lease: 20_000 });
    await publish(beating());
    await until(() => starts().length === 1);
    signal(a.pid as number, 'SIGKILL');
    await start('a', { lease: 20_000 });
    writeFileSync(join(dir, 'go'), '');
    expect(Phase[(await firstEnd()).phase]).toBe('SUCCEEDED');
    expect(starts()).toHaveLength(1);
  }, 120_000);
});

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function end(host: ChildProcess, name: NodeJS.Signals): Promise<void> {
  if (host.exitCode !== null || host.signalCode !== null) return;
  const over = new Promise((resolve) => host.once('exit', resolve));
  host.kill(name);
  await over;
}
