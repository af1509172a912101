import type { ControlNode } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import {
  array,
  closure,
  Driver,
  eachWay,
  INT,
  int,
  list,
  listOf,
  sub,
  task,
  type DriverOptions,
} from '../testing/index.js';

const seconds = (value: number) => ({ seconds: BigInt(value), nanos: 0 });
const late: DriverOptions = { aborts: 'late' };
const limit = { metadata: { timeout: seconds(10), retries: { retries: 3 } } };

/** Names of the attempts that were told to end. */
const told = (driver: Driver): string[] =>
  driver.effects.flatMap((effect) => (effect.kind === 'abort' ? [effect.attempt.name] : []));

/** Two tasks side by side. */
const pair = (options = late, spec = {}): Driver =>
  new Driver(closure({ tasks: { t: spec }, nodes: [task('n0', 't'), task('n1', 't')] }), options);

const mapping = (spec = {}, options = late): Driver =>
  new Driver(
    closure({
      tasks: { t: { inputs: { a: INT }, outputs: { o: INT }, ...spec } },
      inputs: { xs: list(INT) },
      nodes: [array('n0', task('item', 't'), { a: 'in.xs' })],
      outputs: { r: 'n0.o' },
      outputTypes: { r: list(INT) },
    }),
    { inputs: { xs: listOf([int(0), int(1), int(2)]) }, ...options },
  );

