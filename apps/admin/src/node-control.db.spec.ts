import type { ControlNode, NodeRevised, StartExecution } from '@aloft/idl/aloft/v1/bus';
import {
  CancelNodeRequest,
  ListRevisionsRequest,
  RerunNodeRequest,
  RetryNodeRequest,
  Revision_State as State,
  SetNodeOutputsRequest,
} from '@aloft/idl/aloft/v1/control';
import { ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import { NodeExecution_Phase as NodePhase, WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { Resources_ResourceName } from '@aloft/idl/flyteidl/core/tasks';
import type { AloftError } from '@aloft/errors';
import { literalOf, typeOf } from '@aloft/literals';
import { domain, idOf, literals, project, register, taskSpec, typed, x } from './testing/entities.js';
import { node, workflow } from './testing/events.js';
import { startPlatform, type Platform } from './testing/platform.js';

// Real: admin with its servers, Postgres, the bus. In the propeller's place stands the test.
let platform: Platform;
let plan: Identifier;
beforeAll(async () => {
  platform = await startPlatform({ config: { nodeControl: { decisionMs: 500 } } });
  plan = await register(platform, 'steps', {}, 3);
});
afterAll(() => platform?.stop());

const o0 = (value: number) => literals({ o0: literalOf.integer(BigInt(value)) });
const executionId = (name: string) => ({ project, domain, name, org: '' });
const nodeOf = (execution: string, nodeId: string) => ({ executionId: executionId(execution), nodeId });

async function start(name: string): Promise<StartExecution> {
  await platform.admin.createExecution(
    ExecutionCreateRequest.fromPartial({ project, domain, name, inputs: x(1), spec: { launchPlan: plan } }),
  );
  const started = await platform.commands.start(name);
  await platform.emit(started, workflow(Phase.RUNNING, 1), node(started, 'n0', NodePhase.SUCCEEDED, 2));
  return started;
}
const end = (run: StartExecution, phase = Phase.FAILED) => platform.emit(run, workflow(phase, 9));

const controlOf = (commandId: string): Promise<ControlNode> =>
  platform.commands.find((command) =>
    command.$case === 'controlNode' && command.value.commandId === commandId ? command.value : undefined,
  );

/** What the run decides about a command, once it has come. */
async function decide(run: StartExecution, commandId: string, refused = '', ...more: object[]): Promise<void> {
  const control = await controlOf(commandId);
  const value: Partial<NodeRevised> = { control, specPath: control.nodeId, at: { seconds: 3n, nanos: 0 }, refused };
  await platform.emit(run, { event: { $case: 'nodeRevised', value } }, ...(more as never[]));
}

const refusedWith = async (call: Promise<unknown>, code: string, ...parts: string[]) => {
  const error = await call.then(
    () => Promise.reject(new Error('the call was accepted')),
    (thrown: AloftError) => thrown,
  );
  expect({ code: error.code, message: error.message }).toMatchObject({ code });
  for (const part of parts) expect(error.message).toContain(part);
};
const revisions = async (name: string) =>
  (await platform.nodes.listRevisions(ListRevisionsRequest.fromPartial({ id: executionId(name) }))).revisions;

describe('a run that goes on', () => {
  test('X-6: the command goes to the run, whose word is the answer, and stays as a revision', async () => {
    const run = await start('live');
    const request = CancelNodeRequest.fromPartial({
      id: nodeOf('live', 'n1'),
      commandId: 'stop-n1',
      cause: 'too slow',
      skipDownstream: true,
    });
    const [answer] = await Promise.all([platform.nodes.cancelNode(request), decide(run, 'stop-n1')]);
    expect(answer).toMatchObject({
      execution: executionId('live'),
      revision: { number: 1, state: State.APPLIED, specPath: 'n1', control: { nodeId: 'n1', cause: 'too slow' } },
    });
    expect(await controlOf('stop-n1')).toMatchObject({
      control: { $case: 'cancel', value: { skipDownstream: true } },
    });
    // Again: the same answer, and no other command.
    expect((await platform.nodes.cancelNode(request)).revision).toMatchObject({ number: 1, state: State.APPLIED });
    expect(platform.commands.received.filter((command) => command.$case === 'controlNode')).toHaveLength(1);
    expect(await revisions('live')).toMatchObject([{ number: 1, state: State.APPLIED }]);
  });

  test('X-6: what the run refuses is FAILED_PRECONDITION with its reason, and stays as a refused revision', async () => {
    const run = await start('refusing');
    const request = RetryNodeRequest.fromPartial({ id: nodeOf('refusing', 'n0'), commandId: 'r1' });
    await Promise.all([
      refusedWith(platform.nodes.retryNode(request), 'FAILED_PRECONDITION', 'node n0', 'it succeeded'),
      decide(run, 'r1', 'it succeeded'),
    ]);
    await refusedWith(platform.nodes.retryNode(request), 'FAILED_PRECONDITION', 'it succeeded');
    expect(await revisions('refusing')).toMatchObject([{ state: State.REFUSED, refused: 'it succeeded' }]);
  });

  test('X-6: without a word in time it is pending; if the run ends first it is refused', async () => {
    const run = await start('silent');
    const request = RetryNodeRequest.fromPartial({ id: nodeOf('silent', 'n1'), commandId: 'r2' });
    expect((await platform.nodes.retryNode(request)).revision).toMatchObject({ state: State.PENDING });
    await end(run);
    expect(await revisions('silent')).toMatchObject([
      { state: State.REFUSED, refused: 'the run ended before the command reached it' },
    ]);
  });

  test('X-6: nodes that begin anew have no row until they do, and may then come to another end', async () => {
    const run = await start('again');
    await platform.emit(
      run,
      node(run, 'n1', NodePhase.SUCCEEDED, 3, { outputResult: { $case: 'outputData', value: o0(1) } }),
      { event: { $case: 'nodesReset', value: { nodeIds: ['n0', 'n1'] } } },
      node(run, 'n0', NodePhase.QUEUED, 4),
    );
    const get = (nodeId: string) => platform.admin.getNodeExecution({ id: nodeOf('again', nodeId) });
    expect((await get('n0')).closure).toMatchObject({ phase: NodePhase.QUEUED, createdAt: { seconds: 4n } });
    await refusedWith(get('n1'), 'NOT_FOUND');
    await platform.emit(run, node(run, 'n0', NodePhase.FAILED, 5));
    expect((await get('n0')).closure).toMatchObject({ phase: NodePhase.FAILED });
  });

  test('X-6: what can’t be right is refused with the field', async () => {
    await start('bad');
    const { nodes } = platform;
    const id = nodeOf('bad', 'n1');
    const set = (outputs?: ReturnType<typeof literals>) =>
      nodes.setNodeOutputs(SetNodeOutputsRequest.fromPartial({ id, outputs }));
    await refusedWith(set(), 'INVALID_ARGUMENT', 'outputs.o0: missing');
    await refusedWith(set(literals({ o0: literalOf.string('one') })), 'INVALID_ARGUMENT', 'outputs.o0');
    await refusedWith(set(literals({ other: literalOf.integer(1n) })), 'INVALID_ARGUMENT', 'outputs.other: unknown');
    const rerun = (more: object) => nodes.rerunNode(RerunNodeRequest.fromPartial({ id, ...more }));
    await refusedWith(rerun({ inputs: literals({ x: literalOf.boolean(true) }) }), 'INVALID_ARGUMENT', 'inputs.x');
    await refusedWith(rerun({ task: idOf(ResourceType.TASK, 'steps', 'v9') }), 'NOT_FOUND', 'task');
    const more = { interface: typed({ x: typeOf.integer(), y: typeOf.integer() }, { o0: typeOf.integer() }) };
    await platform.admin.createTask({ id: idOf(ResourceType.TASK, 'steps', 'needs-y'), spec: taskSpec(more) });
    const needsY = idOf(ResourceType.TASK, 'steps', 'needs-y');
    await refusedWith(rerun({ task: needsY }), 'INVALID_ARGUMENT', "task: it needs input 'y'");
    const cpu = (value: string) => ({ requests: [{ name: Resources_ResourceName.CPU, value }] });
    await refusedWith(rerun({ resources: cpu('lots') }), 'INVALID_ARGUMENT', 'resources.requests.CPU');
    const query = { target: { $case: 'sql' as const, value: { statement: 'select 1' } } };
    const sql = idOf(ResourceType.TASK, 'steps', 'sql');
    await platform.admin.createTask({ id: sql, spec: taskSpec(query) });
    await refusedWith(rerun({ task: sql, resources: cpu('2') }), 'INVALID_ARGUMENT', 'neither a container nor a pod');
    await refusedWith(
      nodes.retryNode(RetryNodeRequest.fromPartial({ id: nodeOf('bad', 'n77') })),
      'NOT_FOUND',
      'has no node "n77"',
    );
    await refusedWith(
      nodes.retryNode(RetryNodeRequest.fromPartial({ id: nodeOf('nowhere', 'n0') })),
      'NOT_FOUND',
      'nowhere',
    );
    await refusedWith(nodes.retryNode(RetryNodeRequest.fromPartial({})), 'INVALID_ARGUMENT', 'id.node_id');
    expect(await revisions('bad')).toEqual([]);
  });

  test('X-6: what a node takes and gives is told, also before it begins', async () => {
    await start('described');
    for (const [nodeId, phase] of [
      ['n0', NodePhase.SUCCEEDED],
      ['n2', NodePhase.UNDEFINED],
    ] as const)
      expect(await platform.nodes.describeNode({ id: nodeOf('described', nodeId) })).toMatchObject({
        specPath: nodeId,
        phase,
        inputs: typed({ x: typeOf.integer() }).inputs,
        outputs: typed({}, { o0: typeOf.integer() }).outputs,
        task: idOf(ResourceType.TASK, 'steps'),
      });
  });

  test('X-6: over REST', async () => {
    const run = await start('rest');
    const path = `node_control/retry/${project}/${domain}/rest/n1`;
    const [answer] = await Promise.all([
      fetch(`${platform.http}/api/v1/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ command_id: 'over-rest', cause: 'by hand' }),
      }),
      decide(run, 'over-rest'),
    ]);
    expect(answer.status).toBe(200);
    const listed = await fetch(`${platform.http}/api/v1/node_control/revisions/${project}/${domain}/rest`);
    expect(await listed.json()).toMatchObject({ revisions: [{ number: 1, state: 'APPLIED' }] });
  });

  test('X-6: a pod task runs again with other resources', async () => {
    const run = await start('pod');
    const pod = idOf(ResourceType.TASK, 'steps', 'pod');
    const podSpec = { containers: [{ name: 'primary', image: 'image:1' }] };
    const target = { $case: 'k8sPod' as const, value: { podSpec } };
    const config = { primary_container_name: 'primary' };
    await platform.admin.createTask({ id: pod, spec: taskSpec({ target, config }) });
    const resources = { requests: [{ name: Resources_ResourceName.MEMORY, value: '4Gi' }] };
    const request = RerunNodeRequest.fromPartial({ id: nodeOf('pod', 'n1'), commandId: 'more', task: pod, resources });
    const [{ revision }] = await Promise.all([platform.nodes.rerunNode(request), decide(run, 'more')]);
    expect(revision).toMatchObject({ state: State.APPLIED });
  });

  test('X-6: revisions are listed in pages', async () => {
    const run = await start('pages');
    const calls = [0, 1, 2].map((at) => ({ id: nodeOf('pages', 'n1'), commandId: `p${at}` }));
    for (const call of calls)
      await Promise.all([platform.nodes.retryNode(RetryNodeRequest.fromPartial(call)), decide(run, call.commandId)]);
    const list = (token: string) =>
      platform.nodes.listRevisions(ListRevisionsRequest.fromPartial({ id: executionId('pages'), limit: 2, token }));
    const first = await list('');
    const second = await list(first.token);
    expect([...first.revisions, ...second.revisions].map(({ number }) => number)).toEqual([1, 2, 3]);
    expect(second.token).toBe('');
  });
});

describe('a run that is over', () => {
  test('X-6: another is started that recovers from it with the change, once for each command', async () => {
    const run = await start('ended');
    await platform.emit(run, node(run, 'n1', NodePhase.FAILED, 3));
    await end(run);
    const v2 = idOf(ResourceType.TASK, 'steps', 'v2');
    await platform.admin.createTask({ id: v2, spec: taskSpec() });
    const request = RerunNodeRequest.fromPartial({
      id: nodeOf('ended', 'n1'),
      commandId: 'fix',
      inputs: x(7),
      task: v2,
      resources: { requests: [{ name: Resources_ResourceName.MEMORY, value: '2Gi' }] },
    });
    const { execution, revision } = await platform.nodes.rerunNode(request);
    expect(revision).toMatchObject({ state: State.APPLIED, specPath: 'n1', execution });
    const started = await platform.commands.start(execution!.name);
    expect(started).toMatchObject({
      recoverFrom: executionId('ended'),
      recoverFromUid: run.uid,
      settings: { annotations: { 'aloft.dev/revision-of': 'ended', 'aloft.dev/revision': '2' } },
      revisions: [{ specPath: 'n1', inherited: false, control: { commandId: 'fix' } }],
    });
    const change = started.revisions[0]?.control?.control;
    expect(change?.$case === 'rerun' && change.value).toMatchObject({
      inputs: x(7),
      task: { id: v2, target: { $case: 'container' } },
      overrides: { resources: { requests: [{ value: '2Gi' }] } },
    });
    expect((await platform.nodes.rerunNode(request)).execution).toEqual(execution);
    const starts = platform.commands.received.filter(
      (command) => command.$case === 'start' && command.value.recoverFromUid === run.uid,
    );
    expect(starts).toHaveLength(1);

    // The next of the line keeps the change, as something that holds should the node run again.
    const { control } = started.revisions[0]!;
    const told = { control, specPath: 'n1', at: { seconds: 3n, nanos: 0 } };
    await platform.emit(started, workflow(Phase.RUNNING, 1), { event: { $case: 'nodeRevised', value: told } });
    await end(started);
    const set = SetNodeOutputsRequest.fromPartial({
      id: nodeOf(execution!.name, 'n2'),
      name: 'third',
      outputs: o0(5),
    });
    await platform.nodes.setNodeOutputs(set);
    expect(await platform.commands.start('third')).toMatchObject({
      settings: { annotations: { 'aloft.dev/revision-of': execution!.name, 'aloft.dev/revision': '3' } },
      revisions: [
        {
          specPath: 'n1',
          inherited: true,
          control: { control: { value: { task: { target: { $case: 'container' } } } } },
        },
        { specPath: 'n2', inherited: false },
      ],
    });
    expect(await revisions(execution!.name)).toMatchObject([
      { number: 1, specPath: 'n1', state: State.APPLIED },
      { number: 2, specPath: 'n2', state: State.APPLIED, execution: executionId('third') },
    ]);
    // So does a plain recovery.
    await platform.admin.recoverExecution({ id: execution, name: 'recovered', metadata: undefined });
    expect(await platform.commands.start('recovered')).toMatchObject({
      revisions: [{ specPath: 'n1', inherited: true }],
    });
  });

  test('X-6: nothing of it can be cancelled, and only what failed retried', async () => {
    const run = await start('over');
    await end(run);
    const id = nodeOf('over', 'n0');
    await refusedWith(platform.nodes.cancelNode(CancelNodeRequest.fromPartial({ id })), 'FAILED_PRECONDITION', 'over');
    await refusedWith(
      platform.nodes.retryNode(RetryNodeRequest.fromPartial({ id })),
      'FAILED_PRECONDITION',
      'n0 is SUCCEEDED',
    );
  });
});
