import { ExecutionError_ErrorKind as Kind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { dice } from '@aloft/backend-kit/testing';
import { type TaskReport, WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import { Route } from '@aloft/idl/aloft/v1/routing';
import type { Fate } from './testing/faulty-proxy.js';
import { eachInFakeWorld } from './testing/each-in-fake-world.js';
import type { FakeWorld } from './testing/fake-world.js';
import type { Kube } from './testing/kube.js';

// Real: etcd, API server, scheduler. Nodes pretend (kwok): what befalls pods, and requests on their way (a proxy), is up to each case.
let kube: Kube;
let world: FakeWorld;

eachInFakeWorld({ kwok: 3 }, (...given) => ([kube, world] = given));

const errorOf = ({ outcome, phase, reason }: TaskReport) => {
  if (outcome?.result?.$case !== 'error') throw new Error(`no error in ${Phase[phase]}: ${reason}`);
  const { code, kind, message } = outcome.result.value;
  return { code, kind: Kind[kind], message, phase: Phase[phase] };
};

const seed = Number(process.env['ALOFT_TEST_SEED'] ?? Date.now() % 100_000);

describe('what befalls pods (C-172)', () => {
  const end = async (annotations: Record<string, string>, config = {}) => {
    const launch = world.launch('run1-n0-0', annotations);
    await world.start(config);
    await world.bus.command({ launch });
    return world.bus.end(launch.attempt);
  };

  it('one that succeeds is removed when its end was acknowledged', async () => {
    expect(Phase[(await end({})).phase]).toBe('SUCCEEDED');
    await world.until(async () => (await world.pods()).length === 0);
  });

  it('out of memory: the user; removed only on success, if the configuration says so', async () => {
    const report = await end({ behaviour: 'oom' }, { remove: 'on-success' });
    expect(errorOf(report)).toMatchObject({ code: 'OOMKilled', kind: 'USER', phase: 'RETRYABLE_FAILED' });
    while (world.store.work.size > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await world.pods()).toHaveLength(1);
  });

  it('evicted: the system, retryable', async () => {
    expect(errorOf(await end({ behaviour: 'evicted' }))).toMatchObject({
      code: 'Evicted',
      kind: 'SYSTEM',
      phase: 'RETRYABLE_FAILED',
    });
  });

  it('an image that cannot be pulled: it waits for the image, then the pod goes and the attempt fails', async () => {
    const report = await end({ waiting: 'ImagePullBackOff' }, { pods: { patience: { imageMs: 1_500 } } });
    expect(errorOf(report)).toMatchObject({ code: 'ImagePullBackOff', kind: 'USER', phase: 'RETRYABLE_FAILED' });
    expect(world.bus.reports.map(({ waitsFor }) => waitsFor)).toContain(WaitReason_Kind.IMAGE);
    expect(await world.pods()).toEqual([]);
  });

  it('a configuration that is not there: for good, at once', async () => {
    expect(errorOf(await end({ waiting: 'CreateContainerConfigError' }))).toMatchObject({
      kind: 'USER',
      phase: 'FAILED',
    });
  });

  it('deleted by somebody while it ran: the system, retryable', async () => {
    const launch = world.launch('run1-n0-0', { 'run-for': '60s' });
    await world.start();
    await world.bus.command({ launch });
    await world.bus.report(launch.attempt, ({ phase }) => phase === Phase.RUNNING);
    await kube.call('DELETE', `/api/v1/namespaces/${world.namespace}/pods/run1-n0-0`);
    expect(errorOf(await world.bus.end(launch.attempt))).toMatchObject({
      code: 'Interrupted',
      kind: 'SYSTEM',
      phase: 'RETRYABLE_FAILED',
    });
  });

  it('of many that a dead host left, only those that have a pod, or had one, are asked for first; the others wait their turn', async () => {
    const rows: number[] = [];
    const ask = world.store.rows.bind(world.store);
    world.store.rows = async (host, keys) => {
      rows.push(keys.length);
      return ask(host, keys);
    };
    const launches = Array.from({ length: 300 }, (_, i) => world.launch(`run1-n${i}-0`, { 'run-for': '600s' }));
    await world.start({ slots: 5 });
    await world.bus.command(...launches.map((launch) => ({ launch })));
    await world.until(async () => (await world.pods()).length === 5);
    while ([...world.store.work.values()].filter(({ remembered }) => remembered).length < 5)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await world.kill();
    const [gone] = await world.pods();
    await kube.call(
      'DELETE',
      `/api/v1/namespaces/${world.namespace}/pods/${gone?.metadata?.name}?gracePeriodSeconds=0`,
    );
    rows.length = 0;
    await world.start({ slots: 5 });
    expect(rows.slice(0, 2)).toEqual([5, 250]);
    const lost = launches.find(({ attempt }) => attempt.name === gone?.metadata?.name)!;
    expect(errorOf(await world.bus.end(lost.attempt))).toMatchObject({ code: 'Interrupted', kind: 'SYSTEM' });
    await world.until(async () => (await world.pods()).length === 5);
  });

  it('deleted by somebody while no host runs: the system, retryable, and not begun anew', async () => {
    const launch = world.launch('run1-n0-0', { 'run-for': '60s' });
    await world.start();
    await world.bus.command({ launch });
    await world.until(async () => [...world.store.work.values()].some(({ remembered }) => remembered));
    await world.kill();
    await kube.call('DELETE', `/api/v1/namespaces/${world.namespace}/pods/run1-n0-0`);
    await world.until(async () => (await world.pods()).length === 0);
    await world.start();
    expect(errorOf(await world.bus.end(launch.attempt))).toMatchObject({
      code: 'Interrupted',
      kind: 'SYSTEM',
      phase: 'RETRYABLE_FAILED',
    });
    expect(world.proxy.count('POST', '/pods')).toBe(1);
  });

  it('a host that dies after it ended a pod, and before it told why: the next one knows', async () => {
    const launch = world.launch('run1-n0-0', { waiting: 'ImagePullBackOff' });
    const config = { pods: { patience: { imageMs: 1_500 } } };
    let killed: Promise<void> | undefined;
    world.proxy.fate = (method) => {
      if (method !== 'DELETE' || killed) return 'pass';
      killed = world.kill();
      return 'lose';
    };
    await world.start(config);
    await world.bus.command({ launch });
    await world.until(async () => killed && (await world.pods()).length === 0);
    await killed;
    await world.start(config);
    expect(errorOf(await world.bus.end(launch.attempt))).toMatchObject({ code: 'ImagePullBackOff', kind: 'USER' });
    expect(world.proxy.count('POST', '/pods')).toBe(1);
  });

  it('a host that dies before it could write down an abort: the pod is not told to have been lost', async () => {
    const launch = world.launch('run1-n0-0', { 'run-for': '600s' });
    await world.start();
    await world.bus.command({ launch });
    await world.until(async () => [...world.store.work.values()].some(({ remembered }) => remembered));
    let killed: Promise<void> | undefined;
    world.proxy.fate = (method) => {
      if (method !== 'DELETE' || killed) return 'pass';
      killed = world.kill();
      return 'lose';
    };
    world.bus.beforeCommit = async () => {
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      throw new Error('the database is away');
    };
    const aborted = world.bus.command({ abort: launch.attempt });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await (killed ?? world.kill());
    world.proxy.fate = () => 'pass';
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    world.bus.beforeCommit = () => undefined;
    // Commands come late: what the next one finds is looked at first.
    const { bus } = world;
    const consume: typeof bus.consume = (options) => {
      setTimeout(() => bus.consume(options), 2_000);
      const nothing = async () => undefined;
      return { caughtUp: nothing, status: () => [], release: nothing, close: async () => bus.detach() };
    };
    await world.start({}, { bus: { deliver: (messages) => bus.deliver(messages), consume } });
    await aborted;
    const end = await world.bus.end(launch.attempt);
    expect(`${Phase[end.phase]} ${end.reason}`).toMatch(/^ABORTED/);
    await world.until(async () => (await world.pods()).length === 0);
  });

  it('no node has what it needs: it waits for capacity and says of what', async () => {
    const launch = world.launch('run1-n0-0');
    await world.start({ pods: { nodeSelector: { type: 'nowhere' } } });
    await world.bus.command({ launch });
    const report = await world.bus.report(launch.attempt, ({ waitsFor }) => waitsFor === WaitReason_Kind.CAPACITY);
    expect(report.reason).toContain('node affinity');
    await world.bus.command({ abort: launch.attempt });
    await world.bus.end(launch.attempt);
    expect(await world.pods()).toEqual([]);
  });
});

describe('what a cluster refuses', () => {
  it('a full quota is waited for, and said; room in it is taken at once', async () => {
    await kube.call('POST', '/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: world.namespace },
    });
    const quotas = `/api/v1/namespaces/${world.namespace}/resourcequotas`;
    const hard = { pods: '1' };
    const quota = { apiVersion: 'v1', kind: 'ResourceQuota', metadata: { name: 'q' }, spec: { hard } };
    await kube.call('POST', quotas, quota);
    // Nobody keeps the account here but us.
    const account = (used: string) =>
      kube.call(
        'PATCH',
        `${quotas}/q/status`,
        { status: { hard, used: { pods: used } } },
        'application/merge-patch+json',
      );
    await account('1');
    await world.start();
    const launch = world.launch('run1-n0-0');
    await world.bus.command({ launch });
    const waiting = await world.bus.report(launch.attempt, ({ waitsFor }) => waitsFor === WaitReason_Kind.QUOTA);
    expect(Phase[waiting.phase]).toBe('WAITING_FOR_RESOURCES');
    expect(waiting.reason).toContain('exceeded quota');
    await account('0');
    expect(Phase[(await world.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
  });

  it.each([false, true])('more than a quota is altogether: refused, or waited for (%s)', async (waits) => {
    await world.start();
    await kube.call('POST', '/api/v1/namespaces', { metadata: { name: world.namespace } });
    const quotas = `/api/v1/namespaces/${world.namespace}/resourcequotas`;
    const allow = async (cpu: string) => {
      const hard = { 'requests.cpu': cpu };
      await kube.call('POST', quotas, { metadata: { name: 'small' }, spec: { hard } });
      const account = { spec: { hard }, status: { hard, used: { 'requests.cpu': '0' } } };
      for (const path of ['', '/status'])
        await kube.call('PATCH', `${quotas}/small${path}`, account, 'application/merge-patch+json');
    };
    await allow('2');
    const launch = world.launch('run1-n0-0', {}, { cpu: '8' });
    launch.route = Route.fromPartial({ waits });
    await world.bus.command({ launch });
    if (waits) {
      const { reason } = await world.bus.report(launch.attempt, (report) => report.reason !== '');
      expect(reason).toMatch(
        /^Waiting for a place: .*requested: requests\.cpu=8, used: requests\.cpu=0, limited: requests\.cpu=2/,
      );
      await allow('8');
      expect(Phase[(await world.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
    } else
      expect(errorOf(await world.bus.end(launch.attempt))).toMatchObject({
        code: 'ResourcesExceedCapacity',
        kind: 'USER',
      });
  });

  it('an abort ends the wait for a quota', async () => {
    world.proxy.fate = (method, path) => (method === 'POST' && path.endsWith('/pods') ? 'throttle' : 'pass');
    await world.start();
    const launch = world.launch('run1-n0-0');
    await world.bus.command({ launch });
    await world.bus.report(launch.attempt, ({ reason }) => reason.includes('429'));
    await world.bus.command({ abort: launch.attempt });
    expect(Phase[(await world.bus.end(launch.attempt)).phase]).toBe('ABORTED');
    expect(await world.pods()).toEqual([]);
  });

  it.each([
    ['a priority class that is not there', { pods: { priorityClasses: { default: 'nowhere' } } }, 'NoPlace', 'nowhere'],
    [
      'a pod template that is not there',
      { pods: { podTemplate: 'nowhere' } },
      'LaunchFailed',
      'no PodTemplate "nowhere"',
    ],
    ['a namespace that nobody makes', { createNamespaces: false }, 'NoPlace', 'createNamespaces'],
    ['a pod that it does not take', { pods: { serviceAccount: 'Not A Name' } }, 'LaunchFailed', 'Invalid'],
  ])('%s: the attempt ends with what is wrong', async (_, config, code, text) => {
    await world.start(config);
    const launch = world.launch('run1-n0-0');
    await world.bus.command({ launch });
    const error = errorOf(await world.bus.end(launch.attempt));
    expect(error).toMatchObject({ code, phase: 'FAILED' });
    expect(error.message).toContain(text);
  });

  it('a pod of that name which is somebody else’s is left alone', async () => {
    await world.start();
    const first = world.launch('run1-n9-0');
    await world.bus.command({ launch: first });
    await world.bus.end(first.attempt);
    const spec = { containers: [{ name: 'c', image: 'i' }] };
    await kube.call('POST', `/api/v1/namespaces/${world.namespace}/pods`, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'run1-n0-0' },
      spec,
    });
    const launch = world.launch('run1-n0-0');
    await world.bus.command({ launch });
    expect(errorOf(await world.bus.end(launch.attempt)).message).toContain('not this attempt');
  });
});

describe('a connection that fails', () => {
  it('a watch that is cut goes on where it was; what is forgotten is listed again', async () => {
    await world.start();
    const lists = () =>
      world.proxy.requests.filter(
        ({ method, path }) => method === 'GET' && path.startsWith('/api/v1/pods?') && !path.includes('watch='),
      ).length;
    expect(lists()).toBe(1);
    for (let round = 0; round < 4; round++) {
      await world.until(async () => world.proxy.cutWatches() > 0);
      const launch = world.launch(`run1-n${round}-0`);
      await world.bus.command({ launch });
      expect(Phase[(await world.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
    }
    expect(lists()).toBe(1);
    let refused = 0;
    world.proxy.fate = (_, path) => (path.includes('watch=') && refused++ === 0 ? 'expired' : 'pass');
    await world.until(async () => world.proxy.cutWatches() > 0);
    await world.until(async () => lists() === 2);
    const launch = world.launch('run1-n9-0');
    await world.bus.command({ launch });
    await world.bus.end(launch.attempt);
  });

  it('storms of 429, 5xx, lost answers and cuts: each attempt is one pod, all end', async () => {
    console.log(`seed ${seed}`);
    const random = dice(seed);
    const fates: Fate[] = ['pass', 'pass', 'throttle', 'fail', 'lose', 'cut'];
    await world.start({ remove: 'never' });
    world.proxy.fate = () => fates[Math.floor(random() * fates.length)] ?? 'pass';
    const launches = Array.from({ length: 40 }, (_, i) => world.launch(`run1-n${i}-0`));
    await world.bus.command(...launches.map((launch) => ({ launch })));
    const ends = await Promise.all(launches.map((launch) => world.bus.end(launch.attempt)));
    expect(new Set(ends.map(({ phase }) => Phase[phase]))).toEqual(new Set(['SUCCEEDED']));
    expect((await world.pods()).map(({ metadata }) => metadata?.name).sort()).toEqual(
      launches.map(({ attempt }) => attempt.name).sort(),
    );
    const created = world.proxy.requests.filter(
      ({ method, path, fate }) => method === 'POST' && path.endsWith('/pods') && (fate === 'pass' || fate === 'lose'),
    );
    expect(created.length).toBeGreaterThanOrEqual(launches.length);
  });

  it('an API server that is killed and comes back: what was under way ends', async () => {
    await world.start();
    const launches = Array.from({ length: 10 }, (_, i) => world.launch(`run1-n${i}-0`, { 'run-for': '3s' }));
    await world.bus.command(...launches.map((launch) => ({ launch })));
    await Promise.all(launches.map(({ attempt }) => world.bus.report(attempt, ({ phase }) => phase === Phase.RUNNING)));
    await kube.restartApi();
    const late = world.launch('run1-n99-0');
    await world.bus.command({ launch: late });
    const ends = await Promise.all([...launches, late].map((launch) => world.bus.end(launch.attempt)));
    expect(new Set(ends.map(({ phase }) => Phase[phase]))).toEqual(new Set(['SUCCEEDED']));
  });
});

describe('a host that dies', () => {
  it('at any step of its launches: each attempt is one pod and ends once', async () => {
    console.log(`seed ${seed}`);
    const random = dice(seed);
    const rounds = Number(process.env['ALOFT_TEST_ROUNDS'] ?? 8);
    for (let round = 0; round < rounds; round++) {
      const launches = Array.from({ length: 6 }, (_, i) => world.launch(`run1-r${round}n${i}-0`, {}));
      // The n-th request from now on is the last that this process makes; it may be answered, or not.
      let left = 1 + Math.floor(random() * 20);
      const lost = random() < 0.5;
      let dying!: () => void;
      const dead = new Promise<void>((resolve) => (dying = resolve));
      await world.start({ remove: 'never' });
      world.proxy.fate = () => {
        if (--left > 0) return 'pass';
        if (left === 0) dying();
        return left === 0 && lost ? 'lose' : left === 0 ? 'pass' : 'cut';
      };
      const taken = world.bus.command(...launches.map((launch) => ({ launch })));
      await Promise.race([dead, new Promise((resolve) => setTimeout(resolve, 3_000))]);
      await world.kill();
      world.proxy.fate = () => 'pass';
      await world.start({ remove: 'never' });
      await taken;
      const ends = await Promise.all(launches.map((launch) => world.bus.end(launch.attempt)));
      expect(
        ends.map(({ phase, reason }) => `${Phase[phase]} ${reason}`).filter((text) => !text.startsWith('SUCCEEDED')),
      ).toEqual([]);
      await world.host?.stop();
      await world.kill();
      const names = (await world.pods())
        .map(({ metadata }) => metadata?.name)
        .filter((name) => name?.startsWith(`run1-r${round}n`));
      expect(names.sort()).toEqual(launches.map(({ attempt }) => attempt.name).sort());
    }
  });

  it('what nobody knows any more is deleted, after a second look; what is kept on purpose is not', async () => {
    await world.start({ remove: 'never' });
    const kept = world.launch('run1-n0-0');
    await world.bus.command({ launch: kept });
    await world.bus.end(kept.attempt);
    const running = world.launch('run1-n1-0', { 'run-for': '600s' });
    const known = world.launch('run1-n2-0', { 'run-for': '600s' });
    await world.bus.command({ launch: running }, { launch: known });
    for (const { attempt } of [running, known]) await world.bus.report(attempt, ({ phase }) => phase === Phase.RUNNING);
    await world.kill();
    // Its row is lost, as after an abort that came while nobody was there.
    for (const [key, row] of world.store.work)
      if (row.command.key === running.attempt.name || key.endsWith(running.attempt.name)) world.store.work.delete(key);
    await world.start({ remove: 'never', orphans: { everyMs: 200, afterMs: 100 } });
    const left = await world.until(async () => {
      const names = (await world.pods()).map(({ metadata }) => metadata?.name);
      return !names.includes(running.attempt.name) && names;
    });
    expect(left.sort()).toEqual([kept.attempt.name, known.attempt.name]);
  });
});
