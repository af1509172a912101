import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import { ArrayParallelism } from '@aloft/idl/aloft/v1/bus';
import type { LaunchTaskEffect, Request } from '../api.js';
import {
  array,
  child,
  closure,
  Driver,
  eachWay,
  INT,
  int,
  list,
  listOf,
  plain,
  task,
  type ArrayOptions,
  type DriverOptions,
  type TaskSpec,
} from '../testing/index.js';
import { CacheLookedUp_Result, RecoveredNode } from '@aloft/idl/aloft/v1/engine';

const numbers = (count: number) => listOf(Array.from({ length: count }, (_, at) => int(at)));

function mapping(count: number, options: ArrayOptions = {}, spec: TaskSpec = {}, more: DriverOptions = {}): Driver {
  return new Driver(
    closure({
      tasks: { t: { inputs: { a: INT }, outputs: { o: INT }, ...spec } },
      inputs: { xs: list(INT) },
      nodes: [array('n0', task('item', 't'), { a: 'in.xs' }, options)],
      outputs: { r: 'n0.o' },
      outputTypes: { r: list(INT) },
    }),
    { inputs: { xs: numbers(count) }, ...more },
  );
}

eachWay('an array', () => {
  it('C-140: runs its task once for each element, with the whole inputs, and collects the outputs in order', () => {
    const driver = mapping(3);
    expect(driver.launchedIds()).toEqual(['n0[0]', 'n0[1]', 'n0[2]']);
    expect(driver.launchOf('n0', 1)).toMatchObject({
      attempt: { nodeId: 'n0', index: 1, retryAttempt: 0, generation: 1, name: 'exec-n0-0-n1-0' },
      arraySize: 3,
      dataPrefix: 's3://aloft/metadata/propeller/p-d-exec/n0/data',
      outputPrefix: 's3://aloft/metadata/propeller/p-d-exec/n0/data/0/1/0',
    });
    expect(driver.launchOf('n0', 1).inputs).toMatchObject({ value: { value: { literals: { a: numbers(3) } } } });
    driver.succeed('n0', { o: int(12) }, 2);
    driver.succeed('n0', { o: int(10) }, 0);
    driver.running('n0', 1);
    driver.succeed('n0', { o: int(11) }, 1);
    expect(driver.outputs()).toEqual({ r: [10, 11, 12] });
    expect(driver.phases()).toEqual([
      'start-node:SUCCEEDED',
      'n0:QUEUED',
      'n0:RUNNING',
      'n0:SUCCEEDED',
      'end-node:SUCCEEDED',
    ]);
    expect(driver.events().nodes.find((event) => event.id?.nodeId === 'n0')).toMatchObject({ isArray: true });
  });

  it('C-144: one task execution tells of its items, together', () => {
    const driver = mapping(3);
    driver.running('n0', 0);
    driver.succeed('n0', { o: int(1) }, 1);
    expect(driver.events().tasks).toHaveLength(1);
    driver.advance(1);
    const [queued, running] = driver.events().tasks;
    expect(queued).toMatchObject({ phase: 1, inputValue: { $case: 'inputData' }, retryAttempt: 0 });
    expect(running).toMatchObject({ phase: 2, phaseVersion: 0, metadata: { pluginIdentifier: 'k8s-array' } });
    expect(
      running!.metadata!.externalResources.map(({ index, phase, externalId }) => [index, phase, externalId]),
    ).toEqual([
      [0, 2, 'exec-n0-0-n0-0'],
      [1, 3, 'exec-n0-0-n1-0'],
      [2, 1, 'exec-n0-0-n2-0'],
    ]);
    expect(running!.customInfo).toEqual({ size: 3, succeeded: 1, failed: 0, active: 2 });
    driver.advance(10);
    expect(driver.events().tasks).toHaveLength(2);
    expect(driver.timers.size).toBe(0);
  });

  it('C-140: an empty list succeeds at once with empty lists', () => {
    expect(mapping(0).outputs()).toEqual({ r: [] });
  });

  it('C-140: lists of different length are the user’s error', () => {
    const driver = new Driver(
      closure({
        tasks: { t: { inputs: { a: INT, b: INT } } },
        nodes: [array('n0', task('item', 't'), { a: numbers(2), b: numbers(3) })],
      }),
    );
    expect(driver.ended()?.error).toMatchObject({
      code: 'InvalidArrayLength',
      message: 'its lists differ in length: "a" has 2 elements, "b" 3',
    });
  });

  it('C-140: bound inputs go whole to each item; only bound ones make one item', () => {
    const run = (inputs: Record<string, ReturnType<typeof numbers>>) =>
      new Driver(
        closure({
          tasks: { t: { inputs: { a: INT, b: list(INT) } } },
          nodes: [array('n0', task('item', 't'), inputs, { bound: ['b'] })],
        }),
      ).launched.length;
    expect(run({ a: numbers(4), b: numbers(2) })).toBe(4);
    expect(run({ b: numbers(2) })).toBe(1);
  });

  it('C-141: all must succeed; it fails as soon as one cannot, and stops the others', () => {
    const driver = mapping(3);
    driver.fail('n0', { index: 1, message: 'bad element' });
    expect(driver.launchedIds()).toEqual([]);
    expect(driver.effects.filter(({ kind }) => kind === 'abort')).toHaveLength(2);
    expect(driver.ended()?.error).toMatchObject({
      code: 'Boom',
      message: '1 of 3 items failed, where 3 had to succeed:\n[1] Boom: bad element',
    });
    const last = driver.events().tasks.at(-1)!;
    expect(last.phase).toBe(5);
    expect(last.metadata!.externalResources.map(({ index, phase }) => [index, phase])).toEqual([
      [0, 4],
      [1, 5],
      [2, 4],
    ]);
  });

  it.each([
    ['min_successes', { minSuccesses: 2 }],
    ['min_success_ratio, rounded up', { minSuccessRatio: 0.5 }],
  ])('C-141: %s lets some fail; their outputs are None, and all are waited for', (_what, options) => {
    const driver = mapping(3, options);
    driver.fail('n0', { index: 0 });
    driver.succeed('n0', { o: int(1) }, 1);
    expect(driver.phase()).toBe('RUNNING');
    driver.succeed('n0', { o: int(2) }, 2);
    expect(driver.outputs()).toEqual({ r: [null, 1, 2] });
    const failing = mapping(3, options);
    failing.fail('n0', { index: 0 });
    failing.fail('n0', { index: 2 });
    expect(failing.phase()).toBe('FAILED');
  });

  it('C-71: parallelism bounds the items in flight', () => {
    const driver = mapping(4, { parallelism: 2 });
    expect(driver.launchedIds()).toEqual(['n0[0]', 'n0[1]']);
    driver.succeed('n0', { o: int(1) }, 1);
    expect(driver.launchedIds()).toEqual(['n0[0]', 'n0[2]']);
    expect(driver.run.explain('n0')?.wait?.detail).toBe('2 items in flight, 1 waiting, 1 succeeded, 0 failed');
    expect(mapping(4, { parallelism: 0 }).launched).toHaveLength(4);
  });

  describe('C-71: without a parallelism of its own, by the server’s mode', () => {
    const { UNLIMITED, WORKFLOW, HYBRID } = ArrayParallelism;
    const launched = (arrayParallelism: ArrayParallelism, parallelism?: number) =>
      mapping(6, { parallelism }, {}, { settings: { maxParallelism: 3, arrayParallelism } }).launched.length;

    it('unlimited, the run’s budget, or the budget unless it says 0', () => {
      expect([launched(UNLIMITED), launched(UNLIMITED, 0)]).toEqual([6, 6]);
      expect([launched(WORKFLOW), launched(WORKFLOW, 0)]).toEqual([3, 3]);
      expect([launched(HYBRID), launched(HYBRID, 0)]).toEqual([3, 6]);
      expect([launched(WORKFLOW, 2), launched(HYBRID, 5)]).toEqual([2, 5]);
    });

    const beside = (maxParallelism: number) =>
      new Driver(
        closure({
          tasks: { t: { inputs: { a: INT }, outputs: { o: INT } } },
          nodes: [
            array('n0', task('item', 't'), { a: numbers(4) }),
            task('n1', 't', { a: int(1) }),
            array('n2', task('item', 't'), { a: numbers(2) }),
          ],
        }),
        { settings: { maxParallelism, arrayParallelism: WORKFLOW } },
      );

    it('its items and everything else take turns, and never exceed it', () => {
      const driver = beside(2);
      const order: string[] = [];
      while (driver.launched.length > 0) {
        expect(driver.launched.length).toBeLessThanOrEqual(2);
        const [{ attempt }] = driver.launched as [LaunchTaskEffect];
        order.push(attempt.nodeId);
        driver.succeed(attempt.nodeId, { o: int(1) }, attempt.index);
      }
      expect(driver.phase()).toBe('SUCCEEDED');
      // n1 and n2 got their turns before the first array was through.
      expect(order.lastIndexOf('n0')).toBeGreaterThan(order.indexOf('n1'));
      expect(order.lastIndexOf('n0')).toBeGreaterThan(order.indexOf('n2'));
    });

    it('a budget of one is enough; an abort gives all of it back', () => {
      const driver = beside(1);
      for (let ended = 0; ended < 7; ended++) {
        expect(driver.launched).toHaveLength(1);
        const [{ attempt }] = driver.launched as [LaunchTaskEffect];
        driver.succeed(attempt.nodeId, { o: int(1) }, attempt.index);
      }
      expect(driver.phase()).toBe('SUCCEEDED');
      const failing = beside(2);
      failing.fail('n0', { index: 0 });
      expect(failing.phase()).toBe('FAILED');
      expect(failing.launched).toEqual([]);
    });
  });

  it('C-142: each item has its own retries, of the user’s and the system’s', () => {
    const driver = mapping(2, {}, { metadata: { retries: { retries: 1 } } });
    driver.fail('n0', { index: 0, retryable: true });
    expect(driver.launchOf('n0', 0).attempt).toMatchObject({ retryAttempt: 1, generation: 2, name: 'exec-n0-0-n0-1' });
    driver.fail('n0', { index: 0, retryable: true, kind: ExecutionError_ErrorKind.SYSTEM });
    driver.succeed('n0', { o: int(0) }, 0);
    driver.fail('n0', { index: 1, retryable: true });
    driver.fail('n0', { index: 1, retryable: true });
    expect(driver.ended()?.error?.code).toBe('RetriesExhausted|Boom');
  });

  it('C-50: an item’s attempt has the task’s time limit', () => {
    const driver = mapping(2, {}, { metadata: { timeout: { seconds: 30n, nanos: 0 }, retries: { retries: 1 } } });
    driver.running('n0', 0);
    driver.advance(31);
    expect(driver.launchOf('n0', 0).attempt.retryAttempt).toBe(1);
    expect(driver.launchOf('n0', 1).attempt.retryAttempt).toBe(0);
  });

  const cached = { metadata: { discoverable: true, discoveryVersion: '1' } };

  it('C-96: each item has its own look-up and store; only misses run', () => {
    const stored: number[] = [];
    const onRequest = (ask: Request['ask']) => {
      if (ask.kind === 'cache-store') {
        stored.push(ask.attempt.index!);
        return { $case: 'cacheStored' as const, value: { failed: false, metadata: undefined, reason: '' } };
      }
      if (ask.kind !== 'cache-lookup') return undefined;
      const inputs = ask.inputs.value?.$case === 'inline' ? ask.inputs.value.value.literals : {};
      expect(inputs).toEqual({ a: int(ask.attempt.index!) });
      const result = ask.attempt.index === 1 ? CacheLookedUp_Result.HIT : CacheLookedUp_Result.MISS;
      const outputs = { value: { $case: 'inline' as const, value: { literals: { o: int(77) } } } };
      return {
        $case: 'cache' as const,
        value: { result, outputs, metadata: undefined, holder: '', retryAt: undefined },
      };
    };
    const driver = mapping(3, {}, cached, { onRequest });
    expect(driver.launchedIds()).toEqual(['n0[0]', 'n0[2]']);
    driver.succeed('n0', { o: int(0) }, 0);
    driver.succeed('n0', { o: int(2) }, 2);
    expect(stored).toEqual([0, 2]);
    expect(driver.outputs()).toEqual({ r: [0, 77, 2] });
    const statuses = driver.events().tasks.flatMap((event) => event.metadata!.externalResources);
    expect(statuses.map(({ index, cacheStatus }) => [index, cacheStatus])).toEqual([
      [0, 3],
      [1, 2],
      [2, 3],
    ]);
  });

  it('C-143: items may be child executions', () => {
    const driver = new Driver(
      closure({ nodes: [array('n0', child('item', 'plan'), { a: numbers(2) })], outputs: { r: 'n0.o' } }),
    );
    const asks = [...driver.requests.values()].filter((ask) => ask.kind === 'start-child');
    expect(asks.map(({ name, nodeId, inputs }) => [name, nodeId, plain(driver.store.read(inputs)?.['a'])])).toEqual([
      ['exec-n0-0-n0-0', 'n0-0-n0', 0],
      ['exec-n0-0-n1-0', 'n0-0-n1', 1],
    ]);
    driver.answerNext('start-child', { $case: 'child', value: { child: driver.childId(asks[0]!), childUid: '' } });
    driver.childEnded(asks[1]!, 4, { outputs: { o: int(8) } });
    driver.childEnded(asks[0]!, 4, { outputs: { o: int(7) } });
    expect(driver.outputs()).toEqual({ r: [7, 8] });
  });

  it('large inputs stay where they are: only their lengths are read; large outputs are written once', () => {
    const driver = mapping(5000);
    const asked = driver.effects.flatMap((effect) => (effect.kind === 'request' ? [effect.ask] : []));
    expect(asked).toMatchObject([{ kind: 'store' }, { kind: 'load', lengthsOnly: true }]);
    expect(driver.launched).toHaveLength(5000);
    expect(driver.launchOf('n0', 17).inputs.value?.$case).toBe('stored');
    if (Driver.restarts) return;
    for (const launch of [...driver.launched]) {
      driver.succeedWith(launch, {
        value: { $case: 'inline', value: { literals: { o: int(launch.attempt.index!) } } },
      });
    }
    expect(driver.outputs()).toEqual({ r: Array.from({ length: 5000 }, (_, at) => at) });
    expect(driver.ended()?.outputs?.value?.$case).toBe('stored');
  });

  it('C-84: items that succeeded in the recovered run do not run again', () => {
    const recovered = RecoveredNode.fromPartial({ recoveredItems: Buffer.of(0b101) });
    recovered.outputs = { value: { $case: 'inline', value: { literals: { o: listOf([int(5), int(-1), int(7)]) } } } };
    const onRequest = (ask: Request['ask']) =>
      ask.kind === 'recovered-node' ? { $case: 'recovered' as const, value: recovered } : undefined;
    const start = { recoverFrom: { project: 'p', domain: 'd', name: 'old', org: '' }, recoverFromUid: 'old-uid' };
    const driver = mapping(3, {}, {}, { onRequest, start });
    expect(driver.launchedIds()).toEqual(['n0[1]']);
    driver.succeed('n0', { o: int(6) }, 1);
    expect(driver.outputs()).toEqual({ r: [5, 6, 7] });
  });

  it('C-84: their outputs are taken by reference where they are stored', () => {
    const recovered = RecoveredNode.fromPartial({ recoveredItems: Buffer.of(0b101) });
    const onRequest = (ask: Request['ask'], driver: Driver) => {
      if (ask.kind !== 'recovered-node') return undefined;
      recovered.outputs = driver.store.stored('s3://old/outputs.pb', { o: listOf([int(5), int(-1), int(7)]) });
      return { $case: 'recovered' as const, value: recovered };
    };
    const start = { recoverFrom: { project: 'p', domain: 'd', name: 'old', org: '' }, recoverFromUid: 'old-uid' };
    const driver = mapping(3, {}, {}, { onRequest, start });
    expect(driver.launchedIds()).toEqual(['n0[1]']);
    driver.succeed('n0', { o: int(6) }, 1);
    expect(driver.outputs()).toEqual({ r: [5, 6, 7] });
  });

  it('an abort stops every item in flight', () => {
    const driver = mapping(3, { parallelism: 2 });
    driver.abort();
    expect(driver.effects.filter(({ kind }) => kind === 'abort')).toHaveLength(2);
    expect(driver.events().tasks.at(-1)).toMatchObject({ phase: 4 });
    expect(driver.run.finished).toBe(true);
  });
});
