import { Literal } from '@aloft/idl/flyteidl/core/literals';
import { Behaviour } from '../behaviours.js';
import {
  array,
  closure,
  Driver,
  eachWay,
  INT,
  int,
  list,
  listOf,
  mapOf,
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
  many: { inputs: { xs: list(INT) }, outputs: { o: INT } },
  maybe: { inputs: { a: optional(INT) }, outputs: { o: INT } },
  text: { outputs: { s: STRING } },
  read: { inputs: { s: STRING }, outputs: { s: STRING } },
};

const inputsOf = (driver: Driver, nodeId: string): Record<string, unknown> => {
  const literals = driver.store.read(driver.launchOf(nodeId).inputs) ?? {};
  return Object.fromEntries(Object.entries(literals).map(([name, literal]) => [name, plain(literal)]));
};

eachWay('data', () => {
  it('C-102: literals, collections and promises are composed', () => {
    const driver = new Driver(
      closure({
        tasks,
        inputs: { x: INT },
        nodes: [task('n0', 'free'), task('n1', 'many', { xs: ['in.x', int(2), 'n0.o'] })],
      }),
      { inputs: { x: int(1) } },
    );
    driver.succeed('n0', { o: int(3) });
    expect(inputsOf(driver, 'n1')).toEqual({ xs: [1, 2, 3] });
  });

  it('C-102: a missing optional input is None; so is an unbound one', () => {
    const driver = new Driver(
      closure({
        tasks,
        inputs: { x: optional(INT) },
        nodes: [task('n0', 'maybe', { a: 'in.x' }), task('n1', 'maybe')],
      }),
    );
    expect(inputsOf(driver, 'n0')).toEqual({ a: null });
    expect(inputsOf(driver, 'n1')).toEqual({ a: null });
  });

  it('C-103: attribute paths lead into maps and lists', () => {
    const driver = new Driver(
      closure({ tasks, inputs: { m: INT }, nodes: [task('n0', 't', { a: { promise: 'in.m', path: ['k', 1] } })] }),
      { inputs: { m: mapOf({ k: listOf([int(5), int(6)]) }) } },
    );
    expect(inputsOf(driver, 'n0')).toEqual({ a: 6 });
  });

  it('C-104: so are outputs of the workflow, also where its other nodes may go on; old logs come to what they came to', () => {
    const spec = closure({
      tasks: { l: { outputs: { o: INT } } },
      nodes: [task('n0', 'l')],
      outputs: { r: { promise: 'n0.o', path: [3] } },
      failAfter: true,
    });
    for (const [behaviours, phase] of [
      [BigInt(Behaviour.SettlesFailedEnd), 'FAILED'],
      [0n, 'RUNNING'],
    ] as const) {
      const driver = new Driver(spec, { behaviours });
      driver.succeed('n0', { o: int(1) });
      expect(driver.phase()).toBe(phase);
    }
  });

  it('C-110: a deck’s link is there while its task runs; its end says whether there is a deck', () => {
    const decks = (behaviours?: bigint) => {
      const spec = closure({ tasks: { d: { metadata: { generatesDeck: true } } }, nodes: [task('n0', 'd')] });
      const driver = new Driver(spec, { behaviours });
      driver.running('n0');
      driver.succeed('n0');
      const events = driver.events().nodes.filter((event) => event.id?.nodeId === 'n0');
      return events.map(({ deckUri }) => deckUri);
    };
    expect(decks()).toEqual(['', 's3://aloft/metadata/propeller/p-d-exec/n0/data/0/deck.html', '']);
    expect(decks(0n)).toEqual(['', '', '']);
  });

  describe('C-105: values that a task stored apart', () => {
    const offloaded = (uri: string) =>
      Literal.create({
        value: { $case: 'offloadedMetadata', value: { uri, sizeBytes: 99n, inferredType: undefined } },
      });
    const produced = (driver: Driver) => {
      driver.store.offloaded.set('s3://apart', listOf([int(5), int(6)]));
      driver.succeed('n0', { o: offloaded('s3://apart') });
    };

    it('are passed on as they are, and looked into by whoever writes the inputs', () => {
      const driver = new Driver(
        closure({
          tasks,
          nodes: [
            task('n0', 'free'),
            task('n1', 't', { a: 'n0.o' }),
            task('n2', 't', { a: { promise: 'n0.o', path: [1] } }),
          ],
        }),
      );
      produced(driver);
      const inputs = driver.launchOf('n1').inputs.value;
      expect(inputs).toMatchObject({ value: { literals: { a: { value: { $case: 'offloadedMetadata' } } } } });
      expect(driver.launchOf('n2').inputs.value?.$case).toBe('stored');
      expect(inputsOf(driver, 'n2')).toEqual({ a: 6 });
    });

    it('are mapped over', () => {
      const driver = new Driver(
        closure({ tasks, nodes: [task('n0', 'free'), array('n1', task('item', 't'), { a: 'n0.o' })] }),
      );
      produced(driver);
      expect(driver.launchedIds()).toEqual(['n1[0]', 'n1[1]']);
    });
  });

  it('C-103: an attribute that is not there is the author’s error, as where the value is stored', () => {
    const ended = (behaviours?: bigint) =>
      new Driver(
        closure({ tasks, inputs: { m: INT }, nodes: [task('n0', 't', { a: { promise: 'in.m', path: ['nope'] } })] }),
        { inputs: { m: mapOf({}) }, behaviours },
      ).ended()?.error;
    expect(ended()).toMatchObject({ code: 'PromiseAttributeResolveError', kind: 1 });
    expect(ended()?.message).toContain('[n0].[a]');
    expect(ended(0n)).toMatchObject({ code: 'BindingResolutionFailure', kind: 2 });
  });

  it('C-104: what cannot be resolved is a BindingResolutionFailure of the system', () => {
    const driver = new Driver(closure({ tasks, inputs: { m: INT }, nodes: [task('n0', 't', { a: 'in.gone' })] }), {
      inputs: { m: mapOf({}) },
    });
    expect(driver.ended()?.error).toMatchObject({ code: 'BindingResolutionFailure', kind: 2 });
    expect(driver.ended()?.error?.message).toContain('[n0].[a]');
  });

  it('C-108: a declared output must be there', () => {
    const driver = new Driver(closure({ tasks, nodes: [task('n0', 'free')] }));
    driver.succeed('n0', {});
    expect(driver.ended()?.error).toMatchObject({ code: 'RetriesExhausted|OutputsNotFound' });
  });

  it('stored outputs are passed by reference: what reads them has its inputs written from them', () => {
    const driver = new Driver(
      closure({
        tasks,
        nodes: [task('n0', 'text'), task('n1', 'read', { s: 'n0.s' })],
        outputs: { r: 'n1.s' },
        outputTypes: { r: STRING },
      }),
    );
    driver.succeedWith(driver.launchOf('n0'), driver.store.stored('s3://big', { s: str('x'.repeat(50_000)) }));
    const store = driver.effects.find((effect) => effect.kind === 'request');
    expect(store).toMatchObject({
      ask: {
        uri: 's3://aloft/metadata/propeller/p-d-exec/n1/data/inputs.pb',
        variables: { s: { uri: 's3://big', variable: 's', path: [] } },
      },
    });
    expect(driver.launchOf('n1').inputs.value).toMatchObject({ $case: 'stored' });
    driver.succeed('n1', { s: str('short') });
    expect(driver.outputs()).toEqual({ r: 'short' });
  });

  it('values that are too large together are written', () => {
    const part = str('x'.repeat(20_000));
    const driver = new Driver(
      closure({
        tasks: { two: { inputs: { a: STRING, b: STRING } }, text: tasks.text },
        nodes: [task('n0', 'text'), task('n1', 'text'), task('n2', 'two', { a: 'n0.s', b: 'n1.s' })],
      }),
    );
    driver.succeed('n0', { s: part });
    driver.succeed('n1', { s: part });
    expect(driver.launchOf('n2').inputs.value?.$case).toBe('stored');
    expect(inputsOf(driver, 'n2')).toMatchObject({ a: plain(part) });
  });

  it('a node’s outputs are forgotten when their last reader has them', () => {
    const inner = { inputs: { x: INT }, nodes: [task('n0', 't', { a: 'in.x' })], outputs: { y: 'n0.o' } };
    const driver = new Driver(
      closure({
        tasks,
        subs: { inner },
        nodes: [
          task('n0', 'text'),
          task('n1', 'read', { s: 'n0.s' }),
          sub('n2', 'inner', { x: int(1) }),
          task('n3', 'free'),
        ],
      }),
    );
    const before = driver.run.snapshot().length;
    driver.succeed('n0', { s: str('y'.repeat(30_000)) });
    expect(driver.run.snapshot().length).toBeGreaterThan(before + 30_000);
    driver.succeed('n1', { s: str('z'.repeat(30_000)) });
    expect(driver.run.snapshot().length).toBeLessThan(before + 1000);
  });
});
