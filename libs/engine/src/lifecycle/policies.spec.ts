import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';
import {
  branch,
  closure,
  compare,
  Driver,
  eachWay,
  ERROR,
  INT,
  int,
  optional,
  plain,
  STRING,
  str,
  sub,
  task,
} from '../testing/index.js';

const tasks = {
  free: { outputs: { o: INT } },
  t: { inputs: { a: INT }, outputs: { o: INT } },
  clean: { inputs: { x: STRING, err: optional(ERROR) } },
};

eachWay('failure', () => {
  it('C-60, C-64: the first failure aborts what runs', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free'), task('n1', 'free')] }));
    driver.running('n1');
    driver.fail('n0');
    expect(driver.phase()).toBe('FAILED');
    expect(driver.phases()).toEqual(expect.arrayContaining(['n0:FAILED', 'n1:ABORTED']));
    expect(driver.effects).toContainEqual(
      expect.objectContaining({ kind: 'abort', taskType: 'test', reason: 'node n0 failed' }),
    );
    expect(driver.events().tasks.at(-1)).toMatchObject({ phase: 4, parentNodeExecutionId: { nodeId: 'n1' } });
  });

  it('C-60: what the same event made ready does not start after a failure', () => {
    const driver = new Driver(
      closure({
        tasks,
        nodes: [
          task('n0', 'free'),
          task('n1', 't', { a: { promise: 'n0.o', path: ['x'] } }),
          task('n2', 't', { a: 'n0.o' }),
        ],
      }),
    );
    driver.succeed('n0', { o: int(1) });
    expect(driver.ended()?.error).toMatchObject({ code: 'PromiseAttributeResolveError' });
    expect(driver.launched).toEqual([]);
    expect(driver.phases().filter((phase) => phase.startsWith('n2'))).toEqual([]);
  });

  it('C-61, C-64: or lets what does not depend on it finish, and tells of all failures', () => {
    const driver = new Driver(
      closure({
        tasks,
        failAfter: true,
        nodes: [task('n0', 'free'), task('n1', 'free'), task('n2', 't', { a: 'n0.o' }), task('n3', 't', { a: 'n1.o' })],
      }),
    );
    driver.fail('n0', { message: 'first' });
    driver.succeed('n1', { o: int(1) });
    expect(driver.launchedIds()).toEqual(['n3']);
    driver.fail('n3', { message: 'second' });
    expect(driver.phase()).toBe('FAILED');
    expect(driver.phases()).toEqual(
      expect.arrayContaining(['n1:SUCCEEDED', 'n2:SKIPPED', 'n3:FAILED', 'end-node:SKIPPED']),
    );
    expect(driver.ended()?.error?.message).toBe('2 nodes failed:\n[n0] Boom: first\n[n3] Boom: second');
  });

  it('C-61 Ours: a long list of failures is bounded', () => {
    const nodes = Array.from({ length: 30 }, (_, at) => task(`n${at}`, 'free'));
    const driver = new Driver(closure({ tasks, failAfter: true, nodes }));
    for (let at = 0; at < 30; at++) driver.fail(`n${at}`, { message: 'x'.repeat(10_000) });
    const lines = driver.ended()!.error!.message.split('\n');
    expect(lines[0]).toBe('30 nodes failed:');
    expect(lines).toHaveLength(22);
    expect(lines[20]).toMatch(/^\[n19\] Boom: x{4096}…$/);
    expect(lines[21]).toBe('… and 10 more');
  });

  it('C-61, C-62: of a branch, the node inside that failed is named', () => {
    const failing = (behaviours?: bigint) => {
      const driver = new Driver(
        closure({
          tasks,
          nodes: [branch('n0', { v: int(1) }, [[compare('v', '>', int(0)), task('c0', 'free')]], 'no case')],
          failureNode: task('fn0', 'clean', { x: str('') }),
        }),
        { behaviours },
      );
      driver.fail('n0-0-c0');
      const inputs = driver.launchOf('fn0').inputs.value;
      return plain((inputs?.$case === 'inline' ? inputs.value.literals : {})['err']);
    };
    expect(failing()).toMatchObject({ failedNodeId: 'n0-0-c0' });
    expect(failing(0n)).toMatchObject({ failedNodeId: 'n0' });
  });

  it('C-12 Ours: the nearest workflow’s policy counts', () => {
    const inner = { failAfter: true, nodes: [task('a', 'free'), task('b', 'free')] };
    const driver = new Driver(closure({ tasks, subs: { inner }, nodes: [sub('n0', 'inner'), task('n1', 'free')] }));
    driver.fail('n0-0-a');
    expect(driver.launchedIds()).toEqual(['n1', 'n0-0-b']);
    driver.succeed('n0-0-b', { o: int(1) });
    expect(driver.phases()).toEqual(expect.arrayContaining(['n0:FAILED', 'n1:ABORTED']));
    expect(driver.phase()).toBe('FAILED');
  });

  it('C-62, Q-16: the failure node gets the inputs, the error and the true node; the run keeps its error', () => {
    const driver = new Driver(
      closure({
        tasks,
        inputs: { x: STRING },
        nodes: [task('n0', 'free'), task('n1', 'free')],
        failureNode: task('fn0', 'clean', { x: 'in.x' }),
      }),
      { inputs: { x: str('hello') } },
    );
    driver.fail('n0');
    expect(driver.phase()).toBe('FAILING');
    expect(driver.launchedIds()).toEqual(['fn0']);
    const inputs = driver.launchOf('fn0').inputs.value;
    const literals = inputs?.$case === 'inline' ? inputs.value.literals : {};
    expect(plain(literals['x'])).toBe('hello');
    expect(plain(literals['err'])).toMatchObject({ failedNodeId: 'n0', message: 'boom' });
    driver.succeed('fn0');
    expect(driver.phase()).toBe('FAILED');
    expect(driver.ended()?.error).toMatchObject({ code: 'Boom' });
  });

  it('C-62: a failing failure node’s error hides the first', () => {
    const driver = new Driver(
      closure({ tasks, nodes: [task('n0', 'free')], failureNode: task('fn0', 'clean', { x: str('') }) }),
    );
    driver.fail('n0');
    driver.fail('fn0', { code: 'Worse' });
    expect(driver.ended()?.error).toMatchObject({ code: 'Worse' });
  });

  it('C-62: a sub-workflow’s own failure node runs before its node fails', () => {
    const inner = { nodes: [task('a', 'free')], failureNode: task('fn0', 'clean', { x: str('') }) };
    const driver = new Driver(closure({ tasks, subs: { inner }, nodes: [sub('n0', 'inner')] }));
    driver.fail('n0-0-a');
    expect(driver.launchedIds()).toEqual(['n0-0-fn0']);
    expect(driver.phases()).toContain('n0:FAILING');
    driver.succeed('n0-0-fn0');
    expect(driver.phases()).toContain('n0:FAILED');
  });
});

