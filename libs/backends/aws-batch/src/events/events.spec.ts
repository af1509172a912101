import { Told } from '@aloft/backend-kit/testing';
import type { BackendPlugin } from '@aloft/backend-kit';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { BatchWorld } from '../testing/batch-world.js';
import { FakeBatch } from '../testing/fake-batch.js';
import { FakeQueue } from '../testing/fake-queue.js';
import { runProcess } from '../testing/process-container.js';
import { jobIn } from './job-events.js';

describe('state of jobs by events', () => {
  let queue: FakeQueue;
  let fake: FakeBatch;
  let world: BatchWorld;
  const plugins: BackendPlugin[] = [];

  const open = async (deliver: (detail: Record<string, unknown>) => void) => {
    queue = new FakeQueue();
    fake = new FakeBatch({ run: runProcess, onEvent: deliver });
    const eventsQueue = `${await queue.listen()}/000000000000/events`;
    // Without events nothing would be asked for in the time of a test.
    world = new BatchWorld(await fake.listen(), { eventsQueue, pollMs: { first: 30_000, longest: 60_000 } }, () =>
      fake.close(),
    );
  };

  const start = async () => {
    const plugin = world.plugin();
    plugins.push(plugin);
    await plugin.start?.();
    return plugin;
  };

  afterEach(async () => {
    for (const plugin of plugins.splice(0)) await plugin.stop();
    await world.close();
    queue.close();
  });

  it('an end is known at once, and Batch is not asked at all', async () => {
    await open((detail) => queue.put(detail));
    const plugin = await start();
    const launch = world.launch('until-finished', { name: 'run1-n0-0' });
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    await told.until(({ phase }) => phase === Phase.RUNNING);
    await world.finish(launch.attempt);
    expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
    expect(fake.calls.get('describejobs') ?? 0).toBeLessThanOrEqual(1);
  });

  it('twice, late, and read by a host that has not the job: each attempt ends once', async () => {
    const running: Record<string, unknown>[] = [];
    await open((detail) => {
      if (detail['status'] === 'RUNNING') running.push(detail);
      if (detail['status'] !== 'SUCCEEDED') return;
      // Twice, and behind it what came before.
      for (const each of [detail, detail, ...running]) queue.put(each);
    });
    const [first, second] = [await start(), await start()];
    const attempts = await Promise.all(
      Array.from({ length: 2 }, async (_, i) => {
        const told = new Told(world.blob);
        await (i % 2 ? first : second).launch(world.launch('succeed', { name: `run1-n${i}-0` }), told);
        return told;
      }),
    );
    const ends = await Promise.all(attempts.map((told) => told.end()));
    expect(ends.map(({ phase }) => Phase[phase])).toEqual(ends.map(() => 'SUCCEEDED'));
    for (const { reports } of attempts)
      expect(reports.filter(({ phase }) => phase === Phase.SUCCEEDED)).toHaveLength(1);
  });

  it('one that cannot be read is taken out of the queue, and holds nothing up', async () => {
    let first: string | undefined;
    await open((detail) => {
      if (detail['status'] === 'RUNNING') {
        first ??= String(detail['jobId']);
        queue.put({ jobId: first, status: 'RUNNING', container: { resourceRequirements: 'none' } });
      }
      queue.put(detail);
    });
    const plugin = await start();
    const launch = world.launch('until-finished', { name: 'run1-n0-0' });
    const told = new Told(world.blob);
    await plugin.launch(launch, told);
    await told.until(({ phase }) => phase === Phase.RUNNING);
    await world.finish(launch.attempt);
    expect(Phase[(await told.end()).phase]).toBe('SUCCEEDED');
    while ([...queue.messages.values()].some(({ body }) => body.includes('"none"')))
      await new Promise((resolve) => setTimeout(resolve, 20));
  });

  it.each(['', '{', '{"source":"aws.ec2","detail":{"jobId":"x"}}', '{"source":"aws.batch"}'])(
    '%j is no event',
    (body) => {
      expect(jobIn(body)).toBeUndefined();
    },
  );
});
