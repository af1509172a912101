import { randomUUID } from 'node:crypto';
import { openDatabase } from '@aloft/database';
import { TaskCommand } from '@aloft/idl/aloft/v1/bus';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { literalOf } from '@aloft/literals';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Propeller } from './propeller.js';
import { FakeCatalog } from './testing/fake-catalog.js';
import { Rig } from './testing/rig.js';
import { echoOutputs, ScriptedBackend } from './testing/scripted-backend.js';
import { chain, closureOf, fanOut, sleepNode, task, taskNode } from './testing/workflows.js';

/** n0 and n1 beside each other, a nap, then n2 after all, then n3; some cached: launches, timers, requests and joins. */
function mixed(): Uint8Array {
  const cached = { discoverable: true, discoveryVersion: '1' };
  const [t0, t1, t2, t3] = [cached, {}, cached, cached].map((metadata, i) =>
    task(`t${i}`, { type: 'noop', inputs: ['x'], outputs: ['o0'], metadata }),
  );
  const nodes = [
    taskNode('n0', t0!, { x: literalOf.integer(1) }),
    taskNode('n1', t1!, { x: literalOf.integer(2) }),
    sleepNode('s', 0),
    taskNode('n2', t2!, { x: 'n1.o0' }, ['n0', 's']),
    taskNode('n3', t3!, { x: 'n2.o0' }),
  ];
  return closureOf('mixed', { nodes, tasks: [t0!, t1!, t2!, t3!], outputs: { o0: 'n3.o0' } });
}

