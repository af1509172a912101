import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BackendPlugin } from '@aloft/backend-kit';
import { integer, launchOf, errorOf, Told } from '@aloft/backend-kit/testing';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { ExecutionError_ErrorKind as Kind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { LiteralMap, type Literal } from '@aloft/idl/flyteidl/core/literals';
import { ConnectorWorld } from './testing/connector-world.js';
import { serveConnectors, type ServedConnectors } from './testing/served.js';

// Real: flytekit's own connector process with an asynchronous and a synchronous connector, and the jobs that these start.
describe('flytekit connectors', () => {
  let served: ServedConnectors;
  let world: ConnectorWorld;
  let plugin: BackendPlugin;

  beforeAll(async () => {
    served = await serveConnectors();
  }, 120_000);

  afterAll(async () => {
    await served?.stop();
  });

  beforeEach(async () => {
    world = new ConnectorWorld(served.address);
    plugin = world.plugin();
    await plugin.start?.();
  });

  afterEach(async () => {
    await plugin.stop();
    await world.close();
  });

  const sync = (behaviour: string, inputs: Record<string, Literal>): LaunchTask => {
    const launch = launchOf({ name: 'run1-n0-0', type: 'aloft_test_sync', inputs, outputs: { x: {} as never } });
    launch.template = { ...launch.template!, custom: { behaviour }, target: undefined };
    return launch;
  };

  describe('asynchronous tasks (A-160)', () => {
    it('get inputs and environment; log links, custom info and outputs come back, outputs.pb lies where stock readers look', async () => {
      const launch = world.launch('succeed', { name: 'run1-n0-0' });
      launch.inputs = { value: { $case: 'inline', value: { literals: { a: integer(5) } } } };
      launch.env = [{ key: 'TEAM', value: 'ml' }];
      const told = new Told(world.blob);
      await plugin.launch(launch, told);
      const end = await told.end();
      expect(Phase[end.phase]).toBe('SUCCEEDED');
      expect(end.customInfo).toMatchObject({ job: 'run1-n0-0', metrics: { slots: { used: 3 } } });
      // U-25: its metrics tell of half a processor for ten seconds.
      expect(end.usage).toMatchObject({ cpuSeconds: 5, reserved: false });
      expect(end.logs?.map(({ uri }) => uri)).toEqual(['http://jobs.test/run1-n0-0']);
      const folder = world.of(launch.attempt);
      expect(readFileSync(join(folder, 'inputs'), 'utf8')).toContain('5');
      expect(JSON.parse(readFileSync(join(folder, 'environment'), 'utf8'))).toEqual({ TEAM: 'ml' });
      const { literals } = LiteralMap.decode(await world.blob.get(`${launch.outputPrefix}/outputs.pb`));
      expect(literals['x']).toMatchObject(integer(7));
    });

    it('whose inputs are stored get them, too', async () => {
      const launch = world.launch('succeed', { name: 'run1-n0-0' });
      await world.blob.put(launch.inputsUri, LiteralMap.encode({ literals: { a: integer(11) } }).finish());
      const stored = { uri: launch.inputsUri, size: 0n, digest: Buffer.alloc(0) };
      launch.inputs = { value: { $case: 'stored', value: stored } };
      const told = new Told(world.blob);
      await plugin.launch(launch, told);
      await told.end();
      expect(readFileSync(join(world.of(launch.attempt), 'inputs'), 'utf8')).toContain('11');
    });

    it('A-164: a job that somebody ended elsewhere is aborted, not failed', async () => {
      const launch = world.launch('until-finished', { name: 'run1-n0-0' });
      const told = new Told(world.blob);
      await plugin.launch(launch, told);
      await world.started(launch.attempt);
      process.kill(-Number(readFileSync(join(world.of(launch.attempt), 'pid'), 'utf8')), 'SIGKILL');
      const end = await told.end();
      expect(Phase[end.phase]).toBe('ABORTED');
      expect(end.reason).toBe('somebody ended the job');
    });

    it('a connector that refuses the job ends the attempt, with its words', async () => {
      const told = new Told(world.blob);
      await expect(plugin.launch(world.launch('be-refused', { name: 'run1-n0-0' }), told)).rejects.toMatchObject({
        code: 'INTERNAL',
        message: expect.stringContaining('this connector takes no such job'),
      });
    });

    it('an abort is repeated until the connector acknowledges it', async () => {
      const launch = world.launch('until-finished', { name: 'run1-n0-0' });
      await plugin.launch(launch, new Told(world.blob));
      await world.started(launch.attempt);
      world.failDeletes(2);
      for (let i = 0; i < 2; i += 1)
        await expect(plugin.abort(launch.attempt, 'enough')).rejects.toThrow('could not be deleted');
      await plugin.abort(launch.attempt, 'enough');
      expect(await world.alive(launch.attempt)).toBe(false);
      expect(readFileSync(join(world.folder, 'failing-deletes'), 'utf8')).toBe('0');
    });

    it('an abort by a process that knows nothing but what was remembered ends the job', async () => {
      const launch = world.launch('until-finished', { name: 'run1-n0-0' });
      const told = new Told(world.blob);
      await plugin.launch(launch, told);
      await world.started(launch.attempt);
      const next = world.plugin();
      await next.start?.();
      await next.abort(launch.attempt, 'enough', told.remembered);
      await next.stop();
      expect(await world.alive(launch.attempt)).toBe(false);
    });

    it('a connector that is killed and comes back goes on with its jobs', async () => {
      const launch = world.launch('until-finished', { name: 'run1-n0-0' });
      const told = new Told(world.blob);
      await plugin.launch(launch, told);
      await told.until(({ phase }) => phase === Phase.RUNNING);
      await served.kill();
      await world.finish(launch.attempt);
      await served.restart();
      expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
      expect(await world.starts(launch.attempt)).toBe(1);
    }, 90_000);

    it('a larger template than the connector takes: an error that says so, not an attempt without end', async () => {
      const launch = world.launch('succeed', { name: 'run1-n0-0' });
      launch.template = { ...launch.template!, config: { text: 'x'.repeat(5 * 1024 * 1024) } };
      await expect(plugin.launch(launch, new Told(world.blob))).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringMatching(/are 524\d{4} bytes.*"test"/),
      });
    });
  });

  describe('synchronous tasks (A-162)', () => {
    it('end within the call, with their outputs', async () => {
      const told = new Told(world.blob);
      await plugin.launch(sync('succeed', { a: integer(41) }), told);
      const end = await told.end();
      const { outcome } = end;
      const value = outcome?.result?.$case === 'outputs' ? outcome.result.value.value : undefined;
      expect(value).toMatchObject({ $case: 'inline', value: { literals: { x: integer(42) } } });
    });

    it('that fail say why; those that raise are a failure of the system, worth another attempt', async () => {
      const told = new Told(world.blob);
      await plugin.launch(sync('fail', {}), told);
      expect(errorOf(await told.end())).toMatchObject({ kind: Kind.USER, message: 'this task fails' });
      await expect(plugin.launch(sync('raise', {}), new Told(world.blob))).rejects.toMatchObject({
        code: 'INTERNAL',
        message: expect.stringContaining('nothing comes of this'),
      });
    });
  });

  describe('who runs what (A-163)', () => {
    it('a task type that nobody serves is refused, with those that are', () => {
      const launch = launchOf({ name: 'run1-n0-0', type: 'bigquery_query_job_task' });
      expect(plugin.refuse(launch)).toContain('served are aloft_test_async, aloft_test_sync');
      expect(plugin.refuse(sync('succeed', {}))).toBeUndefined();
    });

    it('while no connector can be reached, launches wait for one', async () => {
      await served.kill();
      const late = new ConnectorWorld(served.address);
      const waiting = late.plugin();
      await waiting.start?.();
      const launch = late.launch('succeed', { name: 'run1-n0-0' });
      expect(waiting.refuse(launch)).toBeUndefined();
      await expect(waiting.launch(launch, new Told(late.blob))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await served.restart();
      const told = new Told(late.blob);
      while (told.reports.length === 0)
        await waiting.launch(launch, told).then(
          () => told.end(),
          () => new Promise((resolve) => setTimeout(resolve, 50)),
        );
      expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
      await waiting.stop();
      await late.close();
    }, 90_000);
  });

  it('a connector whose service is away is asked again until it answers', async () => {
    const launch = world.launch('until-finished', { name: 'run1-n0-0' });
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    await told.until(({ phase }) => phase === Phase.RUNNING);
    const away = join(world.of(launch.attempt), 'away');
    writeFileSync(away, '');
    await world.finish(launch.attempt);
    while (!existsSync(join(world.of(launch.attempt), 'exit'))) await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 300));
    rmSync(away);
    expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
  });
});
