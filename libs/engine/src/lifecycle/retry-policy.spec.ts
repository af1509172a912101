import { type RetryPolicy, WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import { type TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { parseRetryPolicy } from '../settings/retry-policy.js';
import {
  array,
  closure,
  Driver,
  eachWay,
  INT,
  int,
  listOf,
  list,
  task,
  textOf,
  type DriverOptions,
} from '../testing/index.js';

function policy(text: string): RetryPolicy {
  const parsed = parseRetryPolicy(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.policy;
}

interface Options extends DriverOptions {
  retries?: number;
  ofTask?: string;
}

/** One task, with the run's policy and perhaps its own. */
function started(text: string, { retries = 9, ofTask, ...options }: Options = {}): Driver {
  const spec = closure({
    tasks: { r: { outputs: { o: INT }, metadata: { retries: { retries } } } },
    nodes: [task('n0', 'r')],
    outputs: { o: 'n0.o' },
  });
  if (ofTask !== undefined) (spec.tasks[0]!.template as TaskTemplate).config = { 'aloft.retry': ofTask };
  return new Driver(spec, { ...options, settings: { retryPolicy: policy(text), ...options.settings } });
}

const millis = ({ seconds, nanos }: { seconds: bigint; nanos: number }) => Number(seconds) * 1000 + nanos / 1e6;

/** Milliseconds between each failure and the launch after it, from the log. */
function waits(driver: Driver, count: number): number[] {
  const found: number[] = [];
  for (let failure = 0; failure < count; failure++) {
    driver.fail('n0', { retryable: true });
    const failed = millis(driver.log.at(-1)!.time!);
    driver.advance(10_000);
    found.push(millis(driver.log.at(-1)!.time!) - failed);
  }
  return found;
}

function waitReasons(driver: Driver) {
  return driver.effects.flatMap((effect) =>
    effect.kind === 'event' && effect.event.event?.$case === 'wait' ? [effect.event.event.value] : [],
  );
}

eachWay('C-36: retry policy', () => {
  it('waits grow by the factor up to the cap, within ±20 %', () => {
    const driver = started('delay=10s factor=2 max=60s jitter=0.2');
    const found = waits(driver, 6);
    [10, 20, 40, 60, 60, 60].forEach((seconds, at) => {
      expect(found[at]!).toBeGreaterThanOrEqual(seconds * 800);
      expect(found[at]!).toBeLessThanOrEqual(seconds * 1200);
    });
    expect(new Set(found.slice(3)).size).toBe(3);
    expect(textOf(driver.replay())).toEqual(textOf(driver.effects));
  });

  it('the jitter of two nodes differs, that of one repeats', () => {
    const first = (nodeId: string) => {
      const spec = closure({
        tasks: { r: { metadata: { retries: { retries: 1 } } } },
        nodes: [task(nodeId, 'r')],
      });
      const driver = new Driver(spec, { settings: { retryPolicy: policy('delay=10s jitter=0.2') } });
      driver.fail(nodeId, { retryable: true });
      return millis([...driver.timers.values()][0]!);
    };
    expect(first('n0')).toBe(first('n0'));
    expect(first('n0')).not.toBe(first('n1'));
  });

  it('while it waits, it says so and why', () => {
    const driver = started('delay=10s jitter=0');
    driver.fail('n0', { retryable: true });
    expect(driver.launched).toEqual([]);
    expect(driver.run.explain('n0')).toMatchObject({ state: 'BackingOff' });
    expect(waitReasons(driver)).toMatchObject([
      { nodeId: 'n0', kind: WaitReason_Kind.BACKOFF, detail: "attempt 1 starts 10s after the last one's Boom" },
    ]);
    driver.advance(9);
    expect(driver.launched).toEqual([]);
    driver.advance(1);
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(1);
    driver.succeed('n0', { o: int(1) });
    expect(driver.phase()).toBe('SUCCEEDED');
    expect(driver.timers.size).toBe(0);
  });

  it('an abort while it waits leaves nothing behind', () => {
    const driver = started('delay=10s');
    driver.fail('n0', { retryable: true });
    driver.abort();
    expect(driver.timers.size).toBe(0);
    expect(driver.run.finished).toBe(true);
    expect(driver.phases()).toContain('n0:ABORTED');
  });

  it('codes that are never tried again', () => {
    const driver = started('never=Bad*');
    driver.fail('n0', { retryable: true, code: 'Flaky' });
    driver.fail('n0', { retryable: true, code: 'BadInput' });
    expect(driver.ended()?.error?.code).toBe('BadInput');
    expect(driver.events().tasks.filter(({ phase }) => phase === 1)).toHaveLength(2);
  });

  it('codes that are: whatever the backend says of the user’s failures; the system’s are tried again all the same', () => {
    const driver = started('on=Flaky');
    driver.fail('n0', { retryable: false, code: 'Flaky' });
    driver.fail('n0', { retryable: true, code: 'Lost', kind: ExecutionError_ErrorKind.SYSTEM });
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(2);
    driver.fail('n0', { retryable: true, code: 'Other' });
    expect(driver.ended()?.error?.code).toBe('Other');
  });

  it('an attempt after one that ran out of memory gets more', () => {
    const driver = started('memory=2');
    const factors = [driver.launchOf('n0').memoryFactor];
    for (const code of ['OOMKilled', 'Other', 'OOMKilled']) {
      driver.fail('n0', { retryable: true, code });
      factors.push(driver.launchOf('n0').memoryFactor);
    }
    expect(factors).toEqual([1, 2, 2, 4]);
  });

  it('attempts, where neither node nor task says how many', () => {
    const attempts = (retries: number) => {
      const driver = started('attempts=3', { retries });
      while (driver.launched.length > 0) driver.fail('n0', { retryable: true });
      return driver.events().tasks.filter(({ phase }) => phase === 1).length;
    };
    expect(attempts(0)).toBe(3);
    expect(attempts(1)).toBe(2);
  });

  it('the task’s own before the run’s; one that cannot be understood fails the task', () => {
    const driver = started('never=*', { ofTask: 'memory=3' });
    driver.fail('n0', { retryable: true, code: 'OOMKilled' });
    expect(driver.launchOf('n0').memoryFactor).toBe(3);
    const bad = started('', { ofTask: 'delay=soon' });
    expect(bad.launched).toEqual([]);
    expect(bad.ended()?.error).toMatchObject({
      code: 'BadTaskSpecification',
      message: expect.stringContaining('delay=soon'),
    });
  });

  it('a run that was begun before tasks could have one does not look for it', () => {
    const driver = started('', { ofTask: 'memory=3', behaviours: 0n });
    driver.fail('n0', { retryable: true, code: 'OOMKilled' });
    expect(driver.launchOf('n0').memoryFactor).toBe(1);
  });

  it('C-70: who waits is not in flight, and may have to wait for its place again', () => {
    const driver = new Driver(
      closure({
        tasks: { r: { metadata: { retries: { retries: 1 } } } },
        nodes: [task('n0', 'r'), task('n1', 'r')],
      }),
      { settings: { maxParallelism: 1, retryPolicy: policy('delay=10s jitter=0') } },
    );
    expect(driver.launchedIds()).toEqual(['n0']);
    driver.fail('n0', { retryable: true });
    expect(driver.launchedIds()).toEqual(['n1']);
    driver.advance(20);
    expect(driver.launchedIds()).toEqual(['n1']);
    expect(driver.run.explain('n0')).toMatchObject({ state: 'Parked' });
    driver.succeed('n1');
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(1);
    driver.succeed('n0');
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('C-142: each item of an array has its own', () => {
    const driver = new Driver(
      closure({
        tasks: { r: { inputs: { a: INT }, outputs: { o: INT }, metadata: { retries: { retries: 2 } } } },
        inputs: { xs: list(INT) },
        nodes: [array('n0', task('item', 'r'), { a: 'in.xs' })],
        outputs: { o: 'n0.o' },
        outputTypes: { o: list(INT) },
      }),
      { inputs: { xs: listOf([int(1), int(2)]) }, settings: { retryPolicy: policy('delay=10s jitter=0 memory=2') } },
    );
    driver.fail('n0', { index: 1, retryable: true, code: 'OOMKilled' });
    driver.succeed('n0', { o: int(1) }, 0);
    expect(driver.launched).toEqual([]);
    expect(driver.phase()).toBe('RUNNING');
    expect(waitReasons(driver)).toMatchObject([{ nodeId: 'n0', kind: WaitReason_Kind.BACKOFF }]);
    driver.advance(10);
    expect(driver.launchOf('n0', 1)).toMatchObject({ attempt: { retryAttempt: 1 }, memoryFactor: 2 });
    driver.succeed('n0', { o: int(2) }, 1);
    expect(driver.outputs()).toEqual({ o: [1, 2] });
    expect(driver.timers.size).toBe(0);
  });

  it('an aborted array’s waiting items leave no timer', () => {
    const driver = new Driver(
      closure({
        tasks: { r: { inputs: { a: INT }, metadata: { retries: { retries: 2 } } } },
        nodes: [array('n0', task('item', 'r'), { a: listOf([int(1), int(2)]) })],
      }),
      { settings: { retryPolicy: policy('delay=10s') } },
    );
    driver.fail('n0', { index: 1, retryable: true });
    driver.abort();
    expect(driver.timers.size).toBe(0);
    expect(driver.launched).toEqual([]);
  });
});

eachWay('C-31: one budget for all failures', () => {
  const spec = closure({
    tasks: {
      r: { metadata: { retries: { retries: 2 }, interruptibleValue: { $case: 'interruptible', value: true } } },
    },
    nodes: [task('n0', 'r')],
  });

  it('the task’s retries + 1; the last of it on demand (C-41)', () => {
    const driver = new Driver(spec, { settings: { ignoreRetryCause: true } });
    const spot: boolean[] = [];
    for (const kind of [1, 2, 1]) {
      spot.push(driver.launchOf('n0').interruptible);
      driver.fail('n0', { retryable: true, kind });
    }
    expect(spot).toEqual([true, true, false]);
    expect(driver.ended()?.error?.message).toContain('attempt 3 of 3 failed');
  });

  it('C-41: thresholds from either end', () => {
    const spots = (interruptibleFailureThreshold: number) => {
      const driver = new Driver(spec, { settings: { interruptibleFailureThreshold, maxSystemRetries: 5 } });
      const found: boolean[] = [];
      while (driver.launched.length > 0) {
        found.push(driver.launchOf('n0').interruptible);
        driver.fail('n0', { retryable: true, kind: ExecutionError_ErrorKind.SYSTEM });
      }
      return found;
    };
    expect(spots(-1)).toEqual([true, true, true, true, false]);
    expect(spots(-3)).toEqual([true, true, false, false, false]);
    expect(spots(1)).toEqual([true, false, false, false, false]);
    expect(spots(0)).toEqual([true, true, true, true, true]);
  });
});
