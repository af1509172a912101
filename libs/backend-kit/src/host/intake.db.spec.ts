import { createLocalBlobStore } from '@aloft/blob';
import { testBus, type TestBus } from '@aloft/bus/testing';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { createLogger } from '@aloft/telemetry';
import type { BackendPlugin } from '../contract.js';
import { launchOf } from '../testing/launches.js';
import { commandEnvelope } from '../testing/memory-bus.js';
import { attemptKey } from './attempt-key.js';
import { BackendHost } from './backend-host.js';
import { backendMigrations } from './migrations.js';
import { PostgresWorkStore } from './postgres-work-store.js';

const logger = createLogger('host', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' });
const slots = 4;

/** Runs until told otherwise, four at once; knows at once what it has begun. */
function plugin(begun: readonly string[]) {
  const launched: string[] = [];
  const adopted: string[][] = [];
  const asked: number[] = [];
  const made: BackendPlugin = {
    name: 'test',
    capacity: () => ({ slots }),
    refuse: () => undefined,
    begun: async (attempts) => {
      asked.push(attempts.length);
      return attempts.flatMap(({ key }) => (begun.includes(key) ? [key] : []));
    },
    launch: async ({ attempt }, context) => {
      launched.push(attempt?.name ?? '');
      context.report({ phase: Phase.RUNNING });
    },
    adopt: async (launches) => {
      adopted.push(launches.map(({ attempt }) => attempt?.name ?? ''));
      return [];
    },
    abort: async () => undefined,
    stop: async () => undefined,
  };
  return Object.assign(made, { launched, adopted, asked });
}

describe('taking up what an earlier process left', () => {
  let test: TestBus;
  let store: PostgresWorkStore;
  const hosts: BackendHost[] = [];

  beforeEach(async () => {
    test = await testBus({ schema: 'backends', migrations: backendMigrations });
    store = new PostgresWorkStore(test.database, 'test');
  });

  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.stop();
    await test.drop();
  });

  const start = async (made: BackendPlugin) => {
    const blob = createLocalBlobStore({ dir: '/nonexistent' });
    const host = new BackendHost({
      ...{ plugin: made, bus: test.bus, database: test.database, store, blob, logger, name: 'host-1' },
    });
    hosts.push(host);
    await host.start();
    return host;
  };

  const left = async (launches: readonly LaunchTask[]) => {
    const holder = { name: 'host-1', epoch: await store.acquire('host-1', 60_000) };
    const rows = launches.map((launch) => ({
      key: attemptKey(launch.attempt!),
      generation: launch.attempt!.generation,
      command: commandEnvelope({ $case: 'launch', value: launch }),
      abortReason: undefined,
    }));
    await test.database.transaction(async (tx) => void (await store.add(tx, holder, rows, false)));
    return rows.map(({ key }) => key);
  };

  const send = (launch: LaunchTask) =>
    test.database.transaction((tx) =>
      test.bus.publish(tx, [
        { topic: 'tasks.commands.test', envelope: commandEnvelope({ $case: 'launch', value: launch }) },
      ]),
    );

  const launches = (run: string, count: number) =>
    Array.from({ length: count }, (_, i) => launchOf({ execution: run, name: `${run}-n${i}-0` }));

  it('begins with what may run; what waits begins before all of it is here, executions in turns', async () => {
    const [large, small] = [launches('large', 2_000), launches('small', 3)];
    const keys = await left([...large, ...small]);
    const made = plugin([keys[7]!]);
    const host = await start(made);
    expect(made.asked).toEqual([2_003]);
    expect(made.adopted).toEqual([['large-n7-0']]);
    // One slot is taken by what runs.
    expect(made.launched).toEqual(['large-n0-0', 'small-n0-0', 'large-n1-0']);
    expect(host.status.attempts).toBeLessThan(1_000);
    await host.caughtUp();
    expect(host.status).toMatchObject({ attempts: 2_003, waiting: 1_999, inUse: { slots } });
  });

  it('takes commands only when everything is here: what is sent again is not begun twice', async () => {
    const all = launches('run', 1_000);
    await left(all);
    await send(all[900]!);
    await send(launchOf({ execution: 'next', name: 'next-n0-0' }));
    const made = plugin([]);
    const host = await start(made);
    await host.caughtUp();
    expect(host.status).toMatchObject({ attempts: 1_001, waiting: 997 });
    expect(made.launched).toEqual(['run-n0-0', 'run-n1-0', 'run-n2-0', 'run-n3-0']);
  });

  it('leaves what was to end, and stops in the middle', async () => {
    const all = launches('run', 2_000);
    const [first, , , , , , , last] = await left(all.slice(0, 8));
    await left(all.slice(8));
    await test.database.transaction(async (tx) => {
      const aborts = [first!, last!].map((key) => ({ key, generation: all[0]!.attempt!.generation, reason: 'enough' }));
      await store.requestAbort(tx, 'host-1', aborts);
    });
    const made = plugin([]);
    const host = await start(made);
    expect(made.launched).toEqual(['run-n1-0', 'run-n2-0', 'run-n3-0', 'run-n4-0']);
    await host.stop();
    expect(host.status.attempts).toBeLessThan(2_000);
    // The next process has all of it.
    expect((await store.held('host-1')).length).toBeGreaterThanOrEqual(1_998);
  });
});
