import type { ControlNode } from '@aloft/idl/aloft/v1/bus';
import { Resources_ResourceName } from '@aloft/idl/flyteidl/core/tasks';
import { TaskNodeOverrides } from '@aloft/idl/flyteidl/core/workflow';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { parseRetryPolicy } from '../settings/retry-policy.js';
import {
  array,
  bool,
  branch,
  closure,
  compare,
  Driver,
  eachWay,
  gate,
  INT,
  int,
  plain,
  sub,
  task,
  taskTemplate,
  type Ask,
  type ClosureSpec,
  type DriverOptions,
} from '../testing/index.js';

const tasks = {
  free: { outputs: { o: INT } },
  t: { inputs: { a: INT }, outputs: { o: INT } },
  two: { inputs: { a: INT, b: INT }, outputs: { o: INT } },
};

type Control = NonNullable<ControlNode['control']>;
const cancel = (skipDownstream = false): Control => ({ $case: 'cancel', value: { skipDownstream } });
const retry: Control = { $case: 'retry', value: {} };
const set = (outputs: Record<string, Literal>): Control => ({
  $case: 'setOutputs',
  value: { outputs: { literals: outputs } },
});
const rerun = (inputs?: Record<string, Literal>): Control => ({
  $case: 'rerun',
  value: { inputs: inputs && { literals: inputs }, task: undefined, overrides: undefined },
});

/** n0 → n1 → n3, n2 → n3; n2 and n3 also read n0. */
const diamond = (more: Partial<ClosureSpec> = {}) =>
  closure({
    tasks,
    nodes: [
      task('n0', 'free'),
      task('n1', 't', { a: 'n0.o' }),
      task('n2', 't', { a: 'n0.o' }),
      task('n3', 'two', { a: 'n1.o', b: 'n2.o' }),
    ],
    outputs: { r: 'n3.o' },
    ...more,
  });

const inputsOf = (driver: Driver, nodeId: string) => {
  const literals = driver.store.read(driver.launchOf(nodeId).inputs) ?? {};
  return Object.fromEntries(Object.entries(literals).map(([name, literal]) => [name, plain(literal)]));
};
const abortsOf = (driver: Driver) =>
  driver.effects.flatMap((effect) => (effect.kind === 'abort' ? [effect.attempt.name] : []));

eachWay('cancelling a node', () => {
  it('X-6, C-60: aborts its attempt, and the failure policy decides about the rest', () => {
    const driver = new Driver(diamond());
    driver.succeed('n0', { o: int(1) });
    driver.control('n1', cancel());
    expect(abortsOf(driver)).toEqual(['exec-n1-0', 'exec-n2-0']);
    expect(driver.phase()).toBe('FAILED');
    expect(driver.ended()?.error).toMatchObject({
      code: 'NodeCancelled',
      message: 'the node was cancelled by me: because',
    });
    expect(driver.phases()).toContain('n1:ABORTED');
    expect(driver.revisions()).toMatchObject([
      { refused: '', specPath: 'n1', control: { nodeId: 'n1', principal: 'me', cause: 'because' } },
    ]);
  });

  it('C-61: under FAIL_AFTER_EXECUTABLE_NODES_COMPLETE what does not hang on it goes on', () => {
    const driver = new Driver(diamond({ failAfter: true }));
    driver.succeed('n0', { o: int(1) });
    driver.control('n1', cancel());
    expect(driver.launchedIds()).toEqual(['n2']);
    driver.succeed('n2', { o: int(2) });
    expect(driver.phases()).toContain('n3:SKIPPED');
    expect(driver.phase()).toBe('FAILED');
  });

  it('X-6: with skip_downstream what hangs on it is skipped and the run succeeds', () => {
    const driver = new Driver(diamond({ outputs: { r: 'n2.o' } }));
    driver.succeed('n0', { o: int(1) });
    driver.control('n1', cancel(true));
    driver.succeed('n2', { o: int(5) });
    expect(driver.phases()).toEqual(expect.arrayContaining(['n1:ABORTED', 'n3:SKIPPED']));
    expect(driver.outputs()).toEqual({ r: 5 });
  });

  it('X-6: skip_downstream is refused where an output of the workflow would be missing', () => {
    const driver = new Driver(diamond());
    driver.succeed('n0', { o: int(1) });
    expect(driver.control('n1', cancel(true))).toBe(true);
    expect(driver.refusal()).toContain('the workflow\'s output "r" would be missing');
    expect(driver.launchedIds()).toEqual(['n1', 'n2']);
  });

  it('X-6: a node that has not begun never begins', () => {
    const driver = new Driver(diamond({ outputs: {} }));
    driver.control('n3', cancel(true));
    driver.succeed('n0', { o: int(1) });
    driver.succeed('n1', { o: int(1) });
    driver.succeed('n2', { o: int(1) });
    expect(driver.phase()).toBe('SUCCEEDED');
    expect(driver.phases()).toContain('n3:ABORTED');
  });

  it('X-6: of a branch and its case nothing is left running', () => {
    const spec = {
      tasks,
      nodes: [
        branch('b', { '.v': int(1) }, [[compare('.v', '>', int(0)), task('c', 'free')]], task('e', 'free')),
        task('n1', 't', { a: 'b.o' }),
        task('n2', 'free'),
      ],
    };
    const whole = new Driver(closure(spec));
    whole.control('b', cancel(true));
    expect(abortsOf(whole)).toHaveLength(1);
    whole.succeed('n2', { o: int(1) });
    expect(whole.phase()).toBe('SUCCEEDED');
    const inner = new Driver(closure(spec));
    inner.control('b-0-c', cancel(true));
    inner.succeed('n2', { o: int(1) });
    expect(inner.phases()).toEqual(expect.arrayContaining(['b-0-c:ABORTED', 'b:SKIPPED', 'n1:SKIPPED']));
    expect(inner.phase()).toBe('SUCCEEDED');
  });
});

