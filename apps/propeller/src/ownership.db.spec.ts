import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Propeller } from './propeller.js';
import { Rig } from './testing/rig.js';
import { ScriptedBackend } from './testing/scripted-backend.js';
import { chain } from './testing/workflows.js';

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
