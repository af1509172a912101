import {
  branch,
  closure,
  compare,
  Driver,
  eachWay,
  INT,
  int,
  STRING,
  str,
  task,
  type Types,
} from '../testing/index.js';
import { Literal } from '@aloft/idl/flyteidl/core/literals';

const tasks = { t: { inputs: { a: INT }, outputs: { o: INT } }, free: { outputs: { o: INT } } };

/** if x > 10: big; elif x == 10: equal; else: small; then `after` on the branch's output. */
function threeWays(x: number): Driver {
  return new Driver(
    closure({
      tasks,
      inputs: { x: INT },
      nodes: [
        branch(
          'n0',
          { '.x': 'in.x' },
          [
            [compare('.x', '>', int(10)), task('big', 't', { a: 'in.x' })],
            [compare('.x', '==', int(10)), task('equal', 't', { a: 'in.x' })],
          ],
          task('small', 't', { a: 'in.x' }),
        ),
        task('after', 't', { a: 'n0.o' }),
      ],
      outputs: { r: 'after.o' },
    }),
    { inputs: { x: int(x) } },
  );
}

eachWay('a branch', () => {
  it.each([
    [11, 'n0-0-big', ['n0-0-equal', 'n0-0-small']],
    [10, 'n0-0-equal', ['n0-0-big', 'n0-0-small']],
    [9, 'n0-0-small', ['n0-0-big', 'n0-0-equal']],
  ])('C-120, C-123: with %d runs %s, skips the others and passes its outputs on', (x, chosen, skipped) => {
    const driver = threeWays(x);
    expect(driver.launchedIds()).toEqual([chosen]);
    for (const other of skipped) expect(driver.phases()).toContain(`${other}:SKIPPED`);
    driver.succeed(chosen, { o: int(5) });
    expect(driver.launchOf('after').inputs.value).toMatchObject({ value: { literals: { a: int(5) } } });
    driver.succeed('after', { o: int(6) });
    expect(driver.outputs()).toEqual({ r: 6 });
    const inner = driver.events().nodes.find((event) => event.id?.nodeId === chosen)!;
    expect(inner.parentNodeMetadata).toMatchObject({ nodeId: 'n0' });
    expect(inner.retryGroup).toBe('0');
    expect(driver.events().nodes.find((event) => event.id?.nodeId === 'n0')).toMatchObject({ isParent: true });
  });

  it('C-122: no case true and an else that fails is a user error with its text', () => {
    const driver = new Driver(
      closure({
        tasks,
        nodes: [branch('n0', {}, [[compare(int(1), '==', int(2)), task('a', 'free')]], 'neither')],
      }),
    );
    expect(driver.phase()).toBe('FAILED');
    expect(driver.ended()?.error).toMatchObject({ code: 'UserProvidedError', message: 'neither' });
  });

  const bad: [string, Types, Record<string, Literal>, ReturnType<typeof compare>][] = [
    ['different types', { x: STRING }, { x: str('1') }, compare('x', '==', int(1))],
    ['booleans are not ordered', {}, {}, compare(boolLiteral(true), '<', boolLiteral(false))],
    ['no such variable', {}, {}, compare('y', '==', int(1))],
  ];
  it.each(bad)('C-121: refuses %s', (_what, inputs, values, condition) => {
    const driver = new Driver(
      closure({
        tasks,
        inputs,
        nodes: [
          branch(
            'n0',
            Object.fromEntries(Object.keys(inputs).map((name) => [name, `in.${name}`])),
            [[condition, task('a', 'free')]],
            task('b', 'free'),
          ),
        ],
      }),
      { inputs: values },
    );
    expect(driver.ended()?.error).toMatchObject({ code: 'MalformedBranchUserError' });
  });

  it('Q-18: datetimes are compared to the nanosecond', () => {
    const time = (nanos: number) =>
      Literal.create({
        value: {
          $case: 'scalar',
          value: {
            value: { $case: 'primitive', value: { value: { $case: 'datetime', value: { seconds: 5n, nanos } } } },
          },
        },
      });
    const driver = new Driver(
      closure({
        tasks,
        nodes: [branch('n0', {}, [[compare(time(2), '>', time(1)), task('a', 'free')]], task('b', 'free'))],
      }),
    );
    expect(driver.launchedIds()).toEqual(['n0-0-a']);
  });

  it('C-120: a case may be a branch; one not chosen shows nothing of its inside', () => {
    const inner = (id: string, taken: boolean) =>
      branch(id, {}, [[compare(int(1), '==', int(taken ? 1 : 2)), task('x', 'free')]], task('y', 'free'));
    const driver = new Driver(
      closure({
        tasks,
        nodes: [branch('n0', {}, [[compare(int(1), '==', int(1)), inner('m0', false)]], inner('m1', true))],
        outputs: { r: 'n0.o' },
      }),
    );
    expect(driver.launchedIds()).toEqual(['n0-0-m0-0-y']);
    expect(driver.phases()).toContain('n0-0-m1:SKIPPED');
    expect(driver.phases().join()).not.toContain('m1-0');
    driver.succeed('n0-0-m0-0-y', { o: int(4) });
    expect(driver.outputs()).toEqual({ r: 4 });
  });

  it('C-22: the chosen node waits for promises of its own; what failed upstream skips the branch', () => {
    const spec = {
      tasks,
      failAfter: true,
      nodes: [
        task('up', 'free'),
        branch('n0', {}, [[compare(int(1), '==', int(1)), task('a', 't', { a: 'up.o' })]], 'no'),
        task('after', 't', { a: 'n0.o' }),
      ],
    };
    const driver = new Driver(closure(spec));
    expect(driver.launchedIds()).toEqual(['up']);
    driver.fail('up');
    expect(driver.phases()).toEqual(expect.arrayContaining(['n0-0-a:SKIPPED', 'n0:SKIPPED', 'after:SKIPPED']));
    expect(driver.phase()).toBe('FAILED');
  });

  it('C-121: a failing case fails the branch and the run', () => {
    const driver = threeWays(11);
    driver.fail('n0-0-big');
    expect(driver.phases()).toEqual(expect.arrayContaining(['n0-0-big:FAILED', 'n0:FAILED']));
    expect(driver.ended()?.error).toMatchObject({ code: 'Boom', message: 'boom' });
  });
});

function boolLiteral(value: boolean): Literal {
  return Literal.create({
    value: { $case: 'scalar', value: { value: { $case: 'primitive', value: { value: { $case: 'boolean', value } } } } },
  });
}
