import { jest } from '@jest/globals';
import { createLocalBlobStore } from '@aloft/blob';
import type { OutgoingMessage } from '@aloft/bus';
import { testBus, type TestBus } from '@aloft/bus/testing';
import type { Database, Transaction } from '@aloft/database';
import { type LaunchTask, TaskReport } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { createLogger } from '@aloft/telemetry';
import type { BackendPlugin } from '../contract.js';
import { isTerminal } from '../outcome/phases.js';
import { commandEnvelope } from '../testing/memory-bus.js';
import { launchOf } from '../testing/launches.js';
import { BackendHost } from './backend-host.js';
import { backendMigrations } from './migrations.js';
import { PostgresWorkStore } from './postgres-work-store.js';

const logger = createLogger('host', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' });

/** Everything of type `noop` succeeds at once; anything else runs until told otherwise. */
function testPlugin(): BackendPlugin & { launched: string[]; finish: Map<string, () => void> } {
  const launched: string[] = [];
  const finish = new Map<string, () => void>();
  const outcome = {
    result: { $case: 'outputs' as const, value: { value: { $case: 'inline' as const, value: { literals: {} } } } },
    deckUri: '',
    checkpointUri: '',
  };
  return {
    name: 'test',
    launched,
    finish,
    capacity: () => ({}),
    refuse: () => undefined,
    runInline: (launch) => (launch.template?.type === 'noop' ? { phase: Phase.SUCCEEDED, outcome } : undefined),
    launch: async (launch, context) => {
      const name = launch.attempt?.name ?? '';
      launched.push(name);
      context.report({ phase: Phase.RUNNING });
      finish.set(name, () => context.report({ phase: Phase.SUCCEEDED, outcome }));
    },
    adopt: async (launches, contextOf) => {
      for (const { attempt } of launches)
        if (attempt) finish.set(attempt.name, () => contextOf(attempt).report({ phase: Phase.SUCCEEDED, outcome }));
      return [];
    },
    abort: async () => undefined,
    stop: async () => undefined,
  };
}

describe('BackendHost over Postgres', () => {
  let test: TestBus;
  const hosts: BackendHost[] = [];

  beforeEach(async () => {
    test = await testBus({ schema: 'backends', migrations: backendMigrations });
  });

  afterEach(async () => {
    for (const host of hosts.splice(0)) await host.stop();
    await test.drop();
  });

  const start = async (
    plugin = testPlugin(),
    name = 'host-1',
    more: { leaseMs?: number; database?: Database } = {},
  ) => {
    const host = new BackendHost({
      plugin,
      bus: test.bus,
      database: test.database,
      store: new PostgresWorkStore(test.database, plugin.name),
      blob: createLocalBlobStore({ dir: '/nonexistent' }),
      logger,
      name,
      ...more,
    });
    hosts.push(host);
    await host.start();
    return { host, plugin };
  };

  const publish = (launches: readonly LaunchTask[]) =>
    test.database.transaction((tx) =>
      test.bus.publish(
        tx,
        launches.map<OutgoingMessage>((launch) => ({
          topic: 'tasks.commands.test',
          envelope: commandEnvelope({ $case: 'launch', value: launch }),
        })),
      ),
    );

  const abort = ({ attempt }: LaunchTask) =>
    test.database.transaction((tx) =>
      test.bus.publish(tx, [
        {
          topic: 'tasks.commands.test',
          envelope: commandEnvelope({ $case: 'abort', value: { attempt, reason: 'the run is over' } }),
        },
      ]),
    );

  /** Takes reports as the propeller would: acknowledged by `commit`. */
  const takeReports = (commit: (count: number) => Promise<void> = async () => undefined) => {
    const reader = test.bus.read({ topic: 'tasks.reports', partition: 0 }, 0n, { acceptDelivered: true });
    const taken: TaskReport[] = [];
    let wake = () => {};
    const done = (async () => {
      for (let batch = await reader.next(2000); batch; batch = await reader.next(2000)) {
        taken.push(...batch.messages.map(({ envelope }) => TaskReport.decode(envelope.payload)));
        wake();
        await commit(batch.messages.length);
        batch.acknowledge();
        wake();
      }
    })();
    return {
      taken,
      until: async (condition: () => boolean) => {
        while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
      },
      close: async () => {
        await reader.close();
        await done;
      },
    };
  };

  const count = async (table: string) =>
    Number((await test.database.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`)).rows[0]?.n);

  const empty = async (table: string) => {
    while ((await count(table)) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  };

  it('keeps a row while an attempt runs, and deletes it once its end is acknowledged', async () => {
    const { host, plugin } = await start();
    const reports = takeReports();
    await publish([launchOf({ name: 'run1-n0-0' })]);
    await host.caughtUp();
    expect(await count('work')).toBe(1);
    plugin.finish.get('run1-n0-0')?.();
    await reports.until(() => reports.taken.some(({ phase }) => phase === Phase.SUCCEEDED));
    await empty('work');
    expect(await count('fence')).toBe(1);
    await publish([launchOf({ name: 'run1-n0-0' })]);
    await host.caughtUp();
    expect(plugin.launched).toEqual(['run1-n0-0']);
    await reports.close();
  });

  it('an end is told only once its command is committed, so that a repeated command cannot start it again', async () => {
    let refusing = true;
    let refused = () => {};
    const twice = new Promise<void>((resolve) => {
      let left = 2;
      refused = () => void (--left === 0 && resolve());
    });
    const database: Database = {
      schema: test.database.schema,
      url: test.database.url,
      query: (sql, values) => test.database.query(sql, values),
      close: () => test.database.close(),
      transaction: (work) =>
        test.database.transaction(async (tx) => {
          const result = await work(tx);
          // The batch of the host: its sessions are being reset.
          if (refusing && plugin.launched.length > 0) {
            refused();
            throw Object.assign(new Error('terminating connection'), { code: '57P02' });
          }
          return result;
        }),
    };
    const plugin = testPlugin();
    const { launch } = plugin;
    plugin.launch = async (command, context) => {
      await launch(command, context);
      plugin.finish.get(command.attempt?.name ?? '')?.();
    };
    const { host } = await start(plugin, 'host-1', { database });
    const reports = takeReports();
    await publish([launchOf({ name: 'run1-n0-0' })]);
    await twice;
    expect(reports.taken.map(({ phase }) => phase)).not.toContain(Phase.SUCCEEDED);
    refusing = false;
    await reports.until(() => reports.taken.some(({ phase }) => phase === Phase.SUCCEEDED));
    await host.caughtUp();
    await empty('work');
    expect(plugin.launched).toEqual(['run1-n0-0']);
    expect(reports.taken.filter(({ phase }) => phase === Phase.SUCCEEDED)).toHaveLength(1);
    await reports.close();
  });

  it('an inline answer writes nothing, and is given again by the next process until it is acknowledged', async () => {
    let acknowledge = () => {};
    let held: Promise<void> = new Promise((resolve) => (acknowledge = resolve));
    const reports = takeReports(() => held);
    const first = await start();
    await publish([launchOf({ name: 'run1-n0-0', type: 'noop' })]);
    await reports.until(() => reports.taken.length === 1);
    await first.host.stop();
    expect(await count('finished')).toBe(0);
    // Too late for the first host: it is gone, and nothing says that the answer was heard.
    held = Promise.resolve();
    acknowledge();
    const second = await start();
    await reports.until(() => reports.taken.length === 2);
    await second.host.caughtUp();
    await second.host.stop();
    const third = await start();
    await third.host.caughtUp();
    expect(reports.taken.map(({ attempt }) => attempt?.name)).toEqual(['run1-n0-0', 'run1-n0-0']);
    expect(await count('finished')).toBe(0);
    await reports.close();
  });

  it('a later process of the same name finds the work, and fences the earlier one', async () => {
    const first = await start();
    await publish([launchOf({ name: 'run1-n0-0' }), launchOf({ name: 'run1-n1-0', type: 'noop' })]);
    await first.host.caughtUp();
    // Nobody takes reports: the noop's must survive, too. The first host just falls silent.
    const second = await start(testPlugin(), 'host-1', { leaseMs: 300 });
    expect(second.plugin.launched).toEqual([]);
    const reports = takeReports();
    second.plugin.finish.get('run1-n0-0')?.();
    const ended = () =>
      new Set(reports.taken.filter(({ phase }) => phase === Phase.SUCCEEDED).map((r) => r.attempt?.name));
    await reports.until(() => ended().size === 2);
    await empty('work');
    await empty('finished');
    await reports.close();
  });

  it('C-172: an end that was told is told again after a death, and nothing else, though somebody asks for an abort meanwhile', async () => {
    const anywhere = (): ReturnType<typeof testPlugin> => Object.assign(testPlugin(), { reach: 'anywhere' as const });
    const reports = takeReports();
    const ends = () => reports.taken.filter(({ phase }) => isTerminal(phase)).map(({ phase }) => Phase[phase]);
    const first = await start(anywhere());
    const launch = launchOf({ name: 'run1-n0-0' });
    await publish([launch]);
    await first.host.caughtUp();
    while (!first.plugin.finish.has('run1-n0-0')) await new Promise((resolve) => setTimeout(resolve, 5));
    // Dies before it can delete what is over.
    jest.spyOn(PostgresWorkStore.prototype, 'end').mockRejectedValue(new Error('the process died'));
    first.plugin.finish.get('run1-n0-0')?.();
    await reports.until(() => ends().length === 1);
    first.host.vanish();
    jest.restoreAllMocks();
    await abort(launch);
    const second = await start(anywhere());
    await second.host.caughtUp();
    await empty('work');
    expect(new Set(ends())).toEqual(new Set(['SUCCEEDED']));
    await reports.close();
  });

  it('a newer generation replaces the row, an abort marks it, in one statement each', async () => {
    const store = new PostgresWorkStore(test.database, 'test');
    const row = (generation: number) => {
      const launch = launchOf({ name: 'a', generation });
      return {
        key: 'u/a',
        generation,
        command: commandEnvelope({ $case: 'launch', value: launch }),
        abortReason: undefined,
      };
    };
    const inTransaction = (work: (tx: Transaction) => Promise<void>) => test.database.transaction(work);
    const holder = { name: 'h', epoch: await store.acquire('h', 60_000) };
    const add = (generation: number) =>
      inTransaction(async (tx) => void (await store.add(tx, holder, [row(generation)], false)));
    await add(1);
    await add(1);
    await inTransaction(async (tx) => {
      await store.requestAbort(tx, 'h', [
        { key: 'u/a', generation: 1, reason: 'why' },
        { key: 'u/a', generation: 1, reason: 'why' },
      ]);
    });
    expect(await store.abortsOf('h')).toEqual([{ key: 'u/a', generation: 1, reason: 'why' }]);
    await add(2);
    expect(await store.abortsOf('h')).toEqual([]);
    await store.end('h', [{ key: 'u/a', generation: 1 }]);
    const loaded = await store.load('h');
    expect(await store.held('h')).toEqual([
      { key: 'u/a', generation: 2, abortReason: undefined, losses: 0, remembered: false },
    ]);
    expect(loaded.fences).toEqual([{ key: 'u/a', generation: 1 }]);
    await store.end('h', [{ key: 'u/a', generation: 2 }]);
    expect(await count('work')).toBe(0);
    await store.prune(-1000);
    expect(await count('fence')).toBe(0);
  });

  it('a fan-out of 20,000 noop tasks costs a few statements a batch', async () => {
    let statements = 0;
    const counted = ['add', 'addFinished', 'fence', 'end', 'deleteFinished', 'requestAbort'] as const;
    const prototype = PostgresWorkStore.prototype as unknown as Record<
      string,
      (...args: unknown[]) => Promise<unknown>
    >;
    for (const name of counted) {
      const original = prototype[name] as (...args: unknown[]) => Promise<unknown>;
      jest.spyOn(prototype, name).mockImplementation(function (this: unknown, ...args: unknown[]) {
        if ((args.findLast((arg) => Array.isArray(arg)) as unknown[]).length > 0) statements++;
        return original.apply(this, args);
      });
    }
    await start();
    const total = 20_000;
    const reports = takeReports(async () => {
      await test.database.query('SELECT 1');
    });
    const launches = Array.from({ length: total }, (_, i) => launchOf({ name: `run1-n${i}-0`, type: 'noop' }));
    const cpu = process.cpuUsage();
    const began = performance.now();
    for (let i = 0; i < total; i += 5_000) await publish(launches.slice(i, i + 5_000));
    await reports.until(() => reports.taken.length >= total);
    const seconds = (performance.now() - began) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    if (process.env['ALOFT_TEST_FIGURES'])
      console.log(
        `${Math.round(total / seconds)} noop launches/s with publishing and taking, ${statements} statements, ` +
          `${((user + system) / total).toFixed(0)} µs of this process each`,
      );
    await empty('finished');
    expect(await count('work')).toBe(0);
    // One insert a batch of at most 1,000 commands, one delete for whatever has gathered. The rate is for a quiet machine to tell.
    expect(statements).toBeLessThan(200);
    jest.restoreAllMocks();
    await reports.close();
  }, 60_000);
});