/** Each waits for the backends' word: an attempt may still be on its way, and would begin after its end was told (decision 0053). */
eachWay('ends that come from elsewhere', () => {
  it('C-60: when a node fails, the others are over as their backends say', () => {
    const driver = pair();
    driver.fail('n0');
    expect(driver.phases().at(-1)).toBe('n0:FAILED');
    expect(driver.phase()).toBe('RUNNING');
    expect(told(driver)).toEqual(['exec-n1-0']);
    driver.hear(0);
    expect(driver.phases().at(-1)).toBe('n1:ABORTED');
    expect(driver.phase()).toBe('FAILED');
    expect(told(driver)).toEqual(['exec-n1-0']);
    expect(driver.timers.size).toBe(0);
  });

  it('C-60: one that succeeds meanwhile, or fails, is aborted all the same', () => {
    for (const phase of [Phase.SUCCEEDED, Phase.FAILED, Phase.RETRYABLE_FAILED]) {
      const driver = pair();
      const other = driver.launchOf('n1');
      driver.fail('n0');
      expect(driver.report(other, Phase.RUNNING)).toBe(false);
      expect(driver.report(other, phase)).toBe(true);
      expect(driver.phases().at(-1)).toBe('n1:ABORTED');
      expect(driver.phase()).toBe('FAILED');
    }
  });

  it('C-60: nothing begins meanwhile, and what is not with a backend is over at once', () => {
    const driver = new Driver(
      closure({
        tasks: { t: {} },
        nodes: [task('n0', 't'), task('n1', 't'), task('n2', 't', {}, { after: ['n1'] })],
      }),
      { ...late, settings: { maxParallelism: 2 } },
    );
    const n1 = driver.launchOf('n1');
    driver.fail('n0');
    driver.report(n1, Phase.SUCCEEDED);
    expect(driver.launchedIds()).toEqual([]);
    expect(driver.phase()).toBe('FAILED');
  });

  it('C-62: the failure node begins when the others are over', () => {
    const driver = new Driver(
      closure({ tasks: { t: {} }, nodes: [task('n0', 't'), task('n1', 't')], failureNode: task('fn', 't') }),
      late,
    );
    driver.fail('n0');
    expect(driver.launchedIds()).toEqual([]);
    driver.hear(0);
    expect(driver.launchedIds()).toEqual(['fn']);
  });

  it('C-60: nodes of nested workflows are waited for, and theirs with them', () => {
    const inner = { nodes: [task('a', 't'), task('b', 't')] };
    const driver = new Driver(
      closure({ tasks: { t: {} }, nodes: [task('n0', 't'), sub('n1', 'inner')], subs: { inner } }),
      late,
    );
    driver.fail('n0');
    driver.hear(1);
    expect(driver.phases().at(-1)).toBe('n1-0-b:ABORTED');
    driver.hear(0);
    expect(driver.phases().slice(-2)).toEqual(['n1-0-a:ABORTED', 'n1:ABORTED']);
    expect(driver.phase()).toBe('FAILED');
  });

  it('C-141: an array that can’t succeed any more fails when its other items are over', () => {
    const driver = mapping();
    driver.fail('n0', { index: 1 });
    expect(driver.phase()).toBe('RUNNING');
    expect(told(driver)).toHaveLength(2);
    driver.hear(0);
    expect(driver.phase()).toBe('RUNNING');
    driver.hear(0);
    expect(driver.phases()).toContain('n0:FAILED');
    expect(driver.ended()?.error?.message).toContain('1 of 3 items failed');
    expect(told(driver)).toHaveLength(2);
  });

  it('C-50: the next attempt begins when the one that took too long is over, with what it had saved', () => {
    const driver = pair(late, limit);
    const launch = driver.launchOf('n0');
    driver.running('n0');
    driver.advance(10);
    expect(told(driver)).toEqual(['exec-n0-0']);
    expect(driver.launchedIds()).toEqual(['n1']);
    driver.report(launch, Phase.ABORTED, { outcome: { result: undefined, deckUri: '', checkpointUri: 's3://saved' } });
    expect(driver.launchOf('n0')).toMatchObject({ attempt: { retryAttempt: 1 }, prevCheckpointPrefix: 's3://saved' });
  });

  it('C-51: a node whose own limit comes meanwhile has no other attempt', () => {
    const driver = pair({ ...late, settings: { activeTimeout: seconds(12) } }, limit);
    driver.running('n0');
    driver.advance(12);
    expect(driver.phases().join(' ')).not.toContain('TIMED_OUT');
    while (driver.stopped.length > 0) driver.hear(0);
    expect(driver.phases()).toContain('n0:TIMED_OUT');
    expect(driver.phase()).toBe('FAILED');
  });

  it('C-52: an attempt that nobody ran in time is not begun beside the next one', () => {
    const driver = pair({ ...late, settings: { queueTimeout: seconds(5) } }, limit);
    driver.advance(5);
    expect(driver.launchedIds()).toEqual([]);
    driver.hear(0);
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(1);
  });

  it('C-50: an item’s next attempt likewise', () => {
    const driver = mapping(limit);
    driver.running('n0', 2);
    driver.advance(10);
    expect(driver.launchedIds()).toEqual(['n0[0]', 'n0[1]']);
    driver.hear(0);
    expect(driver.launchOf('n0', 2).attempt.retryAttempt).toBe(1);
    for (const index of [0, 1, 2]) driver.succeed('n0', { o: int(index) }, index);
    expect(driver.outputs()).toEqual({ r: [0, 1, 2] });
  });

  it('an array that is aborted while an item is to end hears each item once', () => {
    const driver = mapping(limit);
    driver.running('n0', 2);
    driver.advance(10);
    driver.abort();
    expect(told(driver)).toHaveLength(3);
    while (driver.stopped.length > 0) driver.hear(0);
    expect(driver.phase()).toBe('ABORTED');
    expect(told(driver)).toHaveLength(3);
  });

  it('C-54: the run’s own limit', () => {
    const driver = pair({ ...late, settings: { timeout: seconds(7) } });
    driver.advance(7);
    expect(driver.phase()).toBe('RUNNING');
    expect(driver.abort()).toBe(false);
    driver.hear(0);
    driver.hear(0);
    expect(driver.phase()).toBe('TIMED_OUT');
  });

  it.each<[string, ControlNode['control'], string[]]>([
    ['cancel', { $case: 'cancel', value: { skipDownstream: false } }, ['n0:ABORTED']],
    ['retry', { $case: 'retry', value: {} }, []],
    ['set outputs', { $case: 'setOutputs', value: { outputs: { literals: {} } } }, ['n0:SUCCEEDED']],
    ['rerun', { $case: 'rerun', value: { inputs: undefined, task: undefined, overrides: undefined } }, []],
  ])('X-6: a control (%s)', (_, control, phases) => {
    const driver = pair();
    expect(driver.control('n0', control)).toBe(true);
    expect(driver.refusal()).toBe('');
    expect(driver.phases()).not.toContain('n0:SUCCEEDED');
    expect(driver.launchedIds()).toEqual(['n1']);
    driver.control('n0', { $case: 'retry', value: {} });
    expect(driver.refusal()).toContain('brought to its end');
    driver.hear(0);
    expect(driver.phases()).toEqual(expect.arrayContaining(phases));
    if (phases.length === 0) expect(driver.launchOf('n0').attempt.retryAttempt).toBe(1);
  });

  it('X-6: a cancel overrules a retry that still waits', () => {
    const driver = pair();
    driver.control('n0', { $case: 'retry', value: {} });
    driver.control('n0', { $case: 'cancel', value: { skipDownstream: true } });
    expect(driver.refusal()).toBe('');
    expect(told(driver)).toEqual(['exec-n0-0']);
    driver.hear(0);
    expect(driver.phases()).toContain('n0:ABORTED');
    driver.succeed('n1');
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('X-6: what hangs on a node that is run again is over before it begins anew', () => {
    const driver = new Driver(
      closure({ tasks: { t: {} }, nodes: [task('n0', 't'), task('n1', 't', {}, { after: ['n0'] })] }),
      late,
    );
    driver.succeed('n0');
    driver.control('n0', { $case: 'rerun', value: { inputs: undefined, task: undefined, overrides: undefined } });
    expect(driver.launchedIds()).toEqual([]);
    driver.hear(0);
    expect(driver.phases()).toContain('n1:ABORTED');
    expect(driver.launchedIds()).toEqual(['n0']);
    driver.succeed('n0');
    driver.succeed('n1');
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('X-6: controls that wait for the same node are done one after the other', () => {
    const driver = new Driver(
      closure({
        tasks: { t: {} },
        nodes: ['n0', 'n1', 'n2'].map((id, at) => task(id, 't', {}, { after: at ? [`n${at - 1}`] : [] })),
      }),
      late,
    );
    driver.succeed('n0');
    driver.succeed('n1');
    for (const node of ['n0', 'n1', 'n0']) {
      driver.control(node, { $case: 'retry', value: {} });
      driver.control(node, { $case: 'rerun', value: { inputs: undefined, task: undefined, overrides: undefined } });
    }
    driver.hear(0);
    expect(driver.launchedIds()).toEqual(['n0']);
    for (const node of ['n0', 'n1', 'n2']) driver.succeed(node);
    expect(driver.phase()).toBe('SUCCEEDED');
  });

  it('X-6: a control that waits when its workflow fails is told to be refused', () => {
    const driver = new Driver(
      closure({
        tasks: { t: {} },
        nodes: [task('n0', 't'), task('n1', 't', {}, { after: ['n0'] }), task('n2', 't')],
      }),
      late,
    );
    driver.succeed('n0');
    driver.control('n0', { $case: 'retry', value: {} });
    expect(driver.refusal()).toContain('it succeeded');
    driver.control('n0', { $case: 'rerun', value: { inputs: undefined, task: undefined, overrides: undefined } });
    expect(driver.refusal()).toBe('');
    driver.fail('n2');
    driver.hear(0);
    expect(driver.refusal()).toContain('failed');
    expect(driver.revisions().at(-1)).toMatchObject({ specPath: 'n0', control: { commandId: 'c2' } });
    expect(driver.launchedIds()).toEqual([]);
    expect(driver.phase()).toBe('FAILED');
  });

  it('none waits longer than 30 s', () => {
    const driver = pair({ aborts: 'unheard' }, limit);
    driver.running('n0');
    driver.advance(39);
    expect(driver.launchedIds()).toEqual(['n1']);
    driver.advance(1);
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(1);
    driver.fail('n1');
    driver.advance(29);
    expect(driver.phase()).toBe('RUNNING');
    driver.advance(1);
    expect(driver.phase()).toBe('FAILED');
    const items = mapping(limit, { aborts: 'unheard' });
    items.running('n0', 2);
    items.advance(40);
    expect(items.launchOf('n0', 2).attempt.retryAttempt).toBe(1);
  });

  it('of a run from before are told at once, as they were', () => {
    const driver = pair({ aborts: 'unheard', behaviours: 0n });
    driver.fail('n0');
    expect(driver.phase()).toBe('FAILED');
  });
});
