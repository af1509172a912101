import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { eachInFakeWorld } from './testing/each-in-fake-world.js';
import type { FakeWorld } from './testing/fake-world.js';

// Real: etcd, API server, scheduler. Nodes pretend (kwok): of the conformance suite's many, as many as a real node does not hold.
const many = 1_000;
/** As long as the cluster is busy, five a second are deleted. */
const slowlyMs = (many / 5) * 1_000;

describe('1,000 at once', () => {
  let world: FakeWorld;

  eachInFakeWorld({ kwok: 3 }, (_, given) => (world = given));

  it('capacity is respected, each is one pod; once the cluster is quiet, all are deleted as fast as it takes that', async () => {
    const slots = 400;
    await world.start({ slots });
    let most = 0;
    const watch = setInterval(() => (most = Math.max(most, world.host!.status.inUse.slots)), 5);
    const launches = Array.from({ length: many }, (_, i) => world.launch(`run1-n${i}-0`));
    await world.bus.command(...launches.map((launch) => ({ launch })));
    const ends = await Promise.all(launches.map(({ attempt }) => world.bus.end(attempt)));
    clearInterval(watch);
    expect(ends.filter(({ phase }) => phase !== Phase.SUCCEEDED).map(({ reason }) => reason)).toEqual([]);
    expect(most).toBeGreaterThan(100);
    expect(most).toBeLessThanOrEqual(slots);
    expect(world.proxy.count('POST', '/pods')).toBe(many);
    const over = performance.now();
    await world.until(async () => (await world.pods()).length === 0);
    expect(performance.now() - over).toBeLessThan(slowlyMs / 2);
    while (world.store.work.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }, 300_000);
});