// Real: Postgres, the bus, engine, gRPC. A killed propeller never returns from the await at which it was killed.
describe('Propeller: crashes, owners', () => {
  let rig: Rig;
  let catalog: FakeCatalog;

  beforeEach(async () => {
    catalog = await FakeCatalog.open();
  });

  afterEach(async () => {
    await rig.close();
    await catalog.close();
  });

  /** A propeller that dies at its n-th await; resolves when it did. */
  async function dying(at: number): Promise<{ dead: Promise<string | undefined>; survived: () => void }> {
    let count = 0;
    let settle!: (point: string | undefined) => void;
    const dead = new Promise<string | undefined>((resolve) => (settle = resolve));
    const applicationName = `dying-${randomUUID()}`;
    const database = openDatabase({ url: rig.url, schema: 'propeller', applicationName, logger: rig.logger });
    let killed = false;
    const box: { propeller?: Propeller } = {};
    const probe = async (point: string): Promise<void> => {
      if (killed) return new Promise(() => undefined);
      count += 1;
      if (count < at) return;
      killed = true;
      await box.propeller!.kill();
      // A dead process has no connections: what it had begun is rolled back.
      await rig.rows('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1', [
        applicationName,
      ]);
      settle(point);
      return new Promise(() => undefined);
    };
    box.propeller = rig.propeller({ probe, database });
    await box.propeller.start();
    return { dead, survived: () => settle(undefined) };
  }

  it('killed at each await in turn: nothing is lost, nothing is doubled', async () => {
    rig = await Rig.open();
    rig.catalog = catalog.client;
    const backend = new ScriptedBackend(rig.bus);
    rig.onClose(() => backend.close());
    // All of them with ALOFT_KILL_STEP=1; else every third, from a first one that differs from run to run.
    const step = Number(process.env.ALOFT_KILL_STEP ?? 3);
    const points = new Set<string>();
    for (let at = 1 + Math.floor(Math.random() * step), survived = false; !survived; at += step) {
      catalog.tags.clear();
      backend.launches.length = 0;
      const first = await dying(at);
      const run = await rig.start(mixed());
      void rig.events.ended(run.uid).then(() => first.survived());
      const point = await first.dead;
      survived = point === undefined;
      if (point !== undefined) points.add(point);
      const next = survived ? undefined : await rig.started();
      const phase = await rig.events.ended(run.uid);
      const launches = [...backend.launches].sort();
      const expected = ['n0', 'n1', 'n2', 'n3'].map((node) => `${run.name}-${node}-0`);
      expect({ at, point, phase, launches }).toEqual({ at, point, phase: Phase.SUCCEEDED, launches: expected });
      expect(rig.events.problems).toEqual([]);
      expect(rig.events.result(run.uid)).toMatchObject({ value: { literals: { o0: literalOf.integer(2) } } });
      await next?.stop();
    }
    expect(points.size).toBeGreaterThan(3);
    if (step > 1) return;
    expect([...points].sort()).toEqual([
      'after-commit',
      'after-log',
      'before-answer',
      'before-commit',
      'before-preparations',
      'before-transaction',
    ]);
  }, 300_000);

  it('a launch is on the bus exactly once for every attempt, whatever was killed', async () => {
    rig = await Rig.open();
    rig.catalog = catalog.client;
    const backend = new ScriptedBackend(rig.bus);
    rig.onClose(() => backend.close());
    for (const at of [3, 9, 17]) {
      const { dead } = await dying(at);
      const run = await rig.start(chain(20));
      await dead;
      const next = await rig.started();
      expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
      await next.stop();
    }
    const reader = rig.bus.read({ topic: 'tasks.commands.local', partition: 0 }, 0n);
    const names: string[] = [];
    while (names.length < 60) {
      const batch = await reader.next(100);
      for (const { envelope } of batch!.messages) {
        const { command } = TaskCommand.decode(envelope.payload);
        if (command?.$case === 'launch') names.push(command.value.attempt!.name);
      }
    }
    await reader.close();
    expect(new Set(names).size).toBe(names.length);
  }, 60_000);

  it('two propellers share the partitions; when one dies the other takes its runs over', async () => {
    rig = await Rig.open({ partitions: 4, config: { leaseMs: 600 } });
    const busses = [rig.openBus(), rig.openBus()];
    const backend = new ScriptedBackend(rig.bus, () => 'running');
    rig.onClose(() => backend.close());
    const [one, two] = busses.map((bus) => rig.propeller({ bus }));
    await one!.start();
    await two!.start();
    while (one!.status().partitions.length !== 2 || two!.status().partitions.length !== 2) {
      await Promise.race([one!.changed(), two!.changed()]);
    }
    const runs = [];
    for (let i = 0; i < 12; i += 1) runs.push(await rig.start(chain(1)));
    await backend.until(({ launches }) => launches.length === 12);
    await two!.kill();
    while (one!.status().partitions.length !== 4) await one!.changed();
    for (const launch of backend.launched.values()) await backend.succeed(launch.attempt!, echoOutputs(launch));
    for (const run of runs) expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toHaveLength(12);
    expect(rig.events.problems).toEqual([]);
  }, 60_000);

  it('a propeller that stops hands its partitions over at once', async () => {
    rig = await Rig.open({ partitions: 2, config: { leaseMs: 60_000 } });
    const backend = new ScriptedBackend(rig.bus, () => 'running');
    rig.onClose(() => backend.close());
    const one = await rig.started({ bus: rig.openBus() });
    const run = await rig.start(chain(1));
    await backend.until(({ launches }) => launches.length === 1);
    await one.stop();
    const two = await rig.started({ bus: rig.openBus() });
    expect(two.status().partitions).toEqual([0, 1]);
    const [launch] = [...backend.launched.values()];
    await backend.succeed(launch!.attempt!, echoOutputs(launch!));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
  });

  it('the commit of a stale owner is refused, and what it took goes to the new one', async () => {
    rig = await Rig.open();
    const backend = new ScriptedBackend(rig.bus);
    rig.onClose(() => backend.close());
    let hold: (() => void) | undefined;
    let held = false;
    const waiting = new Promise<void>((resolve) => (hold = resolve));
    let reached!: () => void;
    const atGate = new Promise<void>((resolve) => (reached = resolve));
    const stale = rig.propeller({
      bus: rig.openBus(),
      probe: async (point) => {
        if (point !== 'before-transaction' || held) return;
        held = true;
        reached();
        await waiting;
      },
    });
    await stale.start();
    const run = await rig.start(chain(2));
    await atGate;
    // Its lease goes to another while it is about to commit: it has not been heard of for long.
    await rig.database.query('UPDATE bus_streams SET epoch = epoch + 1, owner = NULL, expires_at = now()');
    await rig.database.query('UPDATE bus_members SET expires_at = now()');
    const fresh = await rig.started({ bus: rig.openBus() });
    expect(fresh.status().partitions).toEqual([0]);
    hold!();
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toHaveLength(2);
    expect(rig.events.problems).toEqual([]);
    const [{ count }] = (await rig.rows<{ count: bigint }>('SELECT count(*) FROM runs')) as [{ count: bigint }];
    expect(count).toBe(1n);
  }, 60_000);

  it('timers of a run that is over take no room from others', async () => {
    rig = await Rig.open({ config: { commit: { maxInputs: 1 } } });
    const backend = new ScriptedBackend(rig.bus);
    rig.onClose(() => backend.close());
    const first = await rig.started();
    const over = await rig.start(chain(1));
    expect(await rig.events.ended(over.uid)).toBe(Phase.SUCCEEDED);
    while ((await rig.rows('SELECT uid FROM runs WHERE history_uri IS NULL')).length > 0);
    await first.stop();
    await rig.database.query('INSERT INTO timers SELECT uid, n, shard, now() FROM runs, generate_series(1, 3) AS n');
    await rig.started();
    const run = await rig.start(chain(1));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
  });

  it('log time does not go back with a new owner whose clock is behind, also behind a snapshot', async () => {
    rig = await Rig.open({ config: { commit: { snapshotMinLogBytes: 1 } } });
    const backend = new ScriptedBackend(rig.bus, () => 'running');
    rig.onClose(() => backend.close());
    const ahead = await rig.started({ now: () => Date.now() + 3_600_000 });
    const run = await rig.start(chain(1));
    await backend.until(({ launches }) => launches.length === 1);
    await rig.events.until(() => rig.events.nodePhases(run.uid, 'n0').length > 0);
    await ahead.kill();
    const behind = await rig.started();
    const [launch] = [...backend.launched.values()];
    await backend.succeed(launch!.attempt!, echoOutputs(launch!));
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    const id = { org: '', project: 'flytesnacks', domain: 'development', name: run.name };
    const times = (await behind.history(run.uid, id)).map(({ time }) => Number(time!.seconds));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('recovers a half-done fan-out of 2,000 and says how fast', async () => {
    rig = await Rig.open();
    const backend = new ScriptedBackend(rig.bus, (launch) =>
      Number(launch.attempt!.nodeId.slice(1)) % 2 === 0 ? { outputs: echoOutputs(launch) } : 'running',
    );
    rig.onClose(() => backend.close());
    const first = await rig.started();
    const run = await rig.start(fanOut(2000));
    await backend.until(({ launches }) => launches.length === 2000);
    await first.kill();
    const from = Date.now();
    await rig.started();
    for (const launch of backend.launched.values()) {
      if (Number(launch.attempt!.nodeId.slice(1)) % 2 === 1)
        void backend.succeed(launch.attempt!, echoOutputs(launch)).catch(() => undefined);
    }
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toHaveLength(2000);
    expect(Date.now() - from).toBeLessThan(20_000);
  }, 60_000);
});
