import { WaitReason_Kind as Kind } from '@aloft/idl/aloft/v1/bus';
import {
  ExecutionError_ErrorKind as ErrorKind,
  TaskExecution_Phase as Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { Routing } from '@aloft/idl/aloft/v1/routing';
import { currentBehaviours } from '../behaviours.js';
import {
  routing,
  tasks,
  t,
  chain,
  start,
  submitted,
  done,
  never,
  launches,
  stopped,
  phasesOf,
  waitOf,
} from '../testing/ahead-chains.js';
import { array, branch, compare, eachWay, gate, int, listOf, sub, task } from '../testing/index.js';

const P = Phase;

eachWay('launches ahead (S-5)', () => {
  it('a chain is at its backend as soon as its jobs have names; each counts when the one before has succeeded', () => {
    const driver = start(chain);
    expect(launches(driver)).toEqual(['a-0']);
    submitted(driver, 'a');
    submitted(driver, 'b');
    submitted(driver, 'c');
    expect(launches(driver)).toEqual(['a-0', 'b-0 job-exec-a-0', 'c-0 job-exec-b-0']);
    driver.running('a');
    expect(phasesOf(driver, 'b')).toEqual(['QUEUED']);
    done(driver, 'a');
    driver.running('b');
    expect(phasesOf(driver, 'b')).toEqual(['QUEUED', 'RUNNING']);
    done(driver, 'b');
    done(driver, 'c');
    expect(driver.phase()).toBe('SUCCEEDED');
    expect(launches(driver)).toHaveLength(3);
    expect(driver.replay()).toHaveLength(driver.effects.length);
  });

  it('what is said of an attempt too early is held, the last of it, and told once it counts, as of then', () => {
    const driver = start(chain);
    submitted(driver, 'a');
    submitted(driver, 'b');
    driver.running('b');
    done(driver, 'b');
    expect(phasesOf(driver, 'b')).toEqual(['QUEUED']);
    expect(phasesOf(driver, 'c')).toEqual(['QUEUED']);
    driver.now = { seconds: 1010n, nanos: 0 };
    done(driver, 'a');
    expect(phasesOf(driver, 'b')).toEqual(['QUEUED', 'SUCCEEDED']);
    const end = driver
      .events()
      .tasks.filter(({ parentNodeExecutionId: id }) => id?.nodeId === 'b')
      .at(-1);
    expect(end).toMatchObject({ phase: P.SUCCEEDED, occurredAt: { seconds: 1010n } });
    done(driver, 'c');
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('U-12: it shows as QUEUED and says what it waits for, then that it is with its backend', () => {
    const driver = start(chain);
    submitted(driver, 'a');
    expect(waitOf(driver, 'b')).toMatchObject({
      state: 'Ahead',
      wait: { kind: Kind.DEPENDENCY, upstream: ['a'], detail: 'waiting for a (Launched), already at its backend' },
    });
    const told = driver.effects.flatMap((effect) =>
      effect.kind === 'event' && effect.event.waiting?.nodeId === 'b' ? [Kind[effect.event.waiting.kind]] : [],
    );
    expect(told).toEqual(['DEPENDENCY', 'DEPENDENCY']);
    done(driver, 'a');
    expect(waitOf(driver, 'b')).toMatchObject({ state: 'Launched', wait: { kind: Kind.CAPACITY } });
  });

  it('C-30, C-33: when the first fails and is tried again, what was ahead of it ends, costs nothing, and goes ahead again', () => {
    const driver = start(chain, { aborts: 'late' });
    for (const id of ['a', 'b', 'c']) submitted(driver, id);
    driver.fail('a', { retryable: true });
    expect(stopped(driver)).toEqual(['b-0', 'c-0']);
    submitted(driver, 'a');
    // Its own attempt has not ended yet.
    expect(launches(driver).at(-1)).toBe('a-1');
    driver.hear(0);
    expect(launches(driver).at(-1)).toBe('b-1 job-exec-a-1');
    submitted(driver, 'b');
    driver.hear(0);
    expect(launches(driver).at(-1)).toBe('c-1 job-exec-b-1');
    for (const id of ['a', 'b', 'c']) done(driver, id);
    expect(driver.phase()).toBe('SUCCEEDED');
    for (const id of ['a', 'b', 'c'])
      expect(phasesOf(driver, id).filter((phase) => phase === 'SUCCEEDED')).toHaveLength(1);
    const ended = driver
      .events()
      .tasks.map((event) => `${event.parentNodeExecutionId?.nodeId}${event.retryAttempt}:${P[event.phase]}`);
    expect(ended.filter((told) => told.endsWith('ABORTED'))).toEqual(['b0:ABORTED', 'c0:ABORTED']);
  });

  it('C-30: attempts that were taken back leave the budget of retries as it was', () => {
    const driver = start(
      [t('a'), t('b', ['a'], 'once')],
      {},
      { tasks: { ...tasks, once: { metadata: { retries: { retries: 1 } } } } },
    );
    for (let i = 0; i < 3; i++) {
      submitted(driver, 'a');
      driver.fail('a', { retryable: true });
    }
    done(driver, 'a');
    expect(driver.launchOf('b').attempt.retryAttempt).toBe(3);
    driver.fail('b', { retryable: true });
    driver.fail('b', { retryable: true });
    expect(phasesOf(driver, 'b').at(-1)).toBe('FAILED');
  });

  it('its backend may say first that it never began: nobody is told to end it', () => {
    const driver = start(chain);
    for (const id of ['a', 'b', 'c']) submitted(driver, id);
    never(driver, 'c');
    never(driver, 'b');
    expect(phasesOf(driver, 'b')).toEqual(['QUEUED']);
    driver.fail('a', { retryable: true });
    expect(stopped(driver)).toEqual([]);
    for (const id of ['a', 'b', 'c']) done(driver, id);
    expect(driver.phase()).toBe('SUCCEEDED');
    expect(launches(driver).slice(3)).toEqual(['a-1', 'b-1', 'c-1']);
  });

  it('C-108: a job that succeeded is no success without its outputs: what began after it is ended, and begun again', () => {
    const driver = start(chain);
    for (const id of ['a', 'b']) submitted(driver, id);
    const b = driver.launchOf('b');
    driver.running('b');
    driver.succeed('a', {});
    expect(stopped(driver)).toEqual(['b-0', 'c-0']);
    expect(driver.report(b, P.SUCCEEDED)).toBe(false);
    for (const id of ['a', 'b', 'c']) done(driver, id);
    expect(phasesOf(driver, 'b')).toEqual(['QUEUED', 'SUCCEEDED']);
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('C-60: the first fails for good: what was ahead of it is aborted, when its backend has said so', () => {
    const driver = start(chain, { aborts: 'late' });
    for (const id of ['a', 'b']) submitted(driver, id);
    driver.fail('a');
    expect(driver.phase()).toBe('RUNNING');
    expect(stopped(driver).sort()).toEqual(['b-0', 'c-0']);
    driver.hear(0);
    driver.hear(0);
    expect(driver.phase()).toBe('FAILED');
    expect([phasesOf(driver, 'b'), phasesOf(driver, 'c')]).toEqual([
      ['QUEUED', 'ABORTED'],
      ['QUEUED', 'ABORTED'],
    ]);
  });

  it('C-22, C-61: … or skipped, where others may go on', () => {
    for (const aborts of ['answered', 'late', 'unheard'] as const) {
      const driver = start([...chain, t('x')], { aborts }, { failAfter: true });
      for (const id of ['a', 'b']) submitted(driver, id);
      driver.fail('a');
      while (driver.stopped.length > 0) driver.hear(0);
      driver.advance(40);
      done(driver, 'x');
      expect([phasesOf(driver, 'b').at(-1), phasesOf(driver, 'c').at(-1)]).toEqual(['SKIPPED', 'SKIPPED']);
      expect(driver.phase()).toBe('FAILED');
      expect(driver.timers.size).toBe(0);
    }
  });

  it('C-60: a run that is aborted waits for what is ahead, too', () => {
    const driver = start(chain, { aborts: 'late' });
    for (const id of ['a', 'b']) submitted(driver, id);
    driver.abort();
    expect(stopped(driver)).toEqual(['a-0', 'b-0', 'c-0']);
    while (driver.stopped.length > 0) driver.hear(0);
    expect(driver.phase()).toBe('ABORTED');
  });

  it('one whose end is held is not waited for when it is to end', () => {
    const driver = start(chain, { aborts: 'late' });
    submitted(driver, 'a');
    done(driver, 'b');
    driver.abort();
    expect(stopped(driver)).toEqual(['a-0']);
    driver.hear(0);
    expect(driver.phase()).toBe('ABORTED');
  });

  it('its own failure counts only when it might have run', () => {
    const driver = start(chain);
    submitted(driver, 'a');
    driver.fail('b', { kind: ErrorKind.USER, code: 'LaunchRefused' });
    expect(phasesOf(driver, 'b')).toEqual(['QUEUED']);
    done(driver, 'a');
    expect(phasesOf(driver, 'b')).toEqual(['QUEUED', 'FAILED']);
  });

  it('waits for several, each with a job; for none that has none', () => {
    const driver = start([
      t('a'),
      t('b'),
      gate('g', { $case: 'sleep', value: { duration: { seconds: 5n, nanos: 0 } } }),
      t('c', ['a', 'b', 'g']),
    ]);
    submitted(driver, 'a');
    submitted(driver, 'b');
    expect(launches(driver)).toEqual(['a-0', 'b-0']);
    driver.advance(6);
    expect(launches(driver).at(-1)).toBe('c-0 job-exec-a-0 job-exec-b-0');
    done(driver, 'a');
    expect(phasesOf(driver, 'c')).toEqual(['QUEUED']);
    done(driver, 'b');
    done(driver, 'c');
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('one of several fails: the other goes on, and what waits goes ahead again with both', () => {
    const driver = start([t('a'), t('b'), t('c', ['a', 'b'])]);
    submitted(driver, 'a');
    submitted(driver, 'b');
    driver.fail('b', { retryable: true });
    submitted(driver, 'b');
    expect(launches(driver).at(-1)).toBe('c-1 job-exec-a-0 job-exec-b-1');
    done(driver, 'b');
    expect(phasesOf(driver, 'c')).toEqual(['QUEUED']);
    done(driver, 'a');
    done(driver, 'c');
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('inputs that are there go with it; one that reads what it waits for is not launched ahead', () => {
    const nodes = [
      t('x'),
      t('a'),
      task('b', 'reads', { a: 'x.o' }, { after: ['a'] }),
      task('c', 'reads', { a: 'a.o' }),
    ];
    const driver = start(nodes);
    submitted(driver, 'a');
    submitted(driver, 'x');
    expect(launches(driver)).toEqual(['x-0', 'a-0']);
    done(driver, 'x');
    expect(launches(driver).at(-1)).toBe('b-0 job-exec-a-0');
    expect(driver.store.read(driver.launchOf('b').inputs)).toEqual({ a: int(1) });
    driver.fail('a', { retryable: true });
    done(driver, 'a');
    expect(driver.store.read(driver.launchOf('b').inputs)).toEqual({ a: int(1) });
    for (const id of ['b', 'c']) done(driver, id);
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('nothing else is launched ahead: what may be cached, arrays, sub-workflows, branches, the failure node, what goes elsewhere', () => {
    const nodes = [
      t('a'),
      t('cached', ['a'], 'cached'),
      t('elsewhere', ['a'], 'elsewhere'),
      array('array', task('item', 'reads'), { a: listOf([int(1), int(2)]) }, { after: ['a'] }),
      sub('sub', 'inner', {}, { after: ['a'] }),
      branch('branch', { v: int(1) }, [[compare('v', '>', int(0)), t('case')]], undefined, { after: ['a'] }),
      t('e', [], 'elsewhere'),
      t('f', ['e']),
    ];
    const driver = start(nodes, {}, { subs: { inner: { nodes: [t('i')] } } });
    submitted(driver, 'a');
    submitted(driver, 'e');
    expect(launches(driver)).toEqual(['a-0', 'e-0']);
  });

  it('off, or in a run from before, nothing changes', () => {
    for (const options of [
      { settings: { routing: Routing.fromPartial({ ...routing, nativeDependencies: [] }) } },
      { behaviours: currentBehaviours & ~(1n << 19n) },
    ]) {
      const driver = start(chain, options);
      submitted(driver, 'a');
      expect(launches(driver)).toEqual(['a-0']);
      done(driver, 'a');
      expect(launches(driver)).toEqual(['a-0', 'b-0']);
    }
  });

  it('C-70: it takes a permit that nobody who is ready waits for, and gives it back when it is taken back', () => {
    const driver = start([...chain, t('x'), t('y')], { settings: { maxParallelism: 3 } });
    for (const id of ['a', 'x', 'y']) submitted(driver, id);
    expect(launches(driver)).toEqual(['a-0', 'x-0', 'y-0']);
    done(driver, 'x');
    done(driver, 'a');
    expect(launches(driver).at(-1)).toBe('b-0');
    submitted(driver, 'b');
    expect(launches(driver).at(-1)).toBe('c-0 job-exec-b-0');
    driver.fail('b', { retryable: true });
    done(driver, 'y');
    done(driver, 'b');
    done(driver, 'c');
    expect(driver.phase()).toBe('SUCCEEDED');
  });
});
