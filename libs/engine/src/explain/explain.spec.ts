import { RetryPolicy, WaitReason_Kind as Kind, type WaitReason } from '@aloft/idl/aloft/v1/bus';
import { CacheLookedUp_Result } from '@aloft/idl/aloft/v1/engine';
import {
  NodeExecution_Phase,
  TaskExecution_Phase as Phase,
  WorkflowExecution_Phase,
} from '@aloft/idl/flyteidl/core/execution';
import type { StartChild } from '../api.js';
import { array, BOOL, bool, closure, Driver, eachWay, gate, INT, int, child, sub, task } from '../testing/index.js';

const tasks = { inc: { inputs: { a: INT }, outputs: { o: INT } } };
const retried = { inc: { ...tasks.inc, metadata: { retries: { retries: 1 } } } };
const inc = (id: string, after: string[] = []) => task(id, 'inc', { a: int(1) }, { after });

/** Why events say that a node waits, one after the other; `-` where one says that it no longer does. */
function told(driver: Driver, nodeId: string): string[] {
  return driver.effects.flatMap((effect) => {
    if (effect.kind !== 'event') return [];
    const { event, waiting } = effect.event;
    const wait = event?.$case === 'wait' ? event.value : waiting;
    if (wait?.nodeId === nodeId) return [wait.kind === Kind.NONE ? '-' : `${Kind[wait.kind]}: ${wait.detail}`];
    // A node event without a reason says that there is none.
    return event?.$case === 'node' && event.value.id?.nodeId === nodeId ? ['-'] : [];
  });
}

const waitOf = (driver: Driver, nodeId: string): WaitReason | undefined => driver.run.explain(nodeId)?.wait;