eachWay('retries', () => {
  const retrying = (retries: number) =>
    new Driver(
      closure({
        tasks: { r: { outputs: { o: INT }, metadata: { retries: { retries } } } },
        nodes: [task('n0', 'r')],
        outputs: { o: 'n0.o' },
      }),
    );

  it('C-30, C-33: a retryable user failure uses the task’s retries, each attempt with names of its own', () => {
    const driver = retrying(2);
    const names = [driver.launchOf('n0').attempt.name];
    driver.fail('n0', { retryable: true, checkpoint: 's3://raw/cp0' });
    const second = driver.launchOf('n0');
    names.push(second.attempt.name);
    expect(names).toEqual(['exec-n0-0', 'exec-n0-1']);
    expect(second).toMatchObject({
      attempt: { retryAttempt: 1, generation: 2 },
      outputPrefix: 's3://aloft/metadata/propeller/p-d-exec/n0/data/1',
      prevCheckpointPrefix: 's3://raw/cp0',
    });
    driver.succeed('n0', { o: int(1) });
    expect(driver.outputs()).toEqual({ o: 1 });
    expect(driver.phases().filter((phase) => phase.startsWith('n0:QUEUED'))).toHaveLength(1);
    expect(driver.events().tasks.map(({ retryAttempt, phase }) => [retryAttempt, phase])).toEqual([
      [0, 1],
      [0, 5],
      [1, 1],
      [1, 3],
    ]);
  });

  it('C-32: spent, the error says so', () => {
    const driver = retrying(1);
    driver.fail('n0', { retryable: true });
    driver.fail('n0', { retryable: true });
    expect(driver.ended()?.error).toMatchObject({
      code: 'RetriesExhausted|Boom',
      message: 'attempt 2 of 2 failed; last error: USER: boom',
    });
  });

  it('C-30: what the system lost does not count against the user’s attempts', () => {
    const driver = retrying(1);
    const system = { retryable: true, kind: ExecutionError_ErrorKind.SYSTEM };
    driver.fail('n0', system);
    driver.fail('n0', system);
    driver.fail('n0', { retryable: true });
    driver.fail('n0', { retryable: true });
    expect(driver.ended()?.error?.code).toBe('RetriesExhausted|Boom');
    expect(driver.events().tasks.filter(({ phase }) => phase === 5)).toHaveLength(4);
  });

  it('C-30: three failures of the system are enough', () => {
    const driver = retrying(9);
    const system = { retryable: true, kind: ExecutionError_ErrorKind.SYSTEM };
    for (let failure = 0; failure < 3; failure++) driver.fail('n0', system);
    expect(driver.phase()).toBe('FAILED');
  });

  it('C-30: a failure that is not retryable ends the node', () => {
    const driver = retrying(5);
    driver.fail('n0');
    expect(driver.ended()?.error).toMatchObject({ code: 'Boom' });
  });

  it('C-40, C-41: spot for as long as the system’s budget allows; user errors do not matter', () => {
    const driver = new Driver(
      closure({
        tasks: {
          r: { metadata: { retries: { retries: 5 }, interruptibleValue: { $case: 'interruptible', value: true } } },
        },
        nodes: [task('n0', 'r')],
      }),
    );
    const spot: boolean[] = [];
    for (const kind of [
      ExecutionError_ErrorKind.USER,
      ExecutionError_ErrorKind.SYSTEM,
      ExecutionError_ErrorKind.SYSTEM,
    ]) {
      spot.push(driver.launchOf('n0').interruptible);
      driver.fail('n0', { retryable: true, kind });
    }
    spot.push(driver.launchOf('n0').interruptible);
    expect(spot).toEqual([true, true, true, false]);
  });

  it('C-40: the node before the task before the run before the workflow', () => {
    const launch = (node: boolean | undefined, run: boolean | undefined, wf: boolean) => {
      const metadata =
        node === undefined ? {} : { interruptibleValue: { $case: 'interruptible' as const, value: node } };
      const spec = { tasks: { r: {} }, nodes: [task('n0', 'r', {}, { metadata })], interruptible: wf };
      return new Driver(closure(spec), { settings: { interruptible: run } }).launchOf('n0').interruptible;
    };
    expect(launch(undefined, undefined, false)).toBe(false);
    expect(launch(undefined, undefined, true)).toBe(true);
    expect(launch(undefined, false, true)).toBe(false);
    expect(launch(true, false, false)).toBe(true);
  });

  it('reports of other attempts, repeats and late ones change nothing', () => {
    const driver = retrying(1);
    const first = driver.launchOf('n0');
    driver.running('n0');
    expect(driver.report(first, 2)).toBe(false);
    expect(driver.report(first, 1)).toBe(false);
    expect(driver.report(first, 2, { phaseVersion: 1, reason: 'still there' })).toBe(true);
    driver.fail('n0', { retryable: true });
    expect(driver.report(first, 3)).toBe(false);
    driver.succeed('n0', { o: int(1) });
    expect(driver.report(first, 5)).toBe(false);
    expect(driver.phase()).toBe('SUCCEEDED');
  });
});
