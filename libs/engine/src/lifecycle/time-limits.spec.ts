import type { Duration } from '@aloft/idl/google/protobuf/duration';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { type TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import {
  array,
  child,
  closure,
  Driver,
  eachWay,
  INT,
  int,
  listOf,
  sub,
  task,
  type DriverOptions,
} from '../testing/index.js';

const seconds = (value: number): Duration => ({ seconds: BigInt(value), nanos: 0 });

function limited(retries: number, options: DriverOptions = {}, config: Record<string, string> = {}): Driver {
  const spec = closure({
    tasks: { r: { metadata: { timeout: seconds(60), retries: { retries } } } },
    nodes: [task('n0', 'r', {}, { metadata: { timeout: seconds(60) } })],
  });
  (spec.tasks[0]!.template as TaskTemplate).config = config;
  return new Driver(spec, options);
}

eachWay('time limits', () => {
  it('C-50: an attempt that runs too long is aborted and tried again', () => {
    const driver = limited(1);
    driver.advance(59);
    driver.running('n0');
    const first = driver.launchOf('n0');
    expect(first.executionTimeout).toMatchObject(seconds(60));
    driver.advance(59);
    expect(driver.launchOf('n0').attempt.name).toBe(first.attempt.name);
    driver.advance(1);
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(1);
    expect(driver.effects).toContainEqual(expect.objectContaining({ kind: 'abort' }));
  });

  it('C-50: the run’s limit is for tasks that have none', () => {
    const limit = (metadata: { timeout?: Duration }) =>
      new Driver(closure({ tasks: { r: { metadata } }, nodes: [task('n0', 'r')] }), {
        settings: { executionTimeout: seconds(5) },
      }).launchOf('n0').executionTimeout;
    expect(limit({})).toMatchObject(seconds(5));
    expect(limit({ timeout: seconds(60) })).toMatchObject(seconds(60));
  });

  it('C-51, C-52: a node’s timeout is each attempt’s; all of them together have a limit of their own', () => {
    const driver = limited(9, { settings: { activeTimeout: seconds(150) } });
    for (let attempt = 0; attempt < 2; attempt++) {
      driver.running('n0');
      driver.advance(60);
    }
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(2);
    driver.advance(29);
    expect(driver.phase()).toBe('RUNNING');
    driver.advance(1);
    expect(driver.phases()).toContain('n0:TIMED_OUT');
    expect(driver.phase()).toBe('FAILED');
    expect(driver.ended()?.error).toMatchObject({ code: 'TimeoutExpired' });
    expect(driver.timers.size).toBe(0);
  });

  it('C-51: the task’s own before the run’s; without either there is none', () => {
    const driver = limited(0, { settings: { activeTimeout: seconds(150) } }, { 'aloft.active-timeout': '20s' });
    driver.advance(20);
    expect(driver.phases()).toContain('n0:TIMED_OUT');
    const free = limited(9);
    free.advance(1000);
    expect(free.phase()).toBe('RUNNING');
  });

  it('C-51: runs begun before keep twice their nodes’ timeout', () => {
    const driver = limited(9, { behaviours: 0n });
    driver.running('n0');
    driver.advance(120);
    expect(driver.phases()).toContain('n0:TIMED_OUT');
    expect(driver.ended()?.error?.message).toContain('twice its time limit');
  });

  it('C-50…C-52: an attempt that a limit ended failed, and says of what; those of runs begun before were aborted', () => {
    const attempts = (options: DriverOptions = {}) => {
      const driver = limited(1, { ...options, settings: { queueTimeout: seconds(30) } });
      driver.running('n0');
      driver.advance(60);
      driver.advance(30);
      return driver.events().tasks.flatMap(({ retryAttempt, phase, outputResult }) => {
        const error = outputResult?.$case === 'error' ? outputResult.value.code : '';
        return phase === TaskExecution_Phase.FAILED || phase === TaskExecution_Phase.ABORTED
          ? [`${retryAttempt} ${TaskExecution_Phase[phase]} ${error}`]
          : [];
      });
    };
    expect(attempts()).toEqual(['0 FAILED TimeoutExpired', '1 FAILED QueueTimeoutExpired']);
    expect(attempts({ behaviours: 0n })).toEqual(expect.arrayContaining(['0 ABORTED ']));
  });

  it('C-51: also while it waits for its next attempt', () => {
    const driver = limited(9, { settings: { activeTimeout: seconds(20), retryPolicy: policy(100) } });
    driver.fail('n0', { retryable: true });
    driver.advance(20);
    expect(driver.phases()).toContain('n0:TIMED_OUT');
    expect(driver.timers.size).toBe(0);
  });

  it('C-52 Ours: an attempt that nobody runs in time is a failure of the system', () => {
    const spec = closure({
      tasks: { r: { metadata: { interruptibleValue: { $case: 'interruptible', value: true } } } },
      nodes: [task('n0', 'r')],
    });
    const driver = new Driver(spec, { settings: { queueTimeout: seconds(30) } });
    const spot: boolean[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      spot.push(driver.launchOf('n0').interruptible);
      driver.advance(30);
    }
    expect(spot).toEqual([true, true, false]);
    expect(driver.ended()?.error).toMatchObject({ code: 'RetriesExhausted|QueueTimeoutExpired' });
    expect(driver.effects.filter(({ kind }) => kind === 'abort')).toHaveLength(3);
    expect(driver.timers.size).toBe(0);
  });

  it('C-52 Ours: who runs has left the queue', () => {
    const driver = limited(0, {}, { 'aloft.queue-timeout': '30s' });
    driver.advance(29);
    driver.running('n0');
    driver.advance(30);
    expect(driver.phase()).toBe('RUNNING');
    driver.succeed('n0');
    expect(driver.phase()).toBe('SUCCEEDED');
    expect(driver.timers.size).toBe(0);
  });

  it('C-52 Ours: each item of an array has its own', () => {
    const driver = new Driver(
      closure({
        tasks: { r: { inputs: { a: INT }, metadata: { timeout: seconds(60) } } },
        nodes: [array('n0', task('item', 'r'), { a: listOf([int(1), int(2)]) })],
      }),
      { settings: { queueTimeout: seconds(30) } },
    );
    driver.running('n0', 0);
    driver.advance(30);
    expect(driver.launchOf('n0', 0).attempt.retryAttempt).toBe(0);
    expect(driver.launchOf('n0', 1).attempt.retryAttempt).toBe(1);
    driver.running('n0', 1);
    driver.succeed('n0', {}, 0);
    driver.succeed('n0', {}, 1);
    expect(driver.phase()).toBe('SUCCEEDED');
    expect(driver.timers.size).toBe(0);
  });
});

function policy(delaySeconds: number) {
  const delay = seconds(delaySeconds);
  return { delay, factor: 1, maxDelay: undefined, jitter: 0, on: [], never: [], memoryFactor: 1, attempts: 0 };
}

eachWay('C-54: the whole run’s limit', () => {
  const tasks = { t: {}, clean: {} };

  it('aborts everything and ends TIMED_OUT, without the failure node', () => {
    const driver = new Driver(
      closure({
        tasks,
        subs: { inner: { nodes: [task('a', 't')] } },
        nodes: [sub('n0', 'inner'), task('n1', 't'), child('n2', 'lp'), task('n3', 't', {}, { after: ['n1'] })],
        failureNode: task('fn0', 'clean'),
      }),
      {
        settings: { timeout: seconds(3600) },
        onRequest: (ask, d) =>
          ask.kind === 'start-child' ? { $case: 'child', value: { child: d.childId(ask), childUid: '' } } : undefined,
      },
    );
    driver.running('n1');
    driver.advance(3599);
    expect(driver.phase()).toBe('RUNNING');
    driver.advance(1);
    expect(driver.phase()).toBe('TIMED_OUT');
    expect(driver.ended()?.error).toMatchObject({
      code: 'ExecutionTimeoutExpired',
      message: 'the execution ran longer than its limit of 1h',
    });
    expect(driver.launched).toEqual([]);
    expect(driver.phases()).toEqual(
      expect.arrayContaining(['n0:ABORTED', 'n0-0-a:ABORTED', 'n1:ABORTED', 'n2:ABORTED']),
    );
    expect(driver.effects).toContainEqual(expect.objectContaining({ kind: 'abort-child' }));
    expect(driver.phases().filter((phase) => phase.startsWith('fn0'))).toEqual([]);
    expect(driver.timers.size).toBe(0);
    expect(driver.run.finished).toBe(true);
  });

  it('does not outlive a run that ends in time', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 't')] }), { settings: { timeout: seconds(10) } });
    driver.succeed('n0');
    expect(driver.phase()).toBe('SUCCEEDED');
    expect(driver.timers.size).toBe(0);
  });
});
