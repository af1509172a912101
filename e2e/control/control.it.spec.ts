import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { watch } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Embedded } from '../trace/embedded.js';
import { Steps, type Step } from './steps.js';

const cli = fileURLToPath(new URL('../../apps/cli/dist/main.js', import.meta.url));

interface Revision {
  state: string;
  control: { nodeId: string; cause: string };
  execution?: { name: string };
}

// Real: the embedded platform in a process of its own, killed with SIGKILL; the command line; shell tasks on the local backend.
describe('X-6: control of single nodes on the embedded platform', () => {
  let platform: Embedded;
  beforeAll(async () => {
    platform = new Embedded({});
    await platform.start();
  });
  afterAll(() => platform?.close());

  const inFolder = (name: string) => join(platform.folder, name);
  /** What the steps wrote, a line each. */
  const marks = (name: string): string[] =>
    existsSync(inFolder(name)) ? readFileSync(inFolder(name), 'utf8').trim().split('\n') : [];
  const mark = (name: string, text: string) => `echo "${text}" >> ${inFolder(name)}`;

  async function until(name: string, ready: (lines: string[]) => boolean): Promise<void> {
    const changes = watch(platform.folder);
    if (ready(marks(name))) return;
    for await (const _ of changes) if (ready(marks(name))) return;
  }

  /** The command line as people use it. */
  async function aloft(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
    const { NODE_OPTIONS: _, ...env } = process.env;
    const where = ['--endpoint', platform.grpc, '--project', 'aloft', '--domain', 'development'];
    const child = spawn(process.execPath, [cli, ...args, ...where], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    return new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err })));
  }
  const revisions = async (run: string) =>
    JSON.parse((await aloft('node', 'revisions', run, '-o', 'json')).out) as Revision[];

  it('a failed run of twelve steps is mended by another version of the seventh: only it and what is downstream run', async () => {
    const steps = new Steps(platform.grpc);
    const chain = Object.fromEntries(
      Array.from({ length: 12 }, (_, at): [string, Step] => [
        `n${at}`,
        { script: mark('twelve', `n${at}`) + (at === 7 ? '; exit 1' : ''), after: at > 0 ? [`n${at - 1}`] : [] },
      ]),
    );
    await steps.register('control.twelve', chain);
    await steps.registerStep('control.twelve', 'n7', mark('twelve', 'n7 mended'), 'v2');
    await steps.launch('control.twelve', 'twelve');
    steps.client.close();
    expect((await aloft('watch', 'twelve')).code).toBe(1);
    expect(marks('twelve')).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((at) => `n${at}`));

    const rerun = ['node', 'rerun', 'twelve', 'n7', '--version', 'v2', '--name', 'twelve-2', '-c', 'v1 fails'];
    const { code, err } = await aloft(...rerun, '--wait');
    expect([code, err]).toEqual([0, expect.stringContaining('The run is over: twelve-2 was started')]);
    expect(marks('twelve').slice(8)).toEqual(['n7 mended', 'n8', 'n9', 'n10', 'n11']);
    expect(await revisions('twelve')).toMatchObject([
      { state: 'APPLIED', control: { nodeId: 'n7', cause: 'v1 fails' }, execution: { name: 'twelve-2' } },
    ]);
    expect(await revisions('twelve-2')).toMatchObject([{ state: 'APPLIED', control: { nodeId: 'n7' } }]);
  });

  it('a run that goes on takes controls before and after kill -9 of everything, and leaves no process behind', async () => {
    const wait = `while [ ! -f ${inFolder('go')} ]; do sleep 0.05; done`;
    const steps = new Steps(platform.grpc);
    await steps.register('control.live', {
      a: { script: mark('live', 'a') },
      // Its own process, which must not outlive its attempt.
      b: { script: `${mark('live', 'b $$')}; ${wait}`, after: ['a'] },
      c: { script: mark('live', 'c'), after: ['b'] },
      idle: { script: `${mark('live', 'idle $$')}; ${wait}` },
      last: { script: mark('live', 'last'), after: ['idle'] },
    });
    await steps.launch('control.live', 'live');
    steps.client.close();
    const times = (step: string) => (lines: string[]) => lines.filter((line) => line.split(' ')[0] === step).length;
    await until('live', (lines) => times('b')(lines) === 1 && times('idle')(lines) === 1);

    expect(await aloft('node', 'rerun', 'live', 'a', '--command-id', 'again')).toMatchObject({ code: 0 });
    await until('live', (lines) => times('b')(lines) === 2);
    await platform.end('SIGKILL');
    await platform.start();
    // What was done before the kill is not done again.
    expect(await aloft('node', 'rerun', 'live', 'a', '--command-id', 'again')).toMatchObject({ code: 0 });
    expect(await aloft('node', 'cancel', 'live', 'idle', '--skip-downstream')).toMatchObject({ code: 0 });
    const before = times('b')(marks('live'));
    expect(await aloft('node', 'retry', 'live', 'b')).toMatchObject({ code: 0 });
    await until('live', (lines) => times('b')(lines) > before);
    const late = await aloft('node', 'retry', 'live', 'a');
    expect([late.code, late.err]).toEqual([3, expect.stringContaining('it succeeded; rerun it')]);
    const current = marks('live').findLast((line) => line.startsWith('b '))!;
    writeFileSync(inFolder('go'), '');
    expect((await aloft('watch', 'live')).code).toBe(0);

    expect(times('a')(marks('live'))).toBe(2);
    expect(times('c')(marks('live'))).toBe(1);
    expect(times('last')(marks('live'))).toBe(0);
    const stopped = marks('live').filter((line) => /^(b|idle) \d+$/.test(line) && line !== current);
    expect(stopped.length).toBeGreaterThanOrEqual(3);
    for (const line of stopped) expect(() => process.kill(Number(line.split(' ')[1]), 0)).toThrow('ESRCH');
    expect((await revisions('live')).map(({ state, control }) => `${control.nodeId} ${state}`)).toEqual([
      'a APPLIED',
      'idle APPLIED',
      'b APPLIED',
      'a REFUSED',
    ]);
    const nodes = await aloft('get', 'nodes', 'live', '-o', 'json');
    const phases = (JSON.parse(nodes.out) as { id: { nodeId: string }; closure: { phase: string } }[]).map(
      ({ id, closure }) => [id.nodeId, closure.phase],
    );
    expect(Object.fromEntries(phases)).toMatchObject({
      a: 'SUCCEEDED',
      b: 'SUCCEEDED',
      idle: 'ABORTED',
      last: 'SKIPPED',
    });
  });
});
