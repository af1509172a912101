import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BenchClient } from '@aloft/bench/client';
import { JobServerProcess } from '@aloft/example-job-server-backend/testing';
import type { GetUsageResponse } from '@aloft/idl/aloft/v1/attempts';
import { TaskExecutionListRequest } from '@aloft/idl/flyteidl/admin/task_execution';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { aloftAt, withClient } from '../trace/clients.js';
import { Embedded } from '../trace/embedded.js';

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const module = at('examples/job-server-backend/dist/index.js');

jest.setTimeout(120_000);

interface Backends {
  rules?: object[];
  unplaceable?: 'fail' | 'wait';
  known?: string[];
}

interface ListedAttempt {
  nodeId: string;
  phase: string;
  why: string;
  route: { backend: string; rule?: string };
}

// Real: the embedded platform in a process of its own, the command line, tasks of the SDK, the job server as a second backend.
describe('where tasks run is configuration (U-23)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'aloft-routing-'));
  const config = join(folder, 'aloft.yaml');
  let server: JobServerProcess;
  const platform = new Embedded({ ALOFT_CONFIG: config });
  let runs = 0;

  beforeAll(async () => {
    server = await JobServerProcess.start();
  });

  afterAll(async () => {
    await platform.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  function write(backends: Backends, { jobs = true, cpu = 4 } = {}): void {
    const options = { address: server.address, pollMs: { first: 50 } };
    const plugins = jobs ? { jobs: { module, options } } : {};
    writeFileSync(
      config,
      JSON.stringify({
        backends: { plugins, local: { cpu, warm: { atStart: false, node: 0 } } },
        propeller: { backends },
      }),
    );
  }

  async function restart(backends: Backends, more: { jobs?: boolean; cpu?: number } = {}): Promise<void> {
    await platform.end('SIGTERM');
    write(backends, more);
    await platform.start();
  }

  const aloft = (...args: string[]) => aloftAt(platform.grpc, 'development', args);

  function launch(): string {
    const name = `run${++runs}`;
    aloft('run', 'routing.wf', '--name', name);
    return name;
  }

  const client = <T>(use: (client: BenchClient) => Promise<T>) => withClient(platform.grpc, use);
  const idOf = (name: string) => ({ org: '', project: 'aloft', domain: 'development', name });
  const succeeded = (name: string) => client((made) => made.succeeded(idOf(name)));
  const attemptsOf = (name: string) => JSON.parse(aloft('get', 'attempts', name, '--json')) as ListedAttempt[];
  const backendsOf = (name: string) =>
    Object.fromEntries(attemptsOf(name).map(({ nodeId, route }) => [nodeId, route.backend]));

  /** Until the command line says so of the run. */
  async function until(said: () => string, what: RegExp): Promise<string> {
    for (;;) {
      const text = said();
      if (what.test(text)) return text;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }

  it('one pipeline, registered once: without rules all of it is local', async () => {
    write({});
    await platform.start();
    aloft('register', at('e2e/routing/pipeline.ts'), '--version', 'v1');
    const name = launch();
    await succeeded(name);
    expect(backendsOf(name)).toEqual({ n0: 'local', n1: 'local' });
    expect(attemptsOf(name)[0]).toMatchObject({ phase: 'SUCCEEDED', why: 'Goes to local, the default.' });
  });

  it('by a rule alone what asks for more runs elsewhere, and says why', async () => {
    await restart({ rules: [{ name: 'large', when: { cpu: { atLeast: 1 } }, backend: 'jobs' }] });
    const name = launch();
    await succeeded(name);
    expect(backendsOf(name)).toEqual({ n0: 'local', n1: 'jobs' });
    expect(aloft('why', name, 'n1')).toContain('went to jobs by rule large (cpu 2).');
    expect(aloft('get', 'attempts', name)).toMatch(
      /n1 +0 +SUCCEEDED +routing\.big .*jobs +on demand +by rule large \(cpu 2\)/,
    );
    // As Flyte's own clients see it.
    const { taskExecutions } = await client((made) =>
      made.admin.listTaskExecutions(
        TaskExecutionListRequest.fromPartial({ nodeExecutionId: { nodeId: 'n1', executionId: idOf(name) }, limit: 5 }),
      ),
    );
    expect(taskExecutions[0]?.closure?.metadata?.pluginIdentifier).toBe('jobs');
    expect(taskExecutions[0]?.closure?.reasons.map(({ message }) => message)).toContain(
      'Goes to jobs by rule large (cpu 2).',
    );
  });

  it('U-25: what it used, beside what it had asked for', () => {
    const usage = JSON.parse(aloft('usage', 'run2', '--json')) as {
      total: GetUsageResponse['total'];
      nodes: { nodeId: string }[];
    };
    // The job server knows nothing of its jobs but when they ran.
    expect(usage.total).toMatchObject({ attempts: 2, unknown: 1 });
    expect(usage.total?.cpuSeconds).toBeGreaterThan(0);
    expect(usage.total?.requestedCpuSeconds).toBeGreaterThan(0);
    expect(usage.nodes.map(({ nodeId }) => nodeId).sort()).toEqual(['n0', 'n1']);
    expect(aloft('usage', 'run2')).toMatch(/node +attempts +ran/);
  });

  it('a backend without a host: the run fails with the reason …', async () => {
    const rules = [{ name: 'large', when: { task: '*.big' }, backend: 'jobs' }];
    await restart({ rules, known: ['local', 'jobs'] }, { jobs: false });
    const name = launch();
    await until(() => aloft('get', 'executions', name), /FAILED/);
    expect(aloft('execution', 'describe', name)).toContain('No host of the backend "jobs" is configured');
  });

  it('… or waits as configured, says for what, and goes on when it is there', async () => {
    const rules = [{ name: 'large', when: { task: '*.big' }, backend: 'jobs' }];
    await restart({ rules, known: ['local', 'jobs'], unplaceable: 'wait' }, { jobs: false });
    const name = launch();
    await until(() => aloft('why', name), /No host of the backend "jobs" is configured/);
    await restart({ rules });
    await succeeded(name);
    expect(backendsOf(name)).toEqual({ n0: 'local', n1: 'jobs' });
  });

  it('more than its backend has: the run fails with the reason …', async () => {
    await restart({}, { cpu: 1 });
    const name = launch();
    await until(() => aloft('get', 'executions', name), /FAILED/);
    expect(aloft('execution', 'describe', name)).toContain('asks for cpu 2, and this backend has 1');
  });

  it('… or waits as configured, says for what, and goes on when there is as much', async () => {
    await restart({ unplaceable: 'wait' }, { cpu: 1 });
    const name = launch();
    await until(() => aloft('why', name), /Waiting for a place: .*asks for cpu 2, and this backend has 1/);
    await restart({}, { cpu: 4 });
    await succeeded(name);
  });

  it('S-2: a burst of 200 fills what there is and leaves it empty; the command line draws it', async () => {
    await restart({}, { cpu: 1 });
    aloft('run', 'routing.burst', '--name', 'burst');
    await succeeded('burst');
    const { backends } = JSON.parse(aloft('cluster', 'usage', '--minutes', '2', '--json')) as {
      backends: { backend: string; running: number[] }[];
    };
    const { running } = backends.find(({ backend }) => backend === 'local')!;
    // Five of 0.2 at once, most of the time.
    expect(Math.max(...running)).toBe(5);
    expect(running.filter((count) => count === 5).length).toBeGreaterThan(2);
    await until(() => aloft('cluster', 'usage', '--minutes', '0.05'), /Nothing ran/);
    expect(aloft('cluster', 'usage', '--minutes', '2')).toMatch(/local +0 +5 .*█/);
  });

  it('what is wrong with the rules is said at the start, with its path', async () => {
    await platform.end('SIGTERM');
    write({
      rules: [
        { when: { project: 'a' }, backend: 'nowhere' },
        { when: { project: 'a', domain: 'd' }, backend: 'local' },
        { backend: 'local', queue: 'fast', priority: 1 },
      ],
    });
    const { status, stdout, stderr } = spawnSync(process.execPath, [at('apps/standalone/dist/main.js')], {
      env: {
        ...process.env,
        ALOFT_CONFIG: config,
        ALOFT_DATA_DIR: join(folder, 'never'),
        ALOFT_GRPC_PORT: '0',
        ALOFT_HTTP_PORT: '0',
      },
      encoding: 'utf8',
      timeout: 30_000,
    });
    expect(status).not.toBe(0);
    expect(stdout + stderr).toMatch(/propeller\.backends\.rules\.2: Unrecognized key: \\?"priority\\?"/);
  });
});
