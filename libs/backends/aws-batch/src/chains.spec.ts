import type { BackendPlugin, Launch } from '@aloft/backend-kit';
import { Told } from '@aloft/backend-kit/testing';
import { Route } from '@aloft/idl/aloft/v1/routing';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { RuntimeMetadata_RuntimeType as Runtime, TaskMetadata } from '@aloft/idl/flyteidl/core/tasks';
import { isDependable } from './jobs/dependencies.js';
import { BatchStage } from './testing/batch-stage.js';
import { BatchWorld } from './testing/batch-world.js';
import { FakeBatch, type FakeBatchOptions } from './testing/fake-batch.js';
import { runProcess } from './testing/process-container.js';

/** As flytekit registers a task: its entrypoint is among the arguments. */
function byFlytekit(launch: Launch, version = '1.16.31'): Launch {
  launch.route = Route.fromPartial({ backend: 'aws-batch', nativeDependencies: true });
  launch.template!.metadata = TaskMetadata.fromPartial({ runtime: { type: Runtime.FLYTE_SDK, version } });
  if (launch.template?.target?.$case === 'container') launch.template.target.value.args.push('pyflyte-execute');
  return launch;
}

// Real: the AWS SDK over HTTP, and the containers' commands as processes. Ours: the Batch behind it, with its dependencies between jobs.
describe('chains of jobs on AWS Batch (S-5)', () => {
  let fake: FakeBatch;
  let world: BatchWorld;
  let plugin: BackendPlugin;

  const open = async (more: Partial<FakeBatchOptions> = {}) => {
    fake = new FakeBatch({ run: runProcess, ...more });
    world = new BatchWorld(await fake.listen(), {}, () => fake.close());
    plugin = world.plugin();
    await plugin.start?.();
  };

  const launch = async (
    node: string,
    dependsOn: readonly string[] = [],
    behaviour: 'succeed' | 'until-finished' | 'exit-nonzero' = 'succeed',
  ) => {
    const made = byFlytekit(world.launch(behaviour, { name: `run1-${node}-0` }) as Launch);
    made.dependsOn = [...dependsOn];
    const told = new Told(world.blob);
    await plugin.launch(made, told);
    return { made, told, job: told.reports.find(({ job }) => job !== undefined)?.job ?? '' };
  };

  afterEach(async () => {
    await plugin.stop();
    await world.close();
  });

  it('reports name the job; one that depends on it is submitted with it, and begins when it has succeeded', async () => {
    await open();
    const a = await launch('n0', [], 'until-finished');
    expect(fake.jobs.get(a.job)?.request.jobName).toContain('run1-n0-0');
    const b = await launch('n1', [a.job]);
    const c = await launch('n2', [a.job, b.job]);
    expect(fake.jobs.get(c.job)?.request.dependsOn).toEqual([{ jobId: a.job }, { jobId: b.job }]);
    await world.started(a.made.attempt);
    expect(fake.jobs.get(b.job)?.status()).toBe('PENDING');
    await world.finish(a.made.attempt);
    for (const { told } of [a, b, c]) expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
    const [endOfA = 0, startOfB = 0] = [
      fake.jobs.get(a.job)?.info(0).stoppedAt,
      fake.jobs.get(b.job)?.info(0).startedAt,
    ];
    expect(startOfB).toBeGreaterThanOrEqual(endOfA);
  });

  it('a job that fails takes those with it that depend on it: they never began, which is no failure of theirs', async () => {
    await open();
    const a = await launch('n0', [], 'exit-nonzero');
    const b = await launch('n1', [a.job]);
    const c = await launch('n2', [b.job]);
    expect(Phase[(await a.told.end()).phase]).toBe('RETRYABLE_FAILED');
    for (const { told } of [b, c])
      expect(await told.end()).toMatchObject({
        phase: Phase.ABORTED,
        upstreamFailed: true,
        reason: expect.stringContaining('has not succeeded'),
      });
  });

  it('a job that it depends on has failed, or is gone, before it is submitted', async () => {
    await open();
    const a = await launch('n0', [], 'exit-nonzero');
    await a.told.end();
    const b = await launch('n1', [a.job]);
    expect(await b.told.end()).toMatchObject({ phase: Phase.ABORTED, upstreamFailed: true });
    const c = await launch('n2', ['11111111-2222-3333-4444-555555555555']);
    expect(await c.told.end()).toMatchObject({ phase: Phase.ABORTED, upstreamFailed: true });
  });

  it('one that somebody ends while it waits is aborted, as any other', async () => {
    await open();
    const a = await launch('n0', [], 'until-finished');
    const b = await launch('n1', [a.job]);
    await world.api().calls.terminate(b.job, 'enough of this');
    const end = await b.told.end();
    expect(end).toMatchObject({ phase: Phase.ABORTED, reason: expect.stringContaining('enough of this') });
    expect(end.upstreamFailed).toBeUndefined();
    await world.finish(a.made.attempt);
    await a.told.end();
  });

  it('one that is aborted while it waits is ended in Batch', async () => {
    await open();
    const a = await launch('n0', [], 'until-finished');
    const b = await launch('n1', [a.job]);
    await plugin.abort(b.made.attempt, 'taken back');
    expect(fake.jobs.get(b.job)).toMatchObject({ states: Uint8Array.of(6) });
    await world.finish(a.made.attempt);
    await a.told.end();
  });

  it('flytekit is told to fail where its task does; the other tasks are as they were', async () => {
    await open();
    const environmentOf = (id: string) => fake.jobs.get(id)?.request.containerOverrides?.environment ?? [];
    const a = await launch('n0');
    expect(environmentOf(a.job)).toContainEqual({ name: 'FLYTE_FAIL_ON_ERROR', value: 'true' });
    const plain = world.launch('succeed', { name: 'run1-n1-0' });
    const told = new Told(world.blob);
    await plugin.launch(plain, told);
    await told.end();
    expect(told.reports.filter(({ job }) => job !== undefined)).toEqual([]);
    const [other] = fake.named('run1-n1');
    expect(environmentOf(other!.id).map(({ name }) => name)).not.toContain('FLYTE_FAIL_ON_ERROR');
    await a.told.end();
  });

  it('only jobs that succeed just if their tasks do have names: neither dynamic ones, nor items, nor what is not known of', async () => {
    await open();
    const made = (change: (launch: Launch) => void, version?: string): Launch => {
      const launch = byFlytekit(world.launch('succeed', { name: 'run1-n0-0' }) as Launch, version);
      change(launch);
      return launch;
    };
    const container = ({ template }: Launch) =>
      (template?.target?.$case === 'container' ? template.target.value : undefined)!;
    expect(isDependable(made(() => undefined))).toBe(true);
    expect(isDependable(made(() => undefined, '1.5.0'))).toBe(true);
    for (const [what, launch] of Object.entries({
      'switched off': made((each) => (each.route!.nativeDependencies = false)),
      'an item': made((each) => (each.attempt.index = 0)),
      dynamic: made((each) => container(each).env.push({ key: '_F_SS_C', value: 'H4sI' })),
      'not flytekit': made((each) => (each.template!.metadata!.runtime!.type = Runtime.OTHER)),
      'its own command': made((each) => container(each).args.pop()),
      'too old': made(() => undefined, '1.4.9'),
      unknown: made(() => undefined, 'dev'),
    }))
      expect([what, isDependable(launch)]).toEqual([what, false]);
  });
});