eachWay('retrying a node', () => {
  it('X-6: aborts the running attempt and begins the next, which costs no budget', () => {
    const metadata = { retries: { retries: 1 } };
    const driver = new Driver(closure({ tasks: { t: { outputs: { o: INT }, metadata } }, nodes: [task('n0', 't')] }));
    driver.running('n0');
    const stale = driver.launchOf('n0');
    driver.control('n0', retry);
    expect(abortsOf(driver)).toEqual(['exec-n0-0']);
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(1);
    expect(driver.report(stale, 4)).toBe(false);
    driver.fail('n0', { retryable: true });
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(2);
    driver.control('n0', retry);
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(3);
    driver.fail('n0', { retryable: true });
    expect(driver.phase()).toBe('FAILED');
    expect(driver.ended()?.error?.message).toContain('attempt 2 of 2');
  });

  it('X-6: one that waits for its next attempt begins it at once', () => {
    const metadata = { retries: { retries: 2 } };
    const spec = closure({ tasks: { t: { outputs: { o: INT }, metadata } }, nodes: [task('n0', 't')] });
    const parsed = parseRetryPolicy('delay=60s');
    if ('problem' in parsed) throw new Error(parsed.problem);
    const driver = new Driver(spec, { settings: { retryPolicy: parsed.policy } });
    driver.fail('n0', { retryable: true });
    expect(driver.launchedIds()).toEqual([]);
    driver.control('n0', retry);
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(1);
    expect(driver.timers.size).toBe(0);
  });

  it('X-6: a failed node of a run that goes on gets another attempt, and what was skipped for its sake its turn', () => {
    const driver = new Driver(diamond({ failAfter: true }));
    driver.succeed('n0', { o: int(1) });
    driver.fail('n1');
    driver.control('n1', retry);
    expect(inputsOf(driver, 'n1')).toEqual({ a: 1 });
    expect(driver.launchOf('n1').attempt).toMatchObject({ retryAttempt: 1, generation: 2 });
    driver.succeed('n2', { o: int(2) });
    driver.succeed('n1', { o: int(3) });
    expect(inputsOf(driver, 'n3')).toEqual({ a: 3, b: 2 });
    driver.succeed('n3', { o: int(4) });
    expect(driver.outputs()).toEqual({ r: 4 });
  });

  it('X-6: a sub-workflow and an array begin anew as a whole', () => {
    const inner = { inputs: { x: INT }, nodes: [task('n0', 't', { a: 'in.x' })], outputs: { y: 'n0.o' } };
    const driver = new Driver(
      closure({
        tasks,
        subs: { inner },
        nodes: [sub('s', 'inner', { x: int(1) }), array('m', task('item', 't'), { a: [int(1), int(2)] })],
        outputs: { r: 's.y' },
      }),
    );
    driver.succeed('m', { o: int(1) }, 0);
    driver.control('s', retry);
    driver.control('m', retry);
    expect(driver.launchedIds().sort()).toEqual(['m[0]', 'm[1]', 's-1-n0']);
    expect(abortsOf(driver).sort()).toEqual(['exec-m-0-n1-0', 'exec-s-0-n0-0']);
    driver.succeed('m', { o: int(1) }, 0);
    driver.succeed('m', { o: int(1) }, 1);
    driver.succeed('s-1-n0', { o: int(7) });
    expect(driver.outputs()).toEqual({ r: 7 });
  });

  it('X-6: what has no attempt to replace is refused, and why is said', () => {
    const driver = new Driver(diamond());
    driver.control('n1', retry);
    expect(driver.refusal()).toBe('it has not begun');
    driver.succeed('n0', { o: int(1) });
    driver.control('n0', retry);
    expect(driver.refusal()).toContain('rerun it');
    driver.control('nope', retry);
    expect(driver.refusal()).toContain('there is no node nope');
    driver.control('end-node', retry);
    expect(driver.refusal()).toContain("the end of a workflow can't be changed");
  });
});

