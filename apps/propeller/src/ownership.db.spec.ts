import { unavailable } from '@aloft/errors';
import { NodeExecution_Phase as NodePhase, WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Propeller } from './propeller.js';
import { Rig } from './testing/rig.js';
import { ScriptedBackend } from './testing/scripted-backend.js';
import { chain, closureOf, sleepNode } from './testing/workflows.js';

// Real: Postgres, the bus, engine. Its timer would look for shards after minutes only: what happens here was heard of.
describe('shards of several propellers', () => {
  let rig: Rig;

  beforeEach(async () => {
    rig = await Rig.open({ partitions: 8, config: { leaseMs: 600_000 } });
    const backend = new ScriptedBackend(rig.bus);
    rig.onClose(() => backend.close());
  });
  afterEach(() => rig.close());

  async function holding(propeller: Propeller, count: number): Promise<void> {
    while (propeller.status().partitions.length !== count) await propeller.changed();
  }

  const sorted = (...propellers: Propeller[]) =>
    propellers.flatMap((propeller) => propeller.status().partitions).sort((a, b) => a - b);

  const all = [0, 1, 2, 3, 4, 5, 6, 7];

  it('S-22: a newcomer gets its share as soon as it is there, and a third one, too', async () => {
    const first = await rig.started();
    expect(sorted(first)).toEqual(all);
    const second = await rig.started({ bus: rig.openBus() });
    await Promise.all([holding(first, 4), holding(second, 4)]);
    expect(sorted(first, second)).toEqual(all);
    const third = await rig.started({ bus: rig.openBus() });
    while (sorted(first, second, third).length < 8 || third.status().partitions.length < 2) await third.changed();
    expect(sorted(first, second, third)).toEqual(all);
  });

  it('S-22: the shards of one that stops are taken by the others at once, with the runs on them', async () => {
    const first = await rig.started();
    const second = await rig.started({ bus: rig.openBus() });
    await Promise.all([holding(first, 4), holding(second, 4)]);
    const runs = await Promise.all(Array.from({ length: 32 }, () => rig.start(chain(20))));
    await first.stop();
    await holding(second, 8);
    for (const { uid } of runs) expect(await rig.events.ended(uid)).toBe(Phase.SUCCEEDED);
    expect(rig.events.problems).toEqual([]);
  });

  it('a shard of which two propellers hold a half each, one without knowing, comes to one of them', async () => {
    const two = await Rig.open({ partitions: 1, config: { leaseMs: 300 } });
    try {
      const first = await two.started();
      const second = await two.started({ bus: two.openBus() });
      // As after a pause of the first, and an answer to the second that got lost.
      await two.database.query(
        `UPDATE bus_streams s SET epoch = epoch + 1, owner = m.owner, session_pid = m.session_pid,
           session_start = m.session_start, expires_at = now() + interval '1 hour'
         FROM bus_members m WHERE s.topic = 'executions.commands' AND m.owner <> s.owner`,
      );
      await holding(second, 1);
      await holding(first, 0);
      const run = await two.start(chain(1));
      const backend = new ScriptedBackend(two.bus);
      two.onClose(() => backend.close());
      expect(await two.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    } finally {
      await two.close();
    }
  });

  it('what fails while shards are being taken over is made up for at the next look', async () => {
    const one = await Rig.open({ partitions: 1, config: { leaseMs: 300 } });
    try {
      const backend = new ScriptedBackend(one.bus);
      one.onClose(() => backend.close());
      const first = await one.started();
      const run = await one.start(closureOf('nap', { nodes: [sleepNode('s', 1)], tasks: [] }));
      await one.events.until(() => one.events.nodePhases(run.uid, 's').includes(NodePhase.RUNNING));
      const bus = one.openBus();
      const keep = bus.keep.bind(bus);
      let failures = 0;
      bus.keep = (group, positions) => {
        if (positions.length > 0) failures += 1;
        return failures === 1 ? Promise.reject(unavailable('not now')) : keep(group, positions);
      };
      const second = await one.started({ bus });
      await first.kill();
      await holding(second, 1);
      expect(await one.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    } finally {
      await one.close();
    }
  });

  it('one that was killed counts as nobody from then on: a look takes all its shards', async () => {
    const first = await rig.started();
    const second = await rig.started({ bus: rig.openBus() });
    await Promise.all([holding(first, 4), holding(second, 4)]);
    await first.kill();
    // The third one's coming makes the second look: of the dead one's four it takes what is its share of all.
    const third = await rig.started({ bus: rig.openBus() });
    await Promise.all([holding(second, 4), holding(third, 4)]);
    expect(sorted(second, third)).toEqual(all);
  });

  it('S-22: two that have half of a partition each do not wait for one another', async () => {
    const first = await rig.started();
    const run = await rig.start(chain(20));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    // As after a restart of Postgres: the session behind one of its leases is gone, the other one was renewed.
    await rig.database.query(
      `UPDATE bus_streams SET owner = NULL, epoch = epoch + 1
       WHERE group_name = 'propeller' AND topic = 'executions.commands' AND partition = 3`,
    );
    const second = await rig.started({ bus: rig.openBus() });
    while (first.status().partitions.length !== 4) await first.changed();
    while (!second.status().partitions.includes(3)) await second.changed();
    await holding(second, 4);
    expect(sorted(first, second)).toEqual(all);
  });

  it('a commands lease without its reports is given to whoever has room', async () => {
    const first = await rig.started();
    await rig.database.query(
      `UPDATE bus_streams SET owner = 'somebody', epoch = epoch + 1, session_pid = pg_backend_pid(),
         session_start = (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid())
       WHERE group_name = 'propeller' AND topic = 'tasks.reports' AND partition = 5`,
    );
    const second = await rig.started({ bus: rig.openBus() });
    // What the first one has no room for any more, it does not keep either.
    while (first.status().partitions.includes(5)) await first.changed();
    await rig.database.query(
      `UPDATE bus_streams SET owner = NULL, epoch = epoch + 1 WHERE group_name = 'propeller' AND topic = 'tasks.reports' AND partition = 5`,
    );
    await rig.started({ bus: rig.openBus() }).then((third) => third.stop());
    while (sorted(first, second).length < 8) await Promise.race([first.changed(), second.changed()]);
    expect(sorted(first, second)).toEqual(all);
  });
});
