import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BackendHost, outcomeUris } from '@aloft/backend-kit';
import { integer, integerType, launchOf, MemoryBus, MemoryWorkStore } from '@aloft/backend-kit/testing';
import type { Database } from '@aloft/database';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { create } from 'tar';
import { ShellWorld, testLogger } from './testing/shell-world.js';

// An executor with the SDK's contract: the backend's part is tested here, the SDK's in e2e.
const executor = `
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
export async function main(argv, { signal }) {
  const of = (name) => argv[argv.indexOf('--' + name) + 1];
  const uri = of('additional-distribution');
  const bundle = join(process.env.ALOFT_BUNDLE_DIR, createHash('sha256').update(uri).digest('hex').slice(0, 32));
  const { default: task } = await import(join(bundle, of('module')));
  globalThis.earlier = (globalThis.earlier ?? 0) + 1;
  await task({ argv, signal, earlier: globalThis.earlier, inputs: existsSync(of('inputs')) });
  copyFileSync(process.env.SEVEN, join(of('output-prefix'), 'outputs.pb'));
  return 'succeeded';
}
`;

const task = `
import { readdirSync } from 'node:fs';
export default async function ({ earlier, inputs, signal }) {
  console.log(JSON.stringify({ cwd: process.cwd(), tmp: process.env.TMPDIR, earlier, inputs, warm: process.argv.length === 2, mark: process.env.MARK, left: readdirSync('.') }));
  if (process.env.WAIT) await new Promise((resolve) => { setInterval(() => {}, 1000); signal.addEventListener('abort', () => { console.log('heard of the abort'); resolve(); }); });
}
`;

describe('TypeScript tasks in warm Node workers', () => {
  let world: ShellWorld;
  let bus: MemoryBus;
  let host: BackendHost;

  beforeEach(async () => {
    world = new ShellWorld({ warmAtStart: true });
    const executorPath = join(world.dir, 'executor.mjs');
    writeFileSync(executorPath, executor);
    Object.assign(world, { options: { warmAtStart: true, nodeExecutor: executorPath } });
    const source = join(world.dir, 'source');
    mkdirSync(source);
    writeFileSync(join(source, 'task.mjs'), task);
    const path = world.blob.localPath('s3://aloft/code/bundle.tar.gz');
    mkdirSync(join(path, '..'), { recursive: true });
    await create({ gzip: true, file: path, cwd: source }, ['task.mjs']);
    bus = new MemoryBus();
    host = new BackendHost({
      plugin: world.plugin(),
      bus,
      database: undefined as unknown as Database,
      store: new MemoryWorkStore(),
      blob: world.blob,
      logger: testLogger,
      name: 'host-1',
    });
    await host.start();
  });

  afterEach(async () => {
    await host.stop();
    await world.close();
  });

  const launch = (name: string, env: Record<string, string> = {}) => {
    const options = {
      name,
      type: 'typescript-task',
      inputs: { n: integer(1) },
      outputs: { x: integerType },
      env: { MARK: name, SEVEN: join(world.dir, 'fixtures', 'seven.pb'), ...env },
    };
    const { inputsUri, outputPrefix } = launchOf(options);
    return launchOf({
      ...options,
      args: [
        ...['aloft-execute', '--inputs', inputsUri, '--output-prefix', outputPrefix],
        ...['--additional-distribution', 's3://aloft/code/bundle.tar.gz', '--module', 'task.mjs', '--task', 'task'],
      ],
    });
  };

  const outputOf = (of: ReturnType<typeof launch>) =>
    readFileSync(world.blob.localPath(outcomeUris(of.outputPrefix).log), 'utf8');

  it('each task has a process, folder and environment of its own; the output is its log', async () => {
    const launches = Array.from({ length: 5 }, (_, i) => launch(`run1-n${i}-0`));
    await bus.command(...launches.map((one) => ({ launch: one })));
    const ends = await Promise.all(launches.map((one) => bus.end(one.attempt)));
    expect(ends.map((end) => Phase[end.phase])).toEqual(Array(5).fill('SUCCEEDED'));
    for (const [i, one] of launches.entries()) {
      const said = JSON.parse(outputOf(one)) as Record<string, unknown>;
      expect(said).toMatchObject({ earlier: 1, inputs: true, mark: `run1-n${i}-0`, left: [] });
      expect(said['cwd']).toContain(`run1-n${i}-0`);
      expect(said['tmp']).toContain(`run1-n${i}-0`);
    }
  });

  it('starts warm: the process was there before the task', async () => {
    const took: number[] = [];
    let warm = 0;
    for (let i = 0; i < 8; i++) {
      const one = launch(`run1-n${i}-0`);
      const began = performance.now();
      await bus.command({ launch: one });
      await bus.end(one.attempt);
      took.push(performance.now() - began);
      if ((JSON.parse(outputOf(one)) as { warm: boolean }).warm) warm++;
    }
    if (process.env['ALOFT_TEST_FIGURES']) console.log(`Node tasks: ${took.map((ms) => ms.toFixed(0)).join(' ')} ms`);
    expect(warm).toBeGreaterThan(4);
  });

  it('a variable that Node reads at its start means a cold start', async () => {
    const one = launch('run1-n0-0', { NODE_ENV_EXTRA: '1' });
    await bus.command({ launch: one });
    expect(Phase[(await bus.end(one.attempt)).phase]).toBe('SUCCEEDED');
    expect(JSON.parse(outputOf(one))).toMatchObject({ warm: false, mark: 'run1-n0-0' });
  });

  it('an abort tells the task, then ends it', async () => {
    const one = launch('run1-n0-0', { WAIT: '1' });
    await bus.command({ launch: one });
    await bus.report(one.attempt, ({ phase }) => phase === Phase.RUNNING);
    while (!outputOf(one).includes('run1-n0-0')) await new Promise((resolve) => setTimeout(resolve, 5));
    await bus.command({ abort: one.attempt });
    expect(Phase[(await bus.end(one.attempt)).phase]).toBe('ABORTED');
    expect(outputOf(one)).toContain('heard of the abort');
    expect(await world.alive(one.attempt)).toBe(false);
  });
});
