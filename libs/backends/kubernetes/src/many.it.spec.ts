import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { FakeWorld } from './testing/fake-world.js';
import { type Kube, startCluster } from './testing/kube.js';

// Real: etcd, API server, scheduler. Nodes pretend (kwok): of the conformance suite's many, as many as a real node does not hold. All of it shares two
// cores in CI: 1,000 by ALOFT_MANY=1000.
const many = Number(process.env['ALOFT_MANY'] ?? 400);

describe(`${many} at once`, () => {
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
    const slots = Math.ceil(many * 0.4);
    await world.start({ slots });
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, world.host!.status.inUse.slots)), 5);
    const launches = Array.from({ length: many }, (_, i) => world.launch(`run1-n${i}-0`));
    await world.bus.command(...launches.map((launch) => ({ launch })));
    const ends = await Promise.all(launches.map(({ attempt }) => world.bus.end(attempt)));
    clearInterval(watch);
    expect(ends.filter(({ phase }) => phase !== Phase.SUCCEEDED).map(({ reason }) => reason)).toEqual([]);
    expect(most).toBeGreaterThan(slots / 4);
    expect(most).toBeLessThanOrEqual(slots);
    expect(world.proxy.count('POST', '/pods')).toBe(many);
    await world.until(async () => (await world.pods()).length === 0);
    while (world.store.work.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }, 300_000);
});
