import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { JobServerProcess } from '@aloft/example-job-server-backend/testing';
import { TaskExecutionListRequest } from '@aloft/idl/flyteidl/admin/task_execution';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Steps } from '../control/steps.js';
import { Embedded } from '../trace/embedded.js';

const module = fileURLToPath(new URL('../../examples/job-server-backend/dist/index.js', import.meta.url));

// Real: the embedded platform in a process of its own, the job server in another; shell tasks.
describe('a backend that is a module of its own, named by configuration alone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'aloft-plugin-'));
  let server: JobServerProcess;
  let platform: Embedded;

  beforeAll(async () => {
    server = await JobServerProcess.start();
    const config = join(folder, 'aloft.yaml');
    writeFileSync(
      config,
      JSON.stringify({
        backends: { plugins: { jobs: { module, options: { address: server.address, pollMs: { first: 50 } } } } },
        propeller: { backends: { byTaskType: { container: 'jobs' } } },
      }),
    );
    platform = new Embedded({ ALOFT_CONFIG: config });
    await platform.start();
  }, 120_000);

  afterAll(async () => {
    await platform?.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('runs tasks, and their log links and own information are seen', async () => {
    const steps = new Steps(platform.grpc);
    await steps.register('plugin.two', {
      a: { script: 'echo said by a' },
      b: { script: 'echo said by b', after: ['a'] },
    });
    await steps.launch('plugin.two', 'two');
    const { client } = steps;
    const id = { org: '', project: 'aloft', domain: 'development', name: 'two' };
    await client.succeeded(id);
    const { taskExecutions } = await client.admin.listTaskExecutions(
      TaskExecutionListRequest.fromPartial({ nodeExecutionId: { nodeId: 'b', executionId: id }, limit: 10 }),
    );
    const [attempt] = taskExecutions;
    expect(attempt?.closure?.customInfo).toEqual({ host: expect.any(String) });
    const [log] = attempt?.closure?.logs ?? [];
    expect(log?.name).toBe('Job log');
    expect(await (await fetch(log?.uri ?? '')).text()).toBe('said by b\n');
    client.close();
  });

  it('a job goes on while the platform is dead, and is one job', async () => {
    const [mark, go] = [join(folder, 'starts'), join(folder, 'go')];
    let steps = new Steps(platform.grpc);
    await steps.register('plugin.long', {
      a: { script: `echo started >> ${mark}; while [ ! -e ${go} ]; do sleep 0.05; done` },
    });
    await steps.launch('plugin.long', 'long');
    steps.client.close();
    while (!existsSync(mark)) await new Promise((resolve) => setTimeout(resolve, 20));
    await platform.end('SIGKILL');
    writeFileSync(go, '');
    await platform.start();
    steps = new Steps(platform.grpc);
    const id = { org: '', project: 'aloft', domain: 'development', name: 'long' };
    await steps.client.succeeded(id);
    const run = await steps.client.admin.getExecution({ id });
    steps.client.close();
    expect(run.closure?.phase).toBe(Phase.SUCCEEDED);
    expect(readFileSync(mark, 'utf8')).toBe('started\n');
  });
});
