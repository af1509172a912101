import type { ControlNode } from '@aloft/idl/aloft/v1/bus';
import { NodeRevision } from '@aloft/idl/aloft/v1/bus';
import { NodeExecution_Phase as NodePhase, WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { literalOf } from '@aloft/literals';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Rig, type StartedRun } from './testing/rig.js';
import { echoOutputs, ScriptedBackend } from './testing/scripted-backend.js';
import { closureOf, echo, taskNode } from './testing/workflows.js';

type Control = NonNullable<ControlNode['control']>;
const integer = (value: number): Literal => literalOf.integer(value);
const rerun = (x?: number): Control => ({
  $case: 'rerun',
  value: {
    inputs: x === undefined ? undefined : { literals: { x: integer(x) } },
    task: undefined,
    overrides: undefined,
  },
});

/** n0 → n1 → n2 → last, n0 → side → last: `last` waits for both. */
function joined(): Uint8Array {
  const template = echo();
  const nodes = [
    taskNode('n0', template, { x: integer(1) }),
    taskNode('n1', template, { x: 'n0.o0' }),
    taskNode('n2', template, { x: 'n1.o0' }),
    taskNode('side', template, { x: 'n0.o0' }),
    taskNode('last', template, { x: 'n2.o0' }, ['side']),
  ];
  return closureOf('joined', { nodes, tasks: [template], outputs: { o0: 'last.o0' } });
}

// Real: Postgres, the bus, engine. In memory: the backend host, where `side` runs until it is told to end.
describe('Propeller: control of single nodes', () => {
  let rig: Rig;
  let backend: ScriptedBackend;

  beforeEach(async () => {
    rig = await Rig.open();
    backend = new ScriptedBackend(rig.bus, (launch) =>
      launch.attempt!.nodeId === 'side' ? 'running' : { outputs: echoOutputs(launch) },
    );
    rig.onClose(() => backend.close());
  });

  afterEach(() => rig.close());

  let commands = 0;
  const control = (run: StartedRun, nodeId: string, what: Control, commandId = `c${++commands}`) =>
    rig.send(run, {
      $case: 'controlNode',
      value: { commandId, nodeId, principal: 'tester', cause: 'a test', control: what },
    });
  const revisions = (run: StartedRun) =>
    rig.events.of(run.uid).flatMap(({ event }) => (event?.$case === 'nodeRevised' ? [event.value] : []));
  const succeeded = (run: StartedRun, nodeId: string, times: number) =>
    rig.events.until(
      () => rig.events.nodePhases(run.uid, nodeId).filter((phase) => phase === NodePhase.SUCCEEDED).length === times,
    );
  const nodesLaunched = () => backend.launches.map((name) => name.replace(/^[^-]+-/, ''));

  it('X-6: reruns a finished node of a run that goes on, also after a kill, with outputs recalled from the log', async () => {
    const first = await rig.started();
    const run = await rig.start(joined());
    await succeeded(run, 'n2', 1);
    await first.kill();
    // Neither n0's nor n1's outputs are in memory any more, or in any snapshot: all their readers had them.
    await control(run, 'n1', rerun());
    const second = await rig.started();
    await succeeded(run, 'n2', 2);
    await second.kill();
    await rig.started();
    await control(run, 'n1', rerun(50));
    await succeeded(run, 'n2', 3);
    await backend.succeed(backend.launched.get(`${run.name}-side-0`)!.attempt!, { o0: integer(1) });
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(rig.events.result(run.uid)).toMatchObject({ value: { literals: { o0: integer(50) } } });
    expect(nodesLaunched().sort()).toEqual(
      ['last-0', 'n0-0', 'n1-0', 'n1-1', 'n1-2', 'n2-0', 'n2-1', 'n2-2', 'side-0'].sort(),
    );
    expect(revisions(run)).toMatchObject([
      { specPath: 'n1', refused: '', control: { principal: 'tester', cause: 'a test' } },
      { specPath: 'n1', refused: '' },
    ]);
    expect(rig.events.problems).toEqual([]);
  });

  it('X-6: a repeated command does nothing, a refused one changes nothing, and cancelled attempts end at their backend', async () => {
    await rig.started();
    const run = await rig.start(joined());
    await succeeded(run, 'n2', 1);
    await control(run, 'side', { $case: 'retry', value: {} }, 'again');
    await control(run, 'side', { $case: 'retry', value: {} }, 'again');
    await control(run, 'n2', { $case: 'retry', value: {} });
    await backend.until(({ launches }) => launches.includes(`${run.name}-side-1`));
    await control(run, 'side', { $case: 'cancel', value: { skipDownstream: false } });
    expect(await rig.events.ended(run.uid)).toBe(Phase.FAILED);
    await backend.until(({ aborted }) => aborted.length === 2);
    expect(backend.aborted).toEqual([`${run.name}-side-0`, `${run.name}-side-1`]);
    expect(nodesLaunched().filter((name) => name.startsWith('side'))).toEqual(['side-0', 'side-1']);
    expect(revisions(run).map(({ refused }) => refused)).toEqual([
      '',
      'it succeeded; rerun it to compute it again',
      '',
    ]);
    expect(rig.events.problems).toEqual([]);
  });

  it('X-6: a run that is a revision of an ended one takes over what it does not touch', async () => {
    await rig.started();
    const base = await rig.start(joined());
    await succeeded(base, 'n2', 1);
    await control(base, 'side', { $case: 'setOutputs', value: { outputs: { literals: { o0: integer(9) } } } });
    expect(await rig.events.ended(base.uid)).toBe(Phase.SUCCEEDED);
    const revision = NodeRevision.fromPartial({
      specPath: 'n2',
      control: { commandId: 'fix', nodeId: 'n2', control: rerun(70) },
    });
    const id = { org: '', project: 'flytesnacks', domain: 'development', name: base.name };
    const run = await rig.start(joined(), {
      start: { recoverFrom: id, recoverFromUid: base.uid, revisions: [revision] },
    });
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(rig.events.result(run.uid)).toMatchObject({ value: { literals: { o0: integer(70) } } });
    expect(backend.launches.filter((name) => name.startsWith(run.name)).sort()).toEqual(
      [`${run.name}-last-0`, `${run.name}-n2-0`].sort(),
    );
    expect(rig.events.nodePhases(run.uid, 'side')).toEqual([NodePhase.RECOVERED]);
    expect(revisions(run)).toMatchObject([{ specPath: 'n2', inherited: false }]);
  });
});
