import { NodeRevision, type ControlNode } from '@aloft/idl/aloft/v1/bus';
import { RecoveredNode } from '@aloft/idl/aloft/v1/engine';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { closure, Driver, eachWay, INT, int, plain, sub, task } from '../testing/index.js';

const tasks = {
  free: { outputs: { o: INT } },
  t: { inputs: { a: INT }, outputs: { o: INT } },
  two: { inputs: { a: INT, b: INT }, outputs: { o: INT } },
};

type Control = NonNullable<ControlNode['control']>;
const set = (outputs: Record<string, Literal>): Control => ({
  $case: 'setOutputs',
  value: { outputs: { literals: outputs } },
});
const rerun = (inputs?: Record<string, Literal>): Control => ({
  $case: 'rerun',
  value: { inputs: inputs && { literals: inputs }, task: undefined, overrides: undefined },
});

const inputsOf = (driver: Driver, nodeId: string) => {
  const literals = driver.store.read(driver.launchOf(nodeId).inputs) ?? {};
  return Object.fromEntries(Object.entries(literals).map(([name, literal]) => [name, plain(literal)]));
};

eachWay('a run that is a revision of another', () => {
  const values: Record<string, number> = { n0: 1, n1: 2, n2: 3, n3: 4 };
  /** The other run succeeded with {@link values} everywhere. */
  const revised = (spec: Parameters<typeof closure>[0], ...revisions: NodeRevision[]) => {
    const asked: string[] = [];
    const driver = new Driver(closure(spec), {
      start: {
        recoverFrom: { project: 'p', domain: 'd', name: 'base', org: '' },
        recoverFromUid: 'base-uid',
        revisions,
      },
      onRequest: (ask) => {
        if (ask.kind !== 'recovered-node') return undefined;
        asked.push(ask.specPath);
        const outputs = { literals: { o: int(values[ask.specPath.split('/').at(-1)!]!) } };
        return {
          $case: 'recovered',
          value: RecoveredNode.fromPartial({ found: true, outputs: { value: { $case: 'inline', value: outputs } } }),
        };
      },
    });
    return { driver, asked };
  };
  const revision = (specPath: string, control: Control, inherited = false): NodeRevision =>
    NodeRevision.fromPartial({
      specPath,
      inherited,
      control: { commandId: `r-${specPath}`, nodeId: specPath, principal: 'me', cause: '', control },
    });
  const spec = {
    tasks,
    nodes: [
      task('n0', 'free'),
      task('n1', 't', { a: 'n0.o' }),
      task('n2', 't', { a: 'n0.o' }),
      task('n3', 'two', { a: 'n1.o', b: 'n2.o' }),
    ],
    outputs: { r: 'n3.o' },
  };

  it('X-6: runs the changed node and what is downstream of it, and takes the rest over', () => {
    const { driver, asked } = revised(spec, revision('n1', rerun({ a: int(50) })));
    expect(asked).toEqual(['n0', 'n2']);
    expect(inputsOf(driver, 'n1')).toEqual({ a: 50 });
    driver.succeed('n1', { o: int(6) });
    expect(inputsOf(driver, 'n3')).toEqual({ a: 6, b: 3 });
    driver.succeed('n3', { o: int(7) });
    expect(driver.outputs()).toEqual({ r: 7 });
    expect(driver.revisions()).toMatchObject([{ specPath: 'n1', refused: '', inherited: false }]);
  });

  it('X-6: with outputs set by hand', () => {
    const { driver } = revised(spec, revision('n1', set({ o: int(60) })));
    expect(driver.launchedIds()).toEqual(['n3']);
    expect(inputsOf(driver, 'n3')).toEqual({ a: 60, b: 3 });
  });

  it('X-6: an inherited change is no reason to run, but holds if the node does', () => {
    const { driver } = revised(spec, revision('n3', rerun({ b: int(99) }), true), revision('n1', rerun()));
    driver.succeed('n1', { o: int(6) });
    expect(inputsOf(driver, 'n3')).toEqual({ a: 6, b: 99 });
    const { driver: other } = revised(spec, revision('n3', rerun({ b: int(99) }), true));
    expect(other.phase()).toBe('SUCCEEDED');
    expect(other.launchedIds()).toEqual([]);
  });

  it('X-6: inside a sub-workflow, which is entered and not taken over', () => {
    const { driver } = revised(
      {
        tasks,
        subs: {
          inner: {
            inputs: { x: INT },
            nodes: [task('n0', 't', { a: 'in.x' }), task('n1', 't', { a: 'n0.o' })],
            outputs: { o: 'n1.o' },
          },
        },
        nodes: [sub('n0', 'inner', { x: int(1) }), sub('n1', 'inner', { x: 'n0.o' }), task('n2', 'free')],
        outputs: { r: 'n1.o' },
      },
      revision('n0/n1', rerun()),
    );
    expect(driver.launchedIds()).toEqual(['n0-0-n1']);
    expect(inputsOf(driver, 'n0-0-n1')).toEqual({ a: 1 });
    driver.succeed('n0-0-n1', { o: int(8) });
    // All of what is downstream, inside and out.
    expect(driver.launchedIds()).toEqual(['n1-0-n0']);
    expect(driver.phases()).toContain('n2:RECOVERED');
  });
});
