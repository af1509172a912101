import { WaitReason_Kind as Kind, type TaskReport } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Database } from '@aloft/database';
import type { BlobStore } from '@aloft/blob';
import { Route } from '@aloft/idl/aloft/v1/routing';
import { createLogger } from '@aloft/telemetry';
import type { BackendPlugin, Capacity, HostView } from '../contract.js';
import type { LogTemplate } from '../log-links/log-links.js';
import { launchOf } from '../testing/launches.js';
import { MemoryBus } from '../testing/memory-bus.js';
import { MemoryWorkStore } from '../testing/memory-work-store.js';
import { BackendHost } from './backend-host.js';

/** Has no place for anything while `missing` says so; what it begins runs until it is told to end. */
class Placeless implements BackendPlugin {
  readonly name = 'test';
  readonly launched: string[] = [];
  host: HostView | undefined;

  constructor(
    public missing: string | undefined,
    private readonly most: Capacity = {},
  ) {}

  capacity = () => this.most;
  refuse = () => undefined;
  noPlace = () => this.missing;
  launch: BackendPlugin['launch'] = async ({ attempt }, context) => {
    this.launched.push(attempt?.name ?? '');
    context.report({ phase: Phase.RUNNING });
  };
  adopt: BackendPlugin['adopt'] = async (launches) => launches.flatMap(({ attempt }) => (attempt ? [attempt] : []));
  abort = async () => undefined;
  start = async (host?: HostView) => void (this.host = host);
  stop = async () => undefined;
}

describe('an attempt without a place', () => {
  let bus: MemoryBus;
  let store: MemoryWorkStore;
  let host: BackendHost | undefined;

  beforeEach(() => {
    bus = new MemoryBus();
    store = new MemoryWorkStore();
  });
  afterEach(() => host?.stop());

  async function start(plugin: BackendPlugin, links: readonly LogTemplate[] = []): Promise<void> {
    await host?.stop();
    host = new BackendHost({
      ...{ plugin, links, bus, store, name: 'host-1', logger: createLogger('test', { level: 'silent' }) },
      ...{ database: undefined as unknown as Database, blob: undefined as unknown as BlobStore },
      reports: { coalesceMs: 1 },
    });
    await host.start();
  }

  const launch = (waits: boolean, more: { cpu?: string } = {}) => ({
    launch: { ...launchOf({ name: 'n0-0', type: 'x', ...more }), route: Route.fromPartial({ waits }) },
  });
  const heard = (condition: (report: TaskReport) => boolean): Promise<TaskReport> =>
    bus.until(() => bus.reports.find(condition));
  const told = (phase: Phase): Promise<TaskReport> => heard((report) => report.phase === phase);

  it('fails with the reason, where its run’s routing says no more', async () => {
    await start(new Placeless('there is no queue "q"'));
    await bus.command(launch(false));
    expect((await told(Phase.FAILED)).outcome?.result).toMatchObject({
      value: { code: 'NoPlace', message: 'there is no queue "q"' },
    });
  });

  it('waits, says for what, and begins when there is one', async () => {
    const plugin = new Placeless('there is no queue "q"');
    await start(plugin);
    await bus.command(launch(true));
    expect(await told(Phase.WAITING_FOR_RESOURCES)).toMatchObject({
      reason: 'Waiting for a place: there is no queue "q"',
      waitsFor: Kind.CAPACITY,
    });
    plugin.missing = 'the queue "q" is disabled';
    plugin.host?.placesChanged();
    await heard(({ reason }) => reason === 'Waiting for a place: the queue "q" is disabled');
    expect(plugin.launched).toEqual([]);
    plugin.missing = undefined;
    plugin.host?.placesChanged();
    await told(Phase.RUNNING);
    expect(plugin.launched).toEqual(['n0-0']);
  });

  it('… also over the end of its process, after which its backend may be another', async () => {
    await start(new Placeless('there is no queue "q"'));
    await bus.command(launch(true));
    await told(Phase.WAITING_FOR_RESOURCES);
    await start(new Placeless('there is still no queue "q"'));
    await heard(({ reason }) => reason === 'Waiting for a place: there is still no queue "q"');
    const plugin = new Placeless(undefined);
    await start(plugin);
    await told(Phase.RUNNING);
    expect(plugin.launched).toEqual(['n0-0']);
  });

  it('… or asks for more than there is, until there is more', async () => {
    await start(new Placeless(undefined, { cpu: 2 }));
    await bus.command(launch(true, { cpu: '4' }));
    expect((await told(Phase.WAITING_FOR_RESOURCES)).reason).toContain('asks for cpu 4, and this backend has 2');
    const plugin = new Placeless(undefined, { cpu: 4 });
    await start(plugin);
    await told(Phase.RUNNING);
  });

  it('C-176: the platform’s links come with whatever is reported', async () => {
    const links = [{ name: 'Runs', uri: 'https://runs/{{ .executionName }}' }];
    await start(new Placeless(undefined), links);
    await bus.command(launch(false));
    expect((await told(Phase.RUNNING)).logs).toMatchObject([{ name: 'Runs', uri: 'https://runs/run1' }]);
  });

  it('ends when it is told to', async () => {
    const plugin = new Placeless('there is no queue "q"');
    await start(plugin);
    const command = launch(true);
    await bus.command(command);
    await told(Phase.WAITING_FOR_RESOURCES);
    await bus.command({ abort: command.launch.attempt });
    await told(Phase.ABORTED);
    plugin.missing = undefined;
    plugin.host?.placesChanged();
    expect(plugin.launched).toEqual([]);
  });
});