eachWay('U-12: why a node is not running', () => {
  it('DEPENDENCY: names what is upstream, also where it waits itself', () => {
    const driver = new Driver(
      closure({
        tasks,
        nodes: [...'abcdefg'].map((id) => inc(id)).concat([inc('z', [...'abcdefg']), inc('last', ['z'])]),
        outputs: {},
      }),
      { start: { createdAt: { seconds: 990n, nanos: 0 } } },
    );
    driver.succeed('c', { o: int(1) });
    expect(driver.run.explain('z')).toMatchObject({
      nodeId: 'z',
      state: 'Waiting',
      wait: {
        kind: Kind.DEPENDENCY,
        detail: 'waiting for a (Launched), b (Launched), d (Launched), e (Launched), f (Launched) and 1 more',
        upstream: ['a', 'b', 'd', 'e', 'f'],
        moreUpstream: 1,
        since: { seconds: 990n, nanos: 0 },
      },
    });
    expect(waitOf(driver, 'last')).toMatchObject({ upstream: ['z'], detail: 'waiting for z (Waiting)' });
    expect(driver.run.explain('nobody')).toBeUndefined();
    expect(driver.run.overview(2)).toMatchObject({
      inFlight: 6,
      dependent: 3,
      nodes: [{ nodeId: 'a' }, { nodeId: 'b' }],
    });
  });

  it('PARALLELISM: the limit and the place in the line; seen as QUEUED meanwhile', () => {
    const driver = new Driver(closure({ tasks, nodes: [...'abcd'].map((id) => inc(id)), outputs: {} }), {
      settings: { maxParallelism: 1 },
    });
    expect(waitOf(driver, 'd')).toMatchObject({ kind: Kind.PARALLELISM, limit: 1, position: 3, since: driver.now });
    driver.now = { seconds: 1005n, nanos: 0 };
    driver.succeed('a', { o: int(1) });
    expect(waitOf(driver, 'd')).toMatchObject({ position: 2, since: { seconds: 1000n, nanos: 0 } });
    expect(told(driver, 'd')).toEqual(["PARALLELISM: waiting for one of the run's 1 parallel nodes"]);
    expect(driver.phases()).toContain('d:QUEUED');
    driver.succeed('b', { o: int(1) });
    driver.succeed('c', { o: int(1) });
    expect(told(driver, 'd').at(-1)).toBe('-');
    driver.abort();
    expect(driver.phases().filter((phase) => phase.startsWith('d:'))).toEqual(['d:QUEUED', 'd:QUEUED', 'd:ABORTED']);
  });

  it('a parked node that is aborted was seen, so its end is too', () => {
    const driver = new Driver(closure({ tasks, nodes: [inc('a'), inc('b')], outputs: {} }), {
      settings: { maxParallelism: 1 },
    });
    driver.abort();
    expect(driver.phases()).toEqual(expect.arrayContaining(['b:QUEUED', 'b:ABORTED']));
  });

  it('RESERVATION: whose it is, since the first look, and when it looks again', () => {
    const cached = {
      inc: { ...tasks.inc, metadata: { discoverable: true, discoveryVersion: '1', cacheSerializable: true } },
    };
    const driver = new Driver(closure({ tasks: cached, nodes: [inc('n0')], outputs: {} }));
    const answer = (result: CacheLookedUp_Result, holder = '', at = 0n) =>
      driver.answerNext('cache-lookup', {
        $case: 'cache',
        value: {
          result,
          outputs: undefined,
          metadata: undefined,
          holder,
          retryAt: at ? { seconds: at, nanos: 0 } : undefined,
        },
      });
    answer(CacheLookedUp_Result.RESERVED, 'p/d/exec9-n3-0/uid', 1010n);
    expect(waitOf(driver, 'n0')).toMatchObject({
      kind: Kind.RESERVATION,
      holder: 'p/d/exec9-n3-0/uid',
      since: { seconds: 1000n, nanos: 0 },
      until: { seconds: 1010n, nanos: 0 },
    });
    driver.advance(10);
    answer(CacheLookedUp_Result.RESERVED, 'p/d/exec9-n3-0/uid', 1020n);
    expect(waitOf(driver, 'n0')?.since).toMatchObject({ seconds: 1000n, nanos: 0 });
    driver.advance(10);
    answer(CacheLookedUp_Result.MISS);
    const held = 'RESERVATION: waiting for the cache reservation held by p/d/exec9-n3-0/uid';
    // QUEUED, the reason once however often it looked, and that it is over.
    expect(told(driver, 'n0')).toEqual(['-', held, '-']);
  });

  it.each([
    [Phase.WAITING_FOR_RESOURCES, {}, Kind.CAPACITY, 'waiting for room at its backend'],
    [Phase.WAITING_FOR_RESOURCES, { reason: 'gpu 1 asked, 0 free' }, Kind.CAPACITY, 'gpu 1 asked, 0 free'],
    [
      Phase.WAITING_FOR_RESOURCES,
      { waitsFor: Kind.QUOTA, reason: 'quota cpu of p is used up' },
      Kind.QUOTA,
      'quota cpu of p is used up',
    ],
    [Phase.QUEUED, { waitsFor: Kind.LIMIT, reason: '20 of 20 connections' }, Kind.LIMIT, '20 of 20 connections'],
    [
      Phase.WAITING_FOR_RESOURCES,
      { waitsFor: Kind.BACKOFF, reason: 'next try in 2 s' },
      Kind.BACKOFF,
      'next try in 2 s',
    ],
    [Phase.INITIALIZING, { reason: 'pulling image x:1' }, Kind.IMAGE, 'pulling image x:1'],
  ])('what its backend says: phase %i, %o', (phase, said, kind, detail) => {
    const driver = new Driver(closure({ tasks, nodes: [inc('n0')], outputs: {} }));
    driver.report(driver.launchOf('n0'), phase, { ...said, phaseVersion: 1, backend: 'k8s-1' });
    expect(waitOf(driver, 'n0')).toMatchObject({ kind, detail, backend: 'k8s-1', since: { seconds: 1000n, nanos: 0 } });
    driver.now = { seconds: 1007n, nanos: 0 };
    driver.report(driver.launchOf('n0'), phase, { ...said, phaseVersion: 2, backend: 'k8s-1' });
    expect(waitOf(driver, 'n0')?.since).toMatchObject({ seconds: 1000n, nanos: 0 });
    driver.running('n0');
    expect(driver.run.explain('n0')).toEqual({ nodeId: 'n0', state: 'Running', wait: undefined });
    const words = `${Kind[kind]}: ${detail}`;
    // QUEUED, the two reports, RUNNING of the node.
    expect(told(driver, 'n0')).toEqual(['-', words, words, '-']);
  });

  it('the wait of a second attempt ends with its task event: its node is RUNNING already', () => {
    const driver = new Driver(
      closure({
        tasks: { inc: { ...tasks.inc, metadata: { retries: { retries: 1 } } } },
        nodes: [inc('n0')],
        outputs: {},
      }),
    );
    driver.running('n0');
    driver.fail('n0', { retryable: true });
    driver.report(driver.launchOf('n0'), Phase.WAITING_FOR_RESOURCES);
    driver.running('n0');
    expect(told(driver, 'n0').slice(-2)).toEqual(['CAPACITY: waiting for room at its backend', '-']);
  });

  it('BACKOFF: until when the next attempt waits, and that it is over', () => {
    const driver = new Driver(closure({ tasks: retried, nodes: [inc('n0')], outputs: {} }), {
      settings: { retryPolicy: RetryPolicy.fromPartial({ delay: { seconds: 5n, nanos: 0 } }) },
    });
    driver.running('n0');
    driver.fail('n0', { retryable: true });
    expect(driver.run.explain('n0')).toMatchObject({
      state: 'BackingOff',
      wait: { kind: Kind.BACKOFF, since: { seconds: 1000n }, until: { seconds: 1005n } },
    });
    expect(told(driver, 'n0').at(-1)).toMatch(/^BACKOFF: attempt 1 starts 5s after/);
    driver.advance(5);
    expect(told(driver, 'n0').at(-1)).toBe('-');
  });

  it('before its backend said anything, and while it just starts', () => {
    const driver = new Driver(closure({ tasks, nodes: [inc('n0')], outputs: {} }));
    expect(waitOf(driver, 'n0')).toMatchObject({ kind: Kind.CAPACITY });
    driver.report(driver.launchOf('n0'), Phase.INITIALIZING);
    expect(waitOf(driver, 'n0')).toMatchObject({ kind: Kind.NONE, detail: 'its backend is starting it' });
    expect(told(driver, 'n0')).toEqual(['-']);
  });

  it('GATE: which approval or signal, or until when it sleeps', () => {
    const driver = new Driver(
      closure({
        nodes: [
          gate('ask', { $case: 'approve', value: { signalId: 'ok' } }, {}),
          gate('get', { $case: 'signal', value: { signalId: 'rate', type: BOOL, outputVariableName: 'o0' } }, {}),
          gate('nap', { $case: 'sleep', value: { duration: { seconds: 60n, nanos: 0 } } }, {}),
        ],
        outputs: {},
      }),
    );
    expect(waitOf(driver, 'ask')).toMatchObject({
      kind: Kind.GATE,
      signalId: 'ok',
      detail: 'waiting for approval "ok"',
    });
    expect(waitOf(driver, 'get')).toMatchObject({
      kind: Kind.GATE,
      signalId: 'rate',
      detail: 'waiting for signal "rate"',
    });
    expect(waitOf(driver, 'nap')).toMatchObject({ kind: Kind.GATE, until: { seconds: 1060n, nanos: 0 } });
    expect(told(driver, 'ask')).toEqual(['-', 'GATE: waiting for approval "ok"']);
    driver.signal('ok', bool(true));
    expect(told(driver, 'ask').at(-1)).toBe('-');
  });

  it('CHILD: which child execution; and the nodes under one', () => {
    const driver = new Driver(
      closure({
        tasks,
        subs: { inner: { nodes: [inc('i0')], outputs: {} } },
        nodes: [child('lp', 'plan', {}), sub('sub', 'inner', {})],
        outputs: {},
      }),
    );
    const ask = [...driver.requests.values()].find(({ kind }) => kind === 'start-child') as StartChild;
    expect(waitOf(driver, 'lp')).toMatchObject({ kind: Kind.NONE });
    driver.answerNext('start-child', { $case: 'child', value: { child: driver.childId(ask), childUid: 'u' } });
    expect(waitOf(driver, 'lp')).toMatchObject({ kind: Kind.CHILD, child: { name: ask.name } });
    expect(told(driver, 'lp')).toEqual(['-', `CHILD: waiting for child execution ${ask.name}`]);
    expect(waitOf(driver, 'sub')).toMatchObject({ kind: Kind.CHILD, upstream: ['sub-0-i0'] });
    driver.childEnded(ask, WorkflowExecution_Phase.SUCCEEDED);
    expect(told(driver, 'lp').at(-1)).toBe('-');
  });

  it('an array waits when all of its items wait for the same', () => {
    const driver = new Driver(
      closure({ tasks, nodes: [array('n0', task('item', 'inc'), { a: [int(1), int(2)] }, {})], outputs: {} }),
    );
    for (const index of [0, 1]) driver.report(driver.launchOf('n0', index), Phase.WAITING_FOR_RESOURCES);
    expect(waitOf(driver, 'n0')).toMatchObject({ kind: Kind.CAPACITY });
    driver.advance(1);
    expect(told(driver, 'n0').at(-1)).toMatch(/^CAPACITY: waiting for room at its backend: 2 items in flight/);
    driver.running('n0', 0);
    driver.advance(1);
    expect(told(driver, 'n0').at(-1)).toBe('-');
    expect(waitOf(driver, 'n0')).toMatchObject({
      kind: Kind.NONE,
      detail: expect.stringContaining('2 items in flight'),
    });
  });
});

it('logs from before waits were told give the events that they gave', () => {
  const run = (behaviours?: bigint) => {
    const driver = new Driver(
      closure({
        tasks,
        nodes: [inc('a'), inc('b'), gate('g', { $case: 'approve', value: { signalId: 'ok' } }, {})],
        outputs: {},
      }),
      { settings: { maxParallelism: 1 }, behaviours },
    );
    driver.report(driver.launchOf('a'), Phase.WAITING_FOR_RESOURCES);
    driver.abort();
    return driver;
  };
  const old = run(0n);
  expect(old.effects.every((effect) => effect.kind !== 'event' || effect.event.waiting === undefined)).toBe(true);
  const phases = (driver: Driver) =>
    driver.events().nodes.map(({ id, phase }) => `${id?.nodeId}:${NodeExecution_Phase[phase]}`);
  expect(phases(old).filter((phase) => phase.startsWith('b:'))).toEqual([]);
  expect(phases(run()).filter((phase) => phase.startsWith('b:'))).toEqual(['b:QUEUED', 'b:ABORTED']);
});
