import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BackendHost } from '@aloft/backend-kit';
import { MemoryBus, MemoryWorkStore } from '@aloft/backend-kit/testing';
import type { Database } from '@aloft/database';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { LocalProcessBackend } from './local-process-backend.js';
import { ShellWorld, testLogger } from './testing/shell-world.js';

describe('many processes', () => {
  let world: ShellWorld;
  let bus: MemoryBus;
  let plugin: LocalProcessBackend;
  let host: BackendHost;

  const start = async (capacity: { cpu: number; memoryBytes: number; slots: number; gpuDevices: string[] }) => {
    world = new ShellWorld({ capacity });
    bus = new MemoryBus();
    plugin = world.plugin();
    host = new BackendHost({
      plugin,
      bus,
      database: undefined as unknown as Database,
      store: new MemoryWorkStore(),
      blob: world.blob,
      logger: testLogger,
      name: 'host-1',
    });
    await host.start();
  };

  afterEach(async () => {
    await host.stop();
    await world.close();
  });

  it('200 at once run at once, are all ended by their aborts, and leave no zombie, folder or open file', async () => {
    await start({ cpu: 400, memoryBytes: 2 ** 40, slots: 400, gpuDevices: [] });
    const launches = Array.from({ length: 200 }, (_, i) => world.launch('until-finished', { name: `run1-n${i}-0` }));
    const files = () => readdirSync(`/proc/${plugin.launcherPid}/fd`).length;
    const before = files();
    await bus.command(...launches.map((launch) => ({ launch })));
    await Promise.all(launches.map(({ attempt }) => world.started(attempt)));
    expect(host.status.inUse.slots).toBe(200);
    await bus.command(...launches.slice(0, 100).map(({ attempt }) => ({ abort: attempt })));
    await Promise.all(launches.slice(100).map(({ attempt }) => world.finish(attempt)));
    const ends = await Promise.all(launches.map(({ attempt }) => bus.end(attempt)));
    expect(ends.slice(0, 100).map(({ phase }) => Phase[phase])).toEqual(Array(100).fill('ABORTED'));
    expect(ends.slice(100).map(({ phase }) => Phase[phase])).toEqual(Array(100).fill('SUCCEEDED'));
    const attempts = join(world.dir, 'work', 'attempts');
    while (readdirSync(attempts).length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    // Two shells wait for what comes next, with an input each.
    const left = childrenOf(plugin.launcherPid as number);
    expect(left.filter((child) => !/^\d+ \(sh\) S /.test(child))).toEqual([]);
    expect(left.length).toBeLessThanOrEqual(2);
    expect(files()).toBeLessThanOrEqual(before + 4);
  }, 60_000);

  it('S-8: cpu, memory and GPUs are never passed, each GPU has one user', async () => {
    await start({ cpu: 2, memoryBytes: 2 ** 30, slots: 50, gpuDevices: ['0', '1'] });
    const shapes = [
      { cpu: '100m' },
      { cpu: '1500m' },
      { cpu: '100m', gpu: '1' },
      { cpu: '100m', memory: '600Mi' },
      { gpu: '2' },
    ];
    const launches = Array.from({ length: 40 }, (_, i) =>
      world.launch('succeed', { name: `run1-n${i}-0`, ...shapes[i % shapes.length] }),
    );
    const over: unknown[] = [];
    const watch = setInterval(() => {
      const { milliCpu, memoryBytes, gpu } = host.status.inUse;
      if (milliCpu > 2000 || memoryBytes > 2 ** 30 || gpu > 2) over.push(host.status.inUse);
    }, 1);
    await bus.command(...launches.map((launch) => ({ launch })));
    const ends = await Promise.all(launches.map(({ attempt }) => bus.end(attempt)));
    clearInterval(watch);
    expect(ends.map(({ phase }) => Phase[phase])).toEqual(Array(40).fill('SUCCEEDED'));
    expect(over).toEqual([]);
    const tooMuch = world.launch('succeed', { name: 'run1-n99-0', cpu: '8' });
    await bus.command({ launch: tooMuch });
    const refused = await bus.end(tooMuch.attempt);
    expect(Phase[refused.phase]).toBe('FAILED');
    expect(refused.reason).toContain('cpu 8, and this backend has 2');
  }, 60_000);
});

function childrenOf(parent: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent ? [stat.slice(0, 60)] : [];
      } catch {
        return [];
      }
    });
}
