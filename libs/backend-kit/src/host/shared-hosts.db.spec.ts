import { inspect } from 'node:util';
import { unavailable } from '@aloft/errors';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { Fleet } from '../testing/fleet.js';
import { attemptKey } from './attempt-key.js';
import { PostgresWorkStore } from './postgres-work-store.js';
import { dice } from '../testing/dice.js';

describe('hosts that share a backend', () => {
  let fleet: Fleet;
  const open = async (options: Parameters<typeof Fleet.open>[0] = {}) => (fleet = await Fleet.open(options));

  afterEach(async () => {
    const { violations } = fleet;
    await fleet.close();
    expect(violations).toEqual([]);
  });

  it('S-22: a killed host’s work begins anew on another, after its lease, and only there', async () => {
    await open();
    const a = await fleet.member('a');
    const launch = fleet.launch('run1-n0-0');
    await fleet.command({ launch });
    await fleet.startOf(launch.attempt);
    await a.kill();
    await fleet.member('b');
    const again = await fleet.startOf(launch.attempt, 2);
    expect(again.host).toBe('b');
    fleet.finish(launch.attempt);
    expect(Phase[(await fleet.end(launch.attempt)).phase]).toBe('SUCCEEDED');
    expect(fleet.events.map(({ what, host }) => `${what} ${host}`)).toEqual(['start a', 'kill a', 'start b', 'end b']);
  });

  it('S-22: restarted within its lease it finds its own work, and nothing begins anew', async () => {
    await open({ leaseMs: 5_000 });
    const a = await fleet.member('a');
    const launch = fleet.launch('run1-n0-0');
    await fleet.command({ launch });
    await fleet.startOf(launch.attempt);
    await a.kill();
    await fleet.member('b');
    await fleet.member('a');
    fleet.finish(launch.attempt);
    await fleet.end(launch.attempt);
    expect(fleet.starts(launch.attempt)).toHaveLength(1);
  });

  it('where work is reached from anywhere, the taker goes on with it', async () => {
    await open({ reach: 'anywhere' });
    const a = await fleet.member('a');
    const launch = fleet.launch('run1-n0-0');
    await fleet.command({ launch });
    await fleet.startOf(launch.attempt);
    await a.kill();
    const b = await fleet.member('b');
    await fleet.until(() => b.host.status.counts.takeOvers > 0 || undefined, 20);
    fleet.finish(launch.attempt);
    await fleet.end(launch.attempt);
    expect(fleet.starts(launch.attempt)).toHaveLength(1);
  });

  it('what some host has yet is known to all, and nothing else', async () => {
    await open();
    await fleet.member('a');
    const launch = fleet.launch('run1-n0-0');
    await fleet.command({ launch });
    await fleet.startOf(launch.attempt);
    const store = new PostgresWorkStore(fleet.test.database, 'test');
    const key = attemptKey(launch.attempt);
    expect(await store.existing([key, 'another'])).toEqual(new Set([key]));
    fleet.finish(launch.attempt);
    await fleet.row((row) => row === undefined);
    expect(await store.existing([key])).toEqual(new Set());
  });

  it('an end that was written but not told is told by the taker; what has ended never begins', async () => {
    await open();
    const a = await fleet.member('a');
    const launch = fleet.launch('run1-n0-0');
    await fleet.command({ launch });
    await fleet.startOf(launch.attempt);
    fleet.hold = true;
    fleet.finish(launch.attempt);
    await fleet.row((row) => (row?.report ?? null) !== null);
    await a.kill();
    fleet.hold = false;
    await fleet.member('b');
    expect(Phase[(await fleet.end(launch.attempt)).phase]).toBe('SUCCEEDED');
    expect(fleet.starts(launch.attempt)).toHaveLength(1);
  });

  it('a host that is cut off from the database ends its work by itself, and comes back', async () => {
    await open();
    const a = await fleet.member('a');
    const launch = fleet.launch('run1-n0-0');
    await fleet.command({ launch });
    await fleet.startOf(launch.attempt);
    await fleet.member('b');
    a.gate.set('cut');
    const again = await fleet.startOf(launch.attempt, 2);
    expect(again.host).toBe('b');
    a.gate.set('open');
    fleet.finish(launch.attempt);
    await fleet.end(launch.attempt);
    await fleet.until(() => a.host.status.state === 'running' || undefined, 20);
  });

  it('an abort that reached another host ends the work at once, by event', async () => {
    await open({ leaseMs: 60_000 });
    const a = await fleet.member('a');
    const launch = fleet.launch('run1-n0-0');
    await fleet.command({ launch });
    await fleet.startOf(launch.attempt);
    await fleet.moveStreams(a);
    await fleet.member('b');
    await fleet.command({ abort: launch.attempt });
    expect(Phase[(await fleet.end(launch.attempt)).phase]).toBe('ABORTED');
    expect(fleet.events.map(({ what, host }) => `${what} ${host}`)).toEqual(['start a', 'kill a']);
  });

  it('the same launch on another host is one job, also after its end', async () => {
    await open({ leaseMs: 60_000 });
    const a = await fleet.member('a');
    const launch = fleet.launch('run1-n0-0');
    await fleet.command({ launch });
    await fleet.startOf(launch.attempt);
    await fleet.moveStreams(a);
    const b = await fleet.member('b');
    await fleet.command({ launch });
    await b.host.caughtUp();
    fleet.finish(launch.attempt);
    await fleet.end(launch.attempt);
    await fleet.row((row) => row === undefined);
    const other = fleet.launch('run1-n1-0', { duration: 1 });
    await fleet.command({ launch }, { launch: other });
    await fleet.end(other.attempt);
    expect(fleet.starts(launch.attempt)).toHaveLength(1);
  });

  describe('a launch whose commit failed here is another host’s', () => {
    /** `b` has read the launch and could not commit it; `a` commits it, and begins. */
    const elsewhere = async (reach: 'host' | 'anywhere') => {
      await open({ reach, leaseMs: 2_000 });
      const store = new PostgresWorkStore(fleet.test.database, 'test');
      const refused = new Promise<void>((resolve) => {
        store.add = async () => {
          resolve();
          throw unavailable('the database is away');
        };
      });
      fleet.hostOptions = { store };
      const b = await fleet.member('b');
      fleet.hostOptions = {};
      const launch = fleet.launch('run1-n0-0');
      await fleet.command({ launch });
      await refused;
      await fleet.moveStreams(b);
      const a = await fleet.member('a');
      await fleet.startOf(launch.attempt);
      return { a, b, launch };
    };

    it('S-22: when that one is lost its work is looked for before anything is begun', async () => {
      const { a, b, launch } = await elsewhere('anywhere');
      await a.kill();
      await fleet.until(() => b.host.status.counts.takeOvers > 0 || undefined, 20);
      await fleet.until(() => b.host.status.inUse.slots === 1 || undefined, 20);
      expect(b.host.status.counts.launches).toBe(0);
      fleet.finish(launch.attempt);
      expect(Phase[(await fleet.end(launch.attempt)).phase]).toBe('SUCCEEDED');
    });

    it('S-22: when that one is lost after its end was written, that end is told', async () => {
      const { a, launch } = await elsewhere('host');
      fleet.hold = true;
      fleet.finish(launch.attempt);
      await fleet.row((row) => (row?.report ?? null) !== null);
      await a.kill();
      fleet.hold = false;
      expect(Phase[(await fleet.end(launch.attempt)).phase]).toBe('SUCCEEDED');
      expect(fleet.starts(launch.attempt)).toHaveLength(1);
    });
  });

  it('a newer generation on another host waits until the older one is dead', async () => {
    await open({ leaseMs: 60_000 });
    const a = await fleet.member('a');
    const first = fleet.launch('run1-n0-0', { generation: 1 });
    const second = fleet.launch('run1-n0-0', { generation: 2 });
    await fleet.command({ launch: first });
    await fleet.startOf(first.attempt);
    await fleet.moveStreams(a);
    await fleet.member('b');
    await fleet.command({ launch: second });
    await fleet.startOf(second.attempt, 2);
    fleet.finish(second.attempt);
    await fleet.end(second.attempt);
    expect(fleet.events.map(({ what, host }) => `${what} ${host}`)).toEqual(['start a', 'kill a', 'start b', 'end b']);
    expect(await fleet.rows('superseded')).toEqual([]);
    expect(fleet.endOf(first.attempt)).toBeUndefined();
  });

  it('a newer generation waits for a dead host’s lease, too', async () => {
    // Longer than a busy machine keeps a host from renewing it.
    await open({ leaseMs: 3_000 });
    const a = await fleet.member('a');
    const first = fleet.launch('run1-n0-0', { generation: 1 });
    const second = fleet.launch('run1-n0-0', { generation: 2, duration: 1 });
    await fleet.command({ launch: first });
    await fleet.startOf(first.attempt);
    await a.kill();
    await fleet.member('b');
    await fleet.command({ launch: second });
    await fleet.end(second.attempt);
    expect(fleet.events.map(({ what, host }) => `${what} ${host}`)).toEqual(['start a', 'kill a', 'start b', 'end b']);
  });

  it('S-8: what waits moves to a host with room, the oldest first; nothing is lost', async () => {
    await open({ leaseMs: 60_000 });
    await fleet.member('a', 1);
    const launches = Array.from({ length: 12 }, (_, i) => fleet.launch(`run1-n${i}-0`));
    await fleet.command(...launches.map((launch) => ({ launch })));
    await fleet.until(() => fleet.events.length === 1 || undefined);
    await fleet.member('b', 3);
    await fleet.until(() => fleet.events.filter(({ what }) => what === 'start').length === 4 || undefined);
    expect(fleet.events.map(({ host }) => host)).toEqual(['a', 'b', 'b', 'b']);
    for (let count = 5; count <= launches.length; count++) {
      const running = launches.find(({ attempt }) => fleet.isLive(attempt));
      if (running) fleet.finish(running.attempt);
      await fleet.until(() => fleet.events.filter(({ what }) => what === 'start').length >= count || undefined);
    }
    for (const { attempt } of launches) fleet.finish(attempt);
    await Promise.all(launches.map((launch) => fleet.end(launch.attempt)));
    for (const launch of launches) expect(fleet.starts(launch.attempt)).toHaveLength(1);
  });

  it('a clean stop hands over at once: what waits, what does not end in time, ends not told', async () => {
    await open({ leaseMs: 60_000 });
    const a = await fleet.member('a', 2);
    const short = fleet.launch('run1-n0-0', { duration: 50 });
    const long = fleet.launch('run1-n1-0');
    const waiting = fleet.launch('run1-n2-0', { duration: 1 });
    await fleet.command({ launch: short }, { launch: long }, { launch: waiting });
    await fleet.startOf(long.attempt);
    await fleet.member('b', 2);
    await a.stop(200);
    await fleet.startOf(long.attempt, 2);
    fleet.finish(long.attempt);
    for (const launch of [short, long, waiting])
      expect(Phase[(await fleet.end(launch.attempt)).phase]).toBe('SUCCEEDED');
    expect(fleet.starts(short.attempt).map(({ host }) => host)).toEqual(['a']);
    expect(fleet.starts(long.attempt).map(({ host }) => host)).toEqual(['a', 'b']);
    expect(fleet.starts(waiting.attempt)).toHaveLength(1);
    expect((await fleet.rows('host')).length).toBe(1);
  });
});

