import { AloftError } from '@aloft/errors';
import {
  ExecutionMetadata_ExecutionMode as Mode,
  type ExecutionMetadata,
  type ExecutionRecoverRequest,
} from '@aloft/idl/flyteidl/admin/execution';
import { DynamicJobSpec } from '@aloft/idl/flyteidl/core/dynamic_job';
import { WorkflowExecution_Phase as Phase, NodeExecution_Phase as NodePhase } from '@aloft/idl/flyteidl/core/execution';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralMap, type Literal } from '@aloft/idl/flyteidl/core/literals';
import { literalOf } from '@aloft/literals';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FakeAdmin } from '../testing/fake-admin.js';
import { Rig, type StartedRun } from '../testing/rig.js';
import { echoOutputs, ScriptedBackend, type Script } from '../testing/scripted-backend.js';
import {
  arrayNode,
  bind,
  chain,
  childNode,
  closureOf,
  echo,
  idOf,
  integer,
  integers,
  subWorkflowNode,
  task,
  taskNode,
} from '../testing/workflows.js';

const list = (values: Literal[]): Literal => ({
  value: { $case: 'collection', value: { literals: values } },
  hash: '',
  metadata: {},
});

// Real: Postgres, the bus, engine, gRPC, blob folder. In memory: admin behind its real interface; the backend host.
describe('recovered runs', () => {
  let rig: Rig;
  let admin: FakeAdmin;
  let script: Script;
  let backend: ScriptedBackend;

  beforeEach(async () => {
    rig = await Rig.open();
    rig.admin = (admin = await FakeAdmin.open()).client;
    script = (launch) => ({ outputs: echoOutputs(launch) });
    backend = new ScriptedBackend(rig.bus, (launch, tries) => script(launch, tries));
    rig.onClose(() => Promise.all([backend.close(), admin.close()]));
    await rig.started();
  });

  afterEach(() => rig.close());

  const recovering = ({ uid, name }: StartedRun) => ({
    mode: Mode.RECOVERED,
    recoverFromUid: uid,
    recoverFrom: { project: 'flytesnacks', domain: 'development', name },
  });

  const xs = { xs: list(Array.from({ length: 100 }, (_, i) => literalOf.integer(i))) };
  const mapped = () =>
    closureOf('mapped', {
      nodes: [arrayNode('n0', taskNode('item', echo()), { x: 'in.xs' })],
      tasks: [echo()],
      inputs: ['xs'],
      outputs: { o0: 'n0.o0' },
      types: { xs: integers, o0: integers },
    });
  const everyItem = (outputs: (index: number) => Literal) => ({
    value: { literals: { o0: list(Array.from({ length: 100 }, (_, i) => outputs(i))) } },
  });

  /** Items that the array's events say to have succeeded. */
  const succeeded = (run: StartedRun): number =>
    rig.events.of(run.uid).reduce((most, { event }) => {
      const count: unknown = event?.$case === 'task' ? event.value.customInfo?.succeeded : undefined;
      return typeof count === 'number' ? Math.max(most, count) : most;
    }, 0);

  /** Runs the array until only the items in `bad` are left, which then fail. */
  async function broken(bad: ReadonlySet<number>, options: Parameters<Rig['start']>[1] = {}): Promise<StartedRun> {
    script = ({ attempt }) => (bad.has(attempt!.index!) ? 'running' : { outputs: outputOf(attempt!.index!) });
    const run = await rig.start(mapped(), { inputs: xs, ...options });
    await rig.events.until(() => succeeded(run) === 100 - bad.size);
    const launched = [...backend.launched.values()].filter(({ attempt }) => attempt!.executionUid === run.uid);
    for (const { attempt } of launched) {
      if (bad.has(attempt!.index!))
        await backend.end(attempt!, { fail: 'broken', checkpoint: `s3://c/${attempt!.index}` });
    }
    expect(await rig.events.ended(run.uid)).toBe(Phase.FAILED);
    return run;
  }

  let outputOf = (index: number): Record<string, Literal> => ({ o0: literalOf.integer(index * 10) });

  it('C-84: of an array of 100 with 3 failures, 3 items run again and the list is complete', async () => {
    const old = await broken(new Set([7, 50, 99]));
    backend.launches.length = 0;
    script = ({ attempt }) => ({ outputs: outputOf(attempt!.index!) });
    const run = await rig.start(mapped(), { inputs: xs, start: recovering(old) });
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches.map((name) => name.replace(run.name, ''))).toEqual([
      '-n0-0-n7-0',
      '-n0-0-n50-0',
      '-n0-0-n99-0',
    ]);
    expect(rig.events.result(run.uid)).toMatchObject(everyItem((i) => literalOf.integer(i * 10)));
    // C-81: the one whose failure was told goes on from its checkpoint.
    const [first] = [...backend.launched.values()].filter(({ attempt }) => attempt!.name === `${run.name}-n0-0-n7-0`);
    expect(first!.prevCheckpointPrefix).toBe('s3://c/7');
  });

  it('C-84: also where the outputs are too large for a message, and when the recovered run is recovered itself', async () => {
    outputOf = (index) => ({ o0: literalOf.string(`${index}:${'x'.repeat(1000)}`) });
    const old = await broken(new Set([1, 2, 3]));
    const second = await broken(new Set([2, 3]), { start: recovering(old) });
    backend.launches.length = 0;
    script = ({ attempt }) => ({ outputs: outputOf(attempt!.index!) });
    const run = await rig.start(mapped(), { inputs: xs, start: recovering(second) });
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toHaveLength(2);
    const result = rig.events.result(run.uid);
    const uri = result?.$case === 'outputUri' ? result.value : '';
    const stored = LiteralMap.decode(await rig.blob.store.get(uri));
    expect(stored.literals['o0']).toMatchObject(list(Array.from({ length: 100 }, (_, i) => outputOf(i)['o0']!)));
  });

  const launchPlan = idOf('child', ResourceType.LAUNCH_PLAN);
  const variables = { o0: { type: integer, description: '', artifactPartialId: undefined, artifactTag: undefined } };
  const launchPlans = [{ id: launchPlan, expectedInputs: undefined, expectedOutputs: { variables } }];
  const parent = () =>
    closureOf('parent', { nodes: [childNode('n0', launchPlan)], tasks: [], outputs: { o0: 'n0.o0' }, launchPlans });

  /** What admin does when it is asked to create or recover a child: it tells the propeller to start it. */
  function startChildren(): Map<string, StartedRun> {
    const children = new Map<string, StartedRun>();
    const start = async (name: string, metadata: ExecutionMetadata, recovers?: string) => {
      const { executionId, nodeId } = metadata.parentNodeExecution!;
      const [row] = await rig.rows<{ uid: string }>('SELECT uid FROM runs WHERE name = $1', [executionId!.name]);
      const old = recovers === undefined ? undefined : children.get(recovers)!;
      const parentNode = { execution: executionId!, executionUid: row!.uid, nodeId };
      const child = await rig.start(chain(3), { name, start: { parent: parentNode, ...(old && recovering(old)) } });
      children.set(name, child);
    };
    admin.onCreate = ({ name, spec }) => start(name, spec!.metadata!);
    admin.onRecover = ({ name, metadata, id }) => start(name, metadata!, id!.name);
    return children;
  }

  it('Q-19: a child that failed is recovered, and what had succeeded in it does not run again', async () => {
    startChildren();
    script = (launch) => (launch.attempt!.nodeId === 'n2' ? { fail: 'broken' } : { outputs: echoOutputs(launch) });
    const old = await rig.start(parent());
    expect(await rig.events.ended(old.uid)).toBe(Phase.FAILED);
    script = (launch) => ({ outputs: echoOutputs(launch) });
    backend.launches.length = 0;
    const run = await rig.start(parent(), { start: recovering(old) });
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    const [[name, request]] = [...admin.recovered] as [[string, ExecutionRecoverRequest]];
    expect(request.metadata).toMatchObject({ nesting: 1, parentNodeExecution: { nodeId: 'n0' } });
    expect(backend.launches).toEqual([`${name}-n2-0`]);
    expect(rig.events.result(run.uid)).toMatchObject({ value: { literals: { o0: literalOf.integer(1) } } });
  });

  it('Q-19: one that was never created starts from scratch', async () => {
    startChildren();
    admin.failures.push(new AloftError('INVALID_ARGUMENT', 'no such launch plan'));
    const old = await rig.start(parent());
    expect(await rig.events.ended(old.uid)).toBe(Phase.FAILED);
    const run = await rig.start(parent(), { start: recovering(old) });
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(admin.created.size).toBe(1);
  });

  it('Q-19: children of an array’s items likewise', async () => {
    const plan = { ...launchPlan, name: 'item-plan' };
    const expectedInputs = {
      parameters: { x: { var: { ...variables.o0 }, behavior: { $case: 'required' as const, value: true } } },
    };
    const closure = () =>
      closureOf('children', {
        nodes: [arrayNode('n0', childNode('item', plan), { x: 'in.xs' })],
        tasks: [],
        inputs: ['xs'],
        outputs: { o0: 'n0.o0' },
        types: { xs: integers, o0: integers },
        launchPlans: [{ id: plan, expectedInputs, expectedOutputs: { variables } }],
      });
    const children = startChildren();
    const inputs = { xs: list([0, 1].map((value) => literalOf.integer(value))) };
    const isFirst = (name: string) => [...children.keys()].indexOf(name) === 0;
    let first = '';
    script = async (launch) => {
      const { executionUid, execution, nodeId } = launch.attempt!;
      first ||= isFirst(execution!.name) ? executionUid : '';
      return nodeId === 'n2' && executionUid !== first ? 'running' : { outputs: echoOutputs(launch) };
    };
    const old = await rig.start(closure(), { inputs });
    await rig.events.until(() => succeeded(old) === 1);
    await backend.until(({ launches }) => launches.length === 6);
    const last = [...backend.launched.values()].find(
      ({ attempt }) => attempt!.nodeId === 'n2' && attempt!.executionUid !== first,
    );
    await backend.end(last!.attempt!, { fail: 'broken' });
    expect(await rig.events.ended(old.uid)).toBe(Phase.FAILED);
    script = (launch) => ({ outputs: echoOutputs(launch) });
    backend.launches.length = 0;
    const run = await rig.start(closure(), { inputs, start: recovering(old) });
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect([...admin.recovered.values()].map(({ id }) => id!.name)).toEqual([last!.attempt!.execution!.name]);
    expect(backend.launches).toEqual([`${[...admin.recovered.keys()][0]}-n2-0`]);
  });

  it('C-80, C-82: what a dynamic task generated and what succeeded in it, and in sub-workflows, is found by spec path', async () => {
    const step = echo();
    const dynamic = task('dynamic', { outputs: ['o0'] });
    const spec = DynamicJobSpec.fromPartial({
      nodes: [taskNode('dn0', step, { x: literalOf.integer(3) }), taskNode('dn1', step, { x: 'dn0.o0' })],
      tasks: [step],
      outputs: bind({ o0: 'dn1.o0' }),
    });
    const futuresUri = 's3://aloft/test/futures.pb';
    await rig.blob.store.put(futuresUri, DynamicJobSpec.encode(spec).finish());
    const closure = () =>
      closureOf('nested', {
        nodes: [subWorkflowNode('n0', 'inner')],
        tasks: [step, dynamic],
        outputs: { o0: 'n0.o0' },
        subWorkflows: {
          inner: {
            nodes: [taskNode('a', step, { x: literalOf.integer(1) }), taskNode('b', dynamic, {}, ['a'])],
            tasks: [],
            outputs: { o0: 'b.o0' },
          },
        },
      });
    let bad = true;
    script = (launch) => {
      if (launch.template!.id!.name === 'dynamic') return { futuresUri };
      const { nodeId } = launch.attempt!;
      const lastOne = launch.attempt!.nodeId !== 'n0-0-a' && backend.launches.length === 4;
      return bad && lastOne ? { fail: `broken in ${nodeId}` } : { outputs: echoOutputs(launch) };
    };
    const old = await rig.start(closure());
    expect(await rig.events.ended(old.uid)).toBe(Phase.FAILED);
    bad = false;
    backend.launches.length = 0;
    const run = await rig.start(closure(), { start: recovering(old) });
    expect(await rig.events.ended(run.uid)).toBe(Phase.SUCCEEDED);
    expect(backend.launches).toHaveLength(1);
    expect(rig.events.nodePhases(run.uid, 'n0-0-a')).toContain(NodePhase.RECOVERED);
    expect(rig.events.result(run.uid)).toMatchObject({ value: { literals: { o0: literalOf.integer(3) } } });
  });
});