eachWay("setting a node's outputs", () => {
  it('X-6: a running node, one that has not begun and a failed one take them, and the run goes on', () => {
    const driver = new Driver(diamond({ failAfter: true }));
    driver.control('n2', set({ o: int(20) }));
    driver.control('n0', set({ o: int(1) }));
    expect(abortsOf(driver)).toEqual(['exec-n0-0']);
    driver.fail('n1');
    expect(driver.phases()).toContain('n3:SKIPPED');
    expect(driver.phase()).toBe('FAILED');

    const other = new Driver(diamond({ failAfter: true }));
    other.succeed('n0', { o: int(1) });
    other.fail('n1');
    other.control('n1', set({ o: int(10) }));
    other.succeed('n2', { o: int(2) });
    expect(inputsOf(other, 'n3')).toEqual({ a: 10, b: 2 });
    other.succeed('n3', { o: int(4) });
    expect(other.outputs()).toEqual({ r: 4 });
  });

  it('X-6: of a node that succeeded, and all downstream of it is computed again', () => {
    const driver = new Driver(diamond());
    driver.succeed('n0', { o: int(1) });
    driver.succeed('n1', { o: int(2) });
    driver.succeed('n2', { o: int(3) });
    driver.control('n1', set({ o: int(9) }));
    expect(abortsOf(driver)).toEqual(['exec-n3-0']);
    expect(driver.launchOf('n3').attempt.retryAttempt).toBe(1);
    expect(inputsOf(driver, 'n3')).toEqual({ a: 9, b: 3 });
  });

  it('X-6: they must be what the node declares', () => {
    const driver = new Driver(diamond());
    driver.control('n0', set({ o: bool(true) }));
    expect(driver.refusal()).toContain('output "o" must be integer');
    driver.control('n0', set({ p: int(1) }));
    expect(driver.refusal()).toBe('it has no output "p"; it has o');
    driver.control('n0', set({}));
    expect(driver.refusal()).toBe('output "o" (integer) is missing');
    expect(driver.launchedIds()).toEqual(['n0']);
  });

  it('X-6: a gate lets through what it is given', () => {
    const spec = {
      tasks: { t: tasks.t },
      nodes: [
        gate('g', { $case: 'signal', value: { signalId: 's', type: INT, outputVariableName: 'o' } }),
        task('n1', 't', { a: 'g.o' }),
      ],
    };
    const driver = new Driver(closure(spec));
    driver.control('g', set({ o: int(3) }));
    expect(inputsOf(driver, 'n1')).toEqual({ a: 3 });
    expect(driver.signal('s', int(4))).toBe(true);
    expect(driver.launchedIds()).toEqual(['n1']);
  });
});