it.each(['host', 'anywhere'] as const)(
  'S-22: three hosts, kills, cuts, stops, aborts, repeated launches at random (reach: %s): every end is reported, one job an attempt',
  async (reach) => {
    const seed = Number(process.env['ALOFT_SEED'] ?? Date.now() % 100_000);
    const next = dice(seed);
    const below = (n: number) => Math.floor(next() * n);
    const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
    const leaseMs = 600;
    const fleet = await Fleet.open({ reach, leaseMs });
    fleet.breath = () => pause(below(3));
    const names = ['a', 'b', 'c'];
    const up = new Map(await Promise.all(names.map(async (name) => [name, await fleet.member(name)] as const)));
    const launches = Array.from({ length: 90 }, (_, i) =>
      fleet.launch(`run${i % 5}-n${i}-0`, { duration: 5 + below(i % 10 === 0 ? 600 : 120) }),
    );
    const did: string[] = [];
    let sent = 0;
    const back: Promise<void>[] = [];
    const returns = async (name: string) => {
      await pause(below(3 * leaseMs));
      up.set(name, await fleet.member(name));
    };
    for (let step = 0; step < 24; step++) {
      const more = launches.slice(sent, sent + 1 + below(6));
      sent += more.length;
      await fleet.command(...more.map((launch) => ({ launch })));
      const name = names[below(3)] as string;
      const member = up.get(name);
      const kind = ['kill', 'cut', 'stop', 'abort', 'again', 'streams', 'rest'][below(7)] as string;
      did.push(`${kind} ${name}`);
      if (kind === 'kill' && member) {
        up.delete(name);
        await member.kill();
        back.push(returns(name));
      } else if (kind === 'cut' && member) {
        member.gate.set('cut');
        back.push(
          pause(below(2 * leaseMs)).then(() => {
            if (member.state === 'up') member.gate.set('open');
          }),
        );
      } else if (kind === 'stop' && member) {
        up.delete(name);
        back.push(member.stop(below(100)).then(() => returns(name)));
      } else if (kind === 'abort' && sent > 0)
        await fleet.command({ abort: (launches[below(sent)] as (typeof launches)[0]).attempt });
      else if (kind === 'again' && sent > 0)
        await fleet.command({ launch: launches[below(sent)] as (typeof launches)[0] });
      await pause(below(120));
    }
    await fleet.command(...launches.slice(sent).map((launch) => ({ launch })));
    await Promise.all(back);
    const over = async () => {
      await Promise.all(launches.map(({ attempt }) => fleet.end(attempt)));
      await fleet.until(async () => ((await fleet.rows('work')).length === 0 ? true : undefined), 20);
      return true;
    };
    if (!(await Promise.race([over(), pause(40_000)]))) {
      const state = inspect({ did, ...(await fleet.describe()) }, { depth: 6, maxArrayLength: 200, breakLength: 200 });
      // Else its timers outlive this file, and what they do then fails the next one.
      await fleet.close();
      throw new Error(`seed ${seed}: not over: ${state}`);
    }
    const faults = did.filter((what) => !/rest|again|abort/.test(what)).length;
    const { violations } = fleet;
    const most = Math.max(...launches.map(({ attempt }) => fleet.starts(attempt).length));
    await fleet.close();
    expect({ seed, did, violations }).toEqual({ seed, did, violations: [] });
    expect(most).toBeLessThanOrEqual(1 + faults);
  },
  120_000,
);