// Real: host and backend. Ours: bus and rows in memory, the Batch behind it.
describe('chains of jobs over the death of their host (S-5)', () => {
  it('the next process names the same jobs, submits none twice, and tells each end once', async () => {
    const room = { now: 0 };
    const fake = new FakeBatch({
      run: async () => ({ exitCode: 0 }),
      get room() {
        return room.now;
      },
    });
    const endpoint = await fake.listen();
    const world = new BatchWorld(endpoint);
    const stage = new BatchStage(endpoint, world.blob);
    const jobs = new Map<string, string>();
    const waiting = new Map<string, (job: string) => void>();
    stage.onReport = ({ attempt, job }) => {
      if (job === '') return;
      jobs.set(attempt?.name ?? '', job);
      waiting.get(attempt?.name ?? '')?.(job);
    };
    const named = async (name: string) =>
      jobs.get(name) ?? (await new Promise<string>((resolve) => waiting.set(name, resolve)));
    const launch = (node: string, dependsOn: string[]): Launch => {
      const made = byFlytekit(world.launch('succeed', { name: `run1-${node}-0`, outputs: {} }) as Launch);
      made.dependsOn = dependsOn;
      return made;
    };
    try {
      await stage.start();
      await stage.launch(launch('n0', []));
      const first = await named('run1-n0-0');
      const second = launch('n1', [first]);
      await stage.launch(second);
      const before = await named('run1-n1-0');
      await stage.kill();
      jobs.clear();
      await stage.start();
      expect([await named('run1-n0-0'), await named('run1-n1-0')]).toEqual([first, before]);
      // The propeller issues it again, as it may.
      await stage.launch(second);
      room.now = 10;
      fake.unblock();
      await stage.ended(2);
      expect([stage.tally, stage.repeated, fake.jobs.size]).toEqual([{ SUCCEEDED: 2 }, [], 2]);
    } finally {
      await stage.stop();
      await world.close();
      await fake.close();
    }
  });
});