eachWay('rerunning from a node', () => {
  const done = (driver: Driver) => {
    driver.succeed('n0', { o: int(1) });
    driver.succeed('n1', { o: int(2) });
    driver.succeed('n2', { o: int(3) });
  };

  it('X-6: it and everything downstream run again, the rest is kept; forgotten outputs are recalled', () => {
    const driver = new Driver(diamond());
    done(driver);
    driver.control('n1', rerun());
    expect(driver.launchedIds()).toEqual(['n1']);
    expect(inputsOf(driver, 'n1')).toEqual({ a: 1 });
    driver.succeed('n1', { o: int(5) });
    expect(inputsOf(driver, 'n3')).toEqual({ a: 5, b: 3 });
    expect(driver.launchOf('n3').attempt).toMatchObject({ retryAttempt: 1, generation: 2, name: 'exec-n3-1' });
    driver.succeed('n3', { o: int(6) });
    expect(driver.outputs()).toEqual({ r: 6 });
    expect(driver.events().nodes.filter(({ id }) => id?.nodeId === 'n2')).toHaveLength(2);
    const reset = driver.effects.flatMap((effect) =>
      effect.kind === 'event' && effect.event.event?.$case === 'nodesReset' ? effect.event.event.value.nodeIds : [],
    );
    expect(reset).toEqual(['n1', 'n3']);
  });

  it('X-6: waits for what is recalled', () => {
    const asked: bigint[] = [];
    const held: DriverOptions = {
      onRequest: (ask: Ask, driver) => {
        if (ask.kind !== 'recall-outputs') return undefined;
        asked.push([...driver.requests.keys()].at(-1)!);
        return undefined;
      },
    };
    const driver = new Driver(diamond(), held);
    Object.assign(driver, { recall: () => undefined });
    done(driver);
    driver.control('n2', rerun());
    expect(driver.launchedIds()).toEqual([]);
    // Again, before the answer: one request, not two.
    driver.control('n1', rerun());
    expect(asked.length).toBe(2);
    const outputs = (value: number) => ({
      value: { $case: 'inline' as const, value: { literals: { o: int(value) } } },
    });
    for (const request of asked) driver.answer(request, { $case: 'recalled', value: { outputs: outputs(1) } });
    expect(driver.launchedIds().sort()).toEqual(['n1', 'n2']);
    driver.succeed('n1', { o: int(7) });
    driver.succeed('n2', { o: int(8) });
    expect(inputsOf(driver, 'n3')).toEqual({ a: 7, b: 8 });
  });

  it('X-6: with other inputs, another version of its task and other resources', () => {
    const driver = new Driver(diamond());
    done(driver);
    const v2 = taskTemplate('t', { inputs: { a: INT }, outputs: { o: INT } });
    v2.id = { ...v2.id!, version: '2' };
    v2.target = { $case: 'container', value: { ...emptyContainer, image: 'v2' } };
    const cpu = { name: Resources_ResourceName.CPU, value: '4' };
    const overrides = TaskNodeOverrides.fromPartial({ resources: { requests: [cpu] } });
    driver.control('n1', {
      $case: 'rerun',
      value: { inputs: { literals: { a: int(40) } }, task: v2, overrides },
    });
    expect(inputsOf(driver, 'n1')).toEqual({ a: 40 });
    const { template, attempt } = driver.launchOf('n1');
    expect(attempt.task?.version).toBe('2');
    expect(template.target?.$case === 'container' && template.target.value).toMatchObject({
      image: 'v2',
      resources: { requests: [cpu] },
    });
    expect(driver.events().tasks.at(-1)?.taskId?.version).toBe('2');
    // Told without the template, which may be large.
    const told = driver.revisions()[0]?.control?.control;
    expect(told?.$case === 'rerun' && told.value.task).toMatchObject({ id: { version: '2' }, target: undefined });
    // A later one keeps what it doesn't name.
    driver.control('n1', rerun());
    expect(driver.launchOf('n1').attempt.task?.version).toBe('2');
    expect(inputsOf(driver, 'n1')).toEqual({ a: 40 });
  });

  it('X-6: a branch whose case is concerned chooses again', () => {
    const driver = new Driver(
      closure({
        tasks,
        inputs: { x: INT },
        nodes: [
          task('n0', 't', { a: 'in.x' }),
          branch(
            'b',
            { '.v': 'n0.o' },
            [[compare('.v', '>', int(3)), task('c', 't', { a: 'n0.o' })]],
            task('e', 'free'),
          ),
          task('n1', 't', { a: 'b.o' }),
        ],
        outputs: { r: 'n1.o' },
      }),
      { inputs: { x: int(1) } },
    );
    driver.succeed('n0', { o: int(5) });
    driver.succeed('b-0-c', { o: int(6) });
    expect(inputsOf(driver, 'n1')).toEqual({ a: 6 });
    driver.control('n0', rerun({ a: int(2) }));
    expect(inputsOf(driver, 'n0')).toEqual({ a: 2 });
    driver.succeed('n0', { o: int(0) });
    expect(driver.launchedIds()).toEqual(['b-0-e']);
    driver.succeed('b-0-e', { o: int(8) });
    expect(inputsOf(driver, 'n1')).toEqual({ a: 8 });
    driver.control('b-0-e', rerun());
    expect(driver.launchOf('b-0-e').attempt.retryAttempt).toBe(1);
  });

  it('X-6: before a node begins, how it will run is changed', () => {
    const driver = new Driver(diamond());
    driver.control('n1', rerun({ a: int(77) }));
    driver.succeed('n0', { o: int(1) });
    expect(inputsOf(driver, 'n1')).toEqual({ a: 77 });
    driver.control('n1', rerun({ nope: int(1) }));
    expect(driver.refusal()).toBe('it has no input "nope"; it has a');
  });

  it('X-6: a command that comes twice does nothing the second time, and none does after the end', () => {
    const driver = new Driver(diamond());
    driver.running('n0');
    expect(driver.control('n0', retry, 'once')).toBe(true);
    expect(driver.control('n0', retry, 'once')).toBe(false);
    expect(driver.launchOf('n0').attempt.retryAttempt).toBe(1);
    driver.abort();
    expect(driver.control('n0', retry)).toBe(false);
  });
});

const emptyContainer = {
  image: '',
  command: [],
  args: [],
  resources: undefined,
  env: [],
  config: [],
  ports: [],
  dataConfig: undefined,
  architecture: 0,
};
