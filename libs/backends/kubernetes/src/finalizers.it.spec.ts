import { dice } from '@aloft/backend-kit/testing';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { finalizer } from './driver/finalizer.js';
import { eachInFakeWorld } from './testing/each-in-fake-world.js';
import type { FakeWorld } from './testing/fake-world.js';
import type { Kube } from './testing/kube.js';

const seed = Number(process.env['ALOFT_TEST_SEED'] ?? Date.now() % 100_000);

// Real: etcd, API server, scheduler. Nodes pretend (kwok): they kill nothing, what a kubelet would say of a container a case says.
describe('pods that somebody deletes, where they are held (0131)', () => {
  let kube: Kube;
  let world: FakeWorld;

  eachInFakeWorld({ kwok: 3 }, (...given) => ([kube, world] = given));

  const config = { finalizers: true };
  const path = (name: string) => `/api/v1/namespaces/${world.namespace}/pods/${name}`;
  const podOf = async (name: string) => (await world.pods()).find(({ metadata }) => metadata?.name === name);
  const nothingLeft = () => world.until(async () => (await world.pods()).length === 0);
  const deleteIt = (name: string) => kube.call('DELETE', `${path(name)}?gracePeriodSeconds=0`);
  const runs = async (name: string) => {
    const launch = world.launch(name, { 'run-for': '600s' });
    await world.bus.command({ launch });
    await world.bus.report(launch.attempt, ({ phase }) => phase === Phase.RUNNING);
    return launch;
  };
  /** As its kubelet says when it has ended it. */
  const exits = (name: string, exitCode: number) => {
    const containerStatuses = [
      { name: 'main', image: 'i', imageID: '', ready: false, restartCount: 0, state: { terminated: { exitCode } } },
    ];
    const status = { phase: exitCode === 0 ? 'Succeeded' : 'Failed', containerStatuses };
    return kube.call('PATCH', `${path(name)}/status`, { status }, 'application/merge-patch+json');
  };

  it('are let go of when their attempt has ended, and when it is told to end', async () => {
    await world.start(config);
    const done = world.launch('run1-n0-0');
    const aborted = await runs('run1-n1-0');
    expect((await podOf('run1-n1-0'))?.metadata?.finalizers).toEqual([finalizer]);
    await world.bus.command({ launch: done }, { abort: aborted.attempt });
    expect(Phase[(await world.bus.end(done.attempt)).phase]).toBe('SUCCEEDED');
    expect(Phase[(await world.bus.end(aborted.attempt)).phase]).toBe('ABORTED');
    await nothingLeft();
  });

  it('are there with their last status when the next host comes: what had succeeded is a success', async () => {
    await world.start(config);
    const launch = await runs('run1-n0-0');
    await world.kill();
    await deleteIt('run1-n0-0');
    await exits('run1-n0-0', 0);
    expect((await podOf('run1-n0-0'))?.metadata?.deletionTimestamp).toBeDefined();
    await world.start(config);
    expect(Phase[(await world.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
    expect(world.proxy.count('POST', '/pods')).toBe(1);
    await nothingLeft();
  });

  it('are not made anew though their host died before it could write down that they were made', async () => {
    let killed: Promise<void> | undefined;
    world.proxy.fate = (method, url) => {
      if (method !== 'POST' || !url.includes('/pods') || killed) return 'pass';
      killed = world.kill();
      return 'lose';
    };
    await world.start(config);
    const launch = world.launch('run1-n0-0', { 'run-for': '600s' });
    const taken = world.bus.command({ launch });
    await world.until(async () => (await podOf('run1-n0-0'))?.status?.phase === 'Running');
    await killed;
    await deleteIt('run1-n0-0');
    await exits('run1-n0-0', 143);
    await world.start(config);
    await taken;
    const end = await world.bus.end(launch.attempt);
    expect(`${Phase[end.phase]} ${end.reason}`).toMatch(/^RETRYABLE_FAILED .*deleted by something outside/);
    expect(world.proxy.count('POST', '/pods')).toBe(1);
    await nothingLeft();
  });

  it('of one that never had a node the end is told at once', async () => {
    await world.start({ ...config, pods: { nodeSelector: { type: 'nowhere' } } });
    const launch = world.launch('run1-n0-0');
    await world.bus.command({ launch });
    await world.bus.report(launch.attempt, ({ phase }) => phase === Phase.WAITING_FOR_RESOURCES);
    await deleteIt('run1-n0-0');
    expect((await world.bus.end(launch.attempt)).reason).toContain('before it had a node');
    await nothingLeft();
  });

  it('what is kept is let go of, and what nobody knows any more, also where pods are not held any longer', async () => {
    await world.start({ ...config, remove: 'never' });
    const kept = world.launch('run1-n0-0');
    await world.bus.command({ launch: kept });
    await world.bus.end(kept.attempt);
    await world.until(async () => (await podOf('run1-n0-0'))?.metadata?.finalizers === undefined);
    await runs('run1-n1-0');
    await world.kill();
    world.store.work.clear();
    await deleteIt('run1-n1-0');
    await world.start({ remove: 'never', orphans: { everyMs: 300, afterMs: 1 } });
    await world.until(async () => (await podOf('run1-n1-0')) === undefined);
    expect(await world.pods()).toHaveLength(1);
    await deleteIt('run1-n0-0');
    await nothingLeft();
  });

  it(`whatever befalls them and their host, none is left (seed ${seed})`, async () => {
    const random = dice(seed);
    const orphans = { everyMs: 500, afterMs: 1 };
    const behaviours: Record<string, string>[] = [
      {},
      { behaviour: 'oom' },
      { behaviour: 'exit' },
      { behaviour: 'deleted' },
      { behaviour: 'evicted' },
    ];
    const launches = Array.from({ length: 40 }, (_, i) =>
      world.launch(`run1-n${i}-0`, {
        'run-for': `${Math.floor(random() * 3_000)}ms`,
        ...behaviours[i % behaviours.length],
      }),
    );
    world.proxy.fate = (method) => (method !== 'GET' && random() < 0.1 ? (random() < 0.5 ? 'lose' : 'fail') : 'pass');
    await world.start({ ...config, orphans });
    const taken = world.bus.command(...launches.map((launch) => ({ launch })));
    for (let death = 0; death < 3; death++) {
      await new Promise((resolve) => setTimeout(resolve, 500 + random() * 1_000));
      await world.kill();
      await world.start({ ...config, orphans });
    }
    await taken;
    const aborts = launches.filter(() => random() < 0.2).map(({ attempt }) => ({ abort: attempt }));
    await world.bus.command(...aborts);
    // A kubelet ends what is deleted; these pretend.
    const kubelet = setInterval(() => {
      void world
        .pods()
        .then((pods) =>
          Promise.all(
            pods
              .filter(({ metadata, status }) => metadata?.deletionTimestamp && status?.phase === 'Running')
              .map(({ metadata }) => exits(metadata?.name ?? '', 143)),
          ),
        );
    }, 200);
    try {
      await Promise.all(launches.map(({ attempt }) => world.bus.end(attempt)));
      world.proxy.fate = () => 'pass';
      await nothingLeft();
    } finally {
      clearInterval(kubelet);
    }
  }, 120_000);
});
