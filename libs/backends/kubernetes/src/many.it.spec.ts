import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { FakeWorld } from './testing/fake-world.js';
import { type Kube, startCluster } from './testing/kube.js';

// Real: etcd, API server, scheduler. Nodes pretend (kwok): of the conformance suite's many, as many as a real node does not hold.
describe('1,000 at once', () => {
  let kube: Kube;
  let world: FakeWorld;

  beforeAll(async () => {
    kube = await startCluster({ kwok: 3 });
  }, 900_000);
  afterAll(() => kube?.stop(), 60_000);
  beforeEach(async () => {
    world = await FakeWorld.open(kube);
  });
  afterEach(() => world.close(), 60_000);

  it('capacity is respected, each is one pod, nothing is left', async () => {
    const slots = 400;
    await world.start({ slots });
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, world.host!.status.inUse.slots)), 5);
    const launches = Array.from({ length: 1_000 }, (_, i) => world.launch(`run1-n${i}-0`));
    await world.bus.command(...launches.map((launch) => ({ launch })));
    const ends = await Promise.all(launches.map(({ attempt }) => world.bus.end(attempt)));
    clearInterval(watch);
    expect(ends.filter(({ phase }) => phase !== Phase.SUCCEEDED).map(({ reason }) => reason)).toEqual([]);
    expect(most).toBeGreaterThan(100);
    expect(most).toBeLessThanOrEqual(slots);
    expect(world.proxy.count('POST', '/pods')).toBe(1_000);
    await world.until(async () => (await world.pods()).length === 0);
    while (world.store.work.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }, 300_000);
});
