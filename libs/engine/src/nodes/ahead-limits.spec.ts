import { WaitReason_Kind as Kind, type TaskReport } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { restoreRun } from '../runs.js';
import { parseRetryPolicy } from '../settings/retry-policy.js';
import {
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
import { type Driver, eachWay, int, optional, ERROR, task, type TaskSpec } from '../testing/index.js';

const P = Phase;

eachWay('launches ahead (S-5): limits, controls, restarts', () => {
  it('C-50…C-52: its limits count from when it may run', () => {
    const driver = start([t('a'), t('b', ['a'], 'limited')], {
      settings: { queueTimeout: { seconds: 100n, nanos: 0 }, activeTimeout: { seconds: 500n, nanos: 0 } },
    });
    submitted(driver, 'a');
    driver.running('a');
    driver.running('b');
    driver.advance(400);
    done(driver, 'a');
    driver.advance(50);
    expect(phasesOf(driver, 'b')).toEqual(['QUEUED', 'RUNNING']);
    driver.advance(20);
    expect(phasesOf(driver, 'b').at(-1)).toBe('FAILED');
  });

  it('C-50: an attempt that ran out of time takes back what was ahead of it', () => {
    const driver = start([t('a', [], 'limited'), t('b', ['a'])], { aborts: 'late' });
    submitted(driver, 'a');
    driver.running('a');
    driver.advance(61);
    expect(stopped(driver)).toEqual(['a-0', 'b-0']);
  });

  it('C-36: while the first backs off, what was ahead of it holds no permit', () => {
    const policy = parseRetryPolicy('delay=5s');
    if ('problem' in policy) throw new Error(policy.problem);
    const settings = { maxParallelism: 2, retryPolicy: policy.policy };
    const driver = start([t('a'), t('b', ['a']), t('x'), t('y')], { settings });
    expect(driver.launchedIds()).toEqual(['a', 'x']);
    done(driver, 'x');
    done(driver, 'y');
    submitted(driver, 'a');
    expect(driver.launchedIds()).toEqual(['a', 'b']);
    driver.fail('a', { retryable: true });
    expect(waitOf(driver, 'b')).toMatchObject({
      state: 'Ahead',
      wait: { kind: Kind.DEPENDENCY, upstream: ['a'], detail: 'waiting for a (BackingOff)' },
    });
    driver.advance(10);
    done(driver, 'a');
    done(driver, 'b');
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('X-6: controls of what it waits for', () => {
    const cases: [string, (driver: Driver) => void][] = [
      ['retry', (driver) => void driver.control('a', { $case: 'retry', value: {} })],
      [
        'rerun',
        (driver) =>
          void driver.control('a', {
            $case: 'rerun',
            value: { inputs: undefined, task: undefined, overrides: undefined },
          }),
      ],
    ];
    for (const [name, control] of cases) {
      const driver = start(chain, { aborts: 'late' });
      for (const id of ['a', 'b', 'c']) submitted(driver, id);
      control(driver);
      expect([name, stopped(driver).sort()]).toEqual([name, ['a-0', 'b-0', 'c-0']]);
      while (driver.stopped.length > 0) driver.hear(0);
      for (const id of ['a', 'b', 'c']) {
        submitted(driver, id);
        done(driver, id);
      }
      expect([name, driver.phase()]).toEqual([name, 'SUCCEEDED']);
    }
    const set = start(chain, { aborts: 'late' });
    for (const id of ['a', 'b']) submitted(set, id);
    set.control('a', { $case: 'setOutputs', value: { outputs: { literals: { o: int(2) } } } });
    while (set.stopped.length > 0) set.hear(0);
    expect(launches(set)).toEqual(['a-0', 'b-0 job-exec-a-0', 'c-0 job-exec-b-0', 'b-1']);
    done(set, 'b');
    done(set, 'c');
    expect(set.phase()).toBe('SUCCEEDED');
  });

  it('X-6: controls of the one that is ahead', () => {
    const driver = start(chain);
    submitted(driver, 'a');
    submitted(driver, 'b');
    driver.control('b', { $case: 'retry', value: {} });
    expect(driver.refusal()).toBe('it has not begun');
    driver.control('b', { $case: 'setOutputs', value: { outputs: { literals: { o: int(2) } } } });
    expect(stopped(driver)).toEqual(['b-0', 'c-0']);
    expect(phasesOf(driver, 'b').at(-1)).toBe('SUCCEEDED');
    expect(launches(driver).at(-1)).toBe('c-1');
    done(driver, 'c');
    // The workflow still waits for what the node would have waited for.
    expect(driver.phase()).toBe('RUNNING');
    done(driver, 'a');
    expect(driver.phase()).toBe('SUCCEEDED');

    const cancelled = start(chain, {}, { failAfter: true });
    submitted(cancelled, 'a');
    cancelled.control('b', { $case: 'cancel', value: { skipDownstream: false } });
    expect(phasesOf(cancelled, 'b').at(-1)).toBe('ABORTED');
    expect(cancelled.phase()).toBe('RUNNING');
    done(cancelled, 'a');
    expect(cancelled.phase()).toBe('FAILED');
  });

  it('an upstream node that succeeded otherwise than by its job: the attempt that never began is begun anew', () => {
    const driver = start(chain);
    submitted(driver, 'a');
    done(driver, 'a');
    never(driver, 'b');
    expect(launches(driver)).toEqual(['a-0', 'b-0 job-exec-a-0', 'b-1']);
    // It depends on nothing now: whatever says so again means the job.
    never(driver, 'b');
    expect(phasesOf(driver, 'b').at(-1)).toBe('FAILED');
  });

  it('C-150: a dynamic task whose job had a name is over only when its nodes are', () => {
    const driver = start(chain);
    submitted(driver, 'a');
    const result = { $case: 'futures' as const, value: { uri: 'f', size: 0n, digest: Buffer.alloc(0) } };
    driver.report(driver.launchOf('a'), P.SUCCEEDED, { outcome: { result, deckUri: '', checkpointUri: '' } });
    expect(stopped(driver)).toEqual(['b-0']);
    expect(launches(driver)).toHaveLength(2);
  });

  it('a failure node is not launched ahead, and runs after what was is over', () => {
    const fails: TaskSpec = { inputs: { err: optional(ERROR) } };
    const driver = start(chain, {}, { tasks: { ...tasks, clean: fails }, failureNode: task('fn', 'clean') });
    submitted(driver, 'a');
    driver.fail('a');
    expect(launches(driver)).toEqual(['a-0', 'b-0 job-exec-a-0', 'fn-0']);
  });

  it('is the same after a restart', () => {
    const driver = start(chain);
    for (const id of ['a', 'b']) submitted(driver, id);
    driver.running('b');
    const snapshot = driver.run.snapshot();
    const run = restoreRun(snapshot, driver.lookup);
    expect(Buffer.from(run.snapshot())).toEqual(Buffer.from(snapshot));
    expect(run.explain('b')?.wait?.detail).toBe(driver.run.explain('b')?.wait?.detail);
  });

  it('a job whose name is no name is not depended on', () => {
    const driver = start(chain);
    const report: Partial<TaskReport> = { job: 'x'.repeat(300) };
    driver.report(driver.launchOf('a'), P.INITIALIZING, report);
    expect(launches(driver)).toEqual(['a-0']);
  });
});
