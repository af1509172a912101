import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { topology } from './topology.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The command line as people use it, against the front of all admins. */
function aloft(...args: string[]): Promise<{ code: number | null; results: string; output: string }> {
  const [host, port] = topology().front.grpc.split(':');
  const [, httpPort] = new URL(topology().front.http).host.split(':');
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(process.execPath, [`${root}apps/cli/dist/main.js`, ...args], {
    cwd: root,
    env: {
      ...env,
      ALOFT_ENDPOINT: `${host}:${port}`,
      ALOFT_GRPC_PORT: port,
      ALOFT_HTTP_PORT: httpPort,
      ALOFT_DATA_DIR: process.env['ALOFT_E2E_SCRATCH'],
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let results = '';
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (results += chunk.toString()));
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, results, output })));
}

describe('the SDK and the command line on the distributed shape', () => {
  it('demo: a pipeline of the TypeScript SDK on real data, and again out of the catalog', async () => {
    const { code, output } = await aloft('demo');
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining('From the catalog') });
    expect(output).toContain('Using the platform that runs on port');
  }, 300_000);

  it('reads back what it ran: executions, their tasks and the output of a task', async () => {
    const { results } = await aloft('get', 'executions', '--output', 'json');
    const executions = JSON.parse(results) as { id: { name: string }; spec: { launchPlan: { name: string } } }[];
    const run = executions.find(({ spec }) => spec.launchPlan.name === 'flight-delays.pipeline');
    expect(run).toBeDefined();
    const watched = await aloft('watch', run!.id.name);
    expect(watched).toMatchObject({ code: 0, output: expect.stringContaining(run!.id.name) });
  });
});
