import type { AloftError } from '@aloft/errors';
import { ExecutionEngine } from '@aloft/idl/aloft/v1/project_settings';
import { StreamHistoryRequest } from '@aloft/idl/aloft/v1/history';
import { WatchExecutionRequest } from '@aloft/idl/aloft/v1/watch';
import { EventFailureReason } from '@aloft/idl/flyteidl/admin/event';
import { ExecutionCreateRequest, type ExecutionSpec } from '@aloft/idl/flyteidl/admin/execution';
import { NodeExecutionForTaskListRequest, NodeExecutionListRequest } from '@aloft/idl/flyteidl/admin/node_execution';
import { Project } from '@aloft/idl/flyteidl/admin/project';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { NodeExecutionEvent, TaskExecutionEvent, WorkflowExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import { literalOf, typeOf } from '@aloft/literals';
import { domain, idOf, literals, project as own, register, x } from './testing/entities.js';
import { startPlatform, type Platform } from './testing/platform.js';

const project = 'foreign';
let platform: Platform;
let plan: Identifier;
beforeAll(async () => {
  platform = await startPlatform();
  plan = await register(platform, 'run');
  await platform.admin.registerProject({ project: Project.fromPartial({ id: project, name: project }) });
  await platform.settings.updateProjectSettings({ project, org: '', engine: ExecutionEngine.EXTERNAL });
});
afterAll(() => platform?.stop());

const run = (name: string, of = project) => ({ project: of, domain, name, org: '' });
const task = idOf(ResourceType.TASK, 'run');
const time = (at: number) => ({ seconds: BigInt(at), nanos: 0 });
type Rest<T extends { fromPartial(partial: never): unknown }> = Parameters<T['fromPartial']>[0];

async function create(name: string, of = project, spec: Rest<typeof ExecutionSpec> = {}) {
  const launched = { launchPlan: plan, ...(spec as object) };
  await platform.admin.createExecution(
    ExecutionCreateRequest.fromPartial({ project: of, domain, name, inputs: x(1), spec: launched }),
  );
  return run(name, of);
}
const tellRun = (name: string, phase: Phase, at: number, rest: object = {}, of = project) =>
  platform.admin.createWorkflowEvent({
    requestId: '',
    event: WorkflowExecutionEvent.fromPartial({ executionId: run(name, of), phase, occurredAt: time(at), ...rest }),
  });
const tellNode = (name: string, nodeId: string, phase: NodePhase, at: number, rest: object = {}) =>
  platform.admin.createNodeEvent({
    requestId: '',
    event: NodeExecutionEvent.fromPartial({
      id: { nodeId, executionId: run(name) },
      phase,
      occurredAt: time(at),
      specNodeId: nodeId,
      ...rest,
    }),
  });
const tellTask = (name: string, nodeId: string, phase: TaskPhase, at: number, rest: object = {}) =>
  platform.admin.createTaskEvent({
    requestId: '',
    event: TaskExecutionEvent.fromPartial({
      taskId: task,
      parentNodeExecutionId: { nodeId, executionId: run(name) },
      phase,
      occurredAt: time(at),
      taskType: 'python-task',
      ...rest,
    }),
  });
const closureOf = async (name: string) => (await platform.admin.getExecution({ id: run(name) })).closure;

async function refused(call: Promise<unknown>, code: string, ...parts: string[]) {
  const error = await call.then(
    () => Promise.reject(new Error('the call was accepted')),
    (thrown: AloftError) => thrown,
  );
  expect({ code: error.code, message: error.message }).toMatchObject({ code });
  for (const part of parts) expect(error.message).toContain(part);
  const detail = error.details.find(({ type }) => type === 'flyteidl.admin.EventFailureReason');
  return detail && EventFailureReason.decode(detail.value).reason;
}

/** Everything a watcher of a run sees, from now until it ends. */
async function watched(name: string): Promise<{ first: Promise<void>; seen: Promise<string[]> }> {
  const stream = platform.watch.watchExecution(WatchExecutionRequest.fromPartial({ id: run(name), untilStored: true }));
  const updates = stream[Symbol.asyncIterator]();
  const first = updates.next().then(() => undefined);
  const seen = (async () => {
    await first;
    const told: string[] = [];
    for (let next = await updates.next(); !next.done; next = await updates.next()) {
      const { update } = next.value;
      if (update?.$case === 'event') told.push(`${update.value.sequence} ${update.value.event?.$case}`);
    }
    return told;
  })();
  return { first, seen };
}

describe('who runs an execution', () => {
  test("is a setting of its project, fixed when it is created; our own engine isn't told of foreign ones", async () => {
    const { settings, commands } = platform;
    expect(await settings.getProjectSettings({ project: own, org: '' })).toMatchObject({
      engine: ExecutionEngine.EXECUTION_ENGINE_UNSPECIFIED,
      effectiveEngine: ExecutionEngine.ALOFT,
    });
    expect(await settings.getProjectSettings({ project, org: '' })).toMatchObject({
      engine: ExecutionEngine.EXTERNAL,
      effectiveEngine: ExecutionEngine.EXTERNAL,
    });
    await create('theirs');
    expect(await closureOf('theirs')).toMatchObject({ phase: Phase.UNDEFINED });
    await create('ours', own);
    await commands.start('ours');
    expect(commands.received.some((c) => c.$case === 'start' && c.value.id?.name === 'theirs')).toBe(false);
    // It stays what it is when the setting changes.
    await settings.updateProjectSettings({ project, org: '', engine: ExecutionEngine.EXECUTION_ENGINE_UNSPECIFIED });
    try {
      await tellRun('theirs', Phase.RUNNING, 1);
      await create('later');
      await commands.start('later');
      await refused(tellRun('later', Phase.RUNNING, 1), 'FAILED_PRECONDITION', "Aloft's own engine", 'EXTERNAL');
      await refused(
        platform.admin.recoverExecution({ id: run('theirs'), name: 'theirs-back', metadata: undefined }),
        'FAILED_PRECONDITION',
        'external engine',
        'relaunch',
      );
    } finally {
      await settings.updateProjectSettings({ project, org: '', engine: ExecutionEngine.EXTERNAL });
    }
  });

  test('has its log: of a run of a foreign engine there is no history here, and the answer says why (X-3, U-12)', async () => {
    await create('foreign');
    const id = run('foreign');
    const { history, explain } = platform;
    const why = ['foreign', 'external engine', 'no log of it here'];
    const entries = history.streamHistory(StreamHistoryRequest.fromPartial({ id }))[Symbol.asyncIterator]();
    await refused(entries.next(), 'FAILED_PRECONDITION', ...why);
    await refused(history.replayExecution({ id }), 'FAILED_PRECONDITION', ...why);
    await refused(history.getExecutionAt({ id, moment: { $case: 'entry', value: 1n } }), 'FAILED_PRECONDITION', ...why);
    await refused(explain.explainExecution({ id, limit: 0 }), 'FAILED_PRECONDITION', ...why);
    await refused(explain.explainNode({ id: { executionId: id, nodeId: 'n0' } }), 'FAILED_PRECONDITION', ...why);
  });

  test('settings of a project that is not there, and an engine that is none', async () => {
    const { settings } = platform;
    await refused(settings.getProjectSettings({ project: 'nope', org: '' }), 'NOT_FOUND', 'nope');
    await refused(settings.updateProjectSettings({ project: 'nope', org: '', engine: 1 }), 'NOT_FOUND', 'nope');
    await refused(settings.updateProjectSettings({ project, org: '', engine: 7 as never }), 'INVALID_ARGUMENT', '7');
    await refused(settings.getProjectSettings({ project: '', org: '' }), 'INVALID_ARGUMENT', 'project');
  });

  test('terminate marks ABORTING, the foreign engine ends it; relaunch and recover make rows', async () => {
    const { admin, commands } = platform;
    await create('stopped');
    await tellRun('stopped', Phase.RUNNING, 1);
    await admin.terminateExecution({ id: run('stopped'), cause: 'enough' });
    expect(await closureOf('stopped')).toMatchObject({ phase: Phase.ABORTING });
    await refused(tellRun('stopped', Phase.FAILING, 2), 'FAILED_PRECONDITION', 'ABORTING');
    await tellRun('stopped', Phase.ABORTED, 3);
    expect(await closureOf('stopped')).toMatchObject({
      phase: Phase.ABORTED,
      outputResult: { $case: 'abortMetadata', value: { cause: 'enough' } },
    });
    await admin.relaunchExecution({ id: run('stopped'), name: 'stopped-again', overwriteCache: false });
    await admin.recoverExecution({ id: run('stopped'), name: 'stopped-back', metadata: undefined });
    expect(await closureOf('stopped-back')).toMatchObject({ phase: Phase.UNDEFINED });
    expect(commands.received.filter(({ $case }) => $case === 'abort')).toEqual([]);
    await refused(
      platform.nodes.retryNode({
        id: { nodeId: 'n0', executionId: run('stopped') },
        commandId: '',
        cause: '',
        name: '',
      }),
      'FAILED_PRECONDITION',
      'external engine',
    );
  });

  test("the end of a foreign child is told to our own engine's parent", async () => {
    await create('parent', own);
    const parent = await platform.commands.start('parent');
    const metadata = { parentNodeExecution: { nodeId: 'n0', executionId: run('parent', own) } };
    await create('child', project, { metadata });
    await tellRun('child', Phase.SUCCEEDED, 5, { outputResult: { $case: 'outputData', value: x(3) } });
    const ended = await platform.commands.find((c) => (c.$case === 'childEnded' ? c.value : undefined));
    expect(ended).toMatchObject({
      child: run('child'),
      parent: { executionUid: parent.uid, nodeId: 'n0' },
      phase: Phase.SUCCEEDED,
      outputs: { value: { $case: 'inline', value: x(3) } },
    });
    // And of a child of ours to nobody: a foreign engine looks after it itself.
    await create('foreign-parent');
    await create('own-child', own, {
      metadata: { parentNodeExecution: { nodeId: 'n0', executionId: run('foreign-parent') } },
    });
    expect(await platform.commands.start('own-child')).toMatchObject({ parent: undefined, settings: { nesting: 1 } });
  });
});

describe('A-60, K-23: workflow events', () => {
  test('phases, and the duration counts from the first RUNNING', async () => {
    await create('phases');
    await tellRun('phases', Phase.QUEUED, 1);
    await tellRun('phases', Phase.QUEUED, 2);
    await tellRun('phases', Phase.RUNNING, 10);
    expect(await refused(tellRun('phases', Phase.RUNNING, 11), 'ALREADY_EXISTS', 'RUNNING')).toBeUndefined();
    await refused(tellRun('phases', Phase.QUEUED, 12), 'FAILED_PRECONDITION', 'RUNNING', 'QUEUED');
    await tellRun('phases', Phase.SUCCEEDING, 20);
    await tellRun('phases', Phase.SUCCEEDED, 25, { outputResult: { $case: 'outputData', value: x(9) } });
    expect(await closureOf('phases')).toMatchObject({ phase: Phase.SUCCEEDED, duration: { seconds: 15n } });
    expect((await platform.admin.getExecutionData({ id: run('phases') })).fullOutputs).toMatchObject(x(9));
    await refused(tellRun('phases', Phase.SUCCEEDED, 26), 'ALREADY_EXISTS');
    expect(await refused(tellRun('phases', Phase.FAILED, 26), 'FAILED_PRECONDITION', 'SUCCEEDED')).toMatchObject({
      $case: 'alreadyInTerminalState',
      value: { currentPhase: 'SUCCEEDED' },
    });
  });

  test('the cluster that tells is the one that is recorded; a queued run may be given to another', async () => {
    await create('clusters');
    await tellRun('clusters', Phase.QUEUED, 1, { producerId: 'c1' });
    await tellRun('clusters', Phase.QUEUED, 2, { producerId: 'c2' });
    expect(
      await refused(
        tellRun('clusters', Phase.RUNNING, 3, { producerId: 'c1' }),
        'FAILED_PRECONDITION',
        '"c2"',
        'event.producer_id',
      ),
    ).toMatchObject({ $case: 'incompatibleCluster', value: { cluster: 'c2' } });
    await tellRun('clusters', Phase.RUNNING, 3, { producerId: 'propeller' });
    const { spec } = await platform.admin.getExecution({ id: run('clusters') });
    expect(spec?.metadata?.systemMetadata?.executionCluster).toBe('c2');
    for (const producerId of ['', 'c2'])
      await tellNode('clusters', `n${producerId}`, NodePhase.QUEUED, 4, { producerId });
    await refused(tellNode('clusters', 'n9', NodePhase.QUEUED, 4, { producerId: 'c1' }), 'FAILED_PRECONDITION', '"c2"');
    await refused(tellTask('clusters', 'n', TaskPhase.QUEUED, 4, { producerId: 'c1' }), 'FAILED_PRECONDITION', '"c2"');
    await tellRun('clusters', Phase.FAILED, 9, {
      producerId: 'c2',
      outputResult: { $case: 'error', value: { code: 'E' } },
    });
    expect(await closureOf('clusters')).toMatchObject({ outputResult: { $case: 'error', value: { code: 'E' } } });
  });

  test('what is missing or none, and a run that is not there', async () => {
    await create('bad');
    const event = (partial: object) =>
      platform.admin.createWorkflowEvent({
        requestId: '',
        event: WorkflowExecutionEvent.fromPartial({
          executionId: run('bad'),
          phase: Phase.RUNNING,
          occurredAt: time(1),
          ...partial,
        }),
      });
    await refused(platform.admin.createWorkflowEvent({ requestId: '', event: undefined }), 'INVALID_ARGUMENT', 'event');
    await refused(event({ executionId: undefined }), 'INVALID_ARGUMENT', 'event.execution_id');
    await refused(event({ occurredAt: undefined }), 'INVALID_ARGUMENT', 'event.occurred_at');
    await refused(event({ occurredAt: { seconds: 2n ** 60n, nanos: 0 } }), 'INVALID_ARGUMENT', 'event.occurred_at');
    await refused(event({ phase: 99 as Phase }), 'INVALID_ARGUMENT', 'event.phase', 'RUNNING');
    await refused(event({ phase: Phase.UNDEFINED }), 'INVALID_ARGUMENT', 'event.phase');
    await refused(tellRun('nowhere', Phase.RUNNING, 1), 'NOT_FOUND', 'nowhere');
    expect(await closureOf('bad')).toMatchObject({ phase: Phase.UNDEFINED });
  });

  test('outputs by value: small ones in the row, larger ones in blob storage, above 2 MiB refused', async () => {
    const text = (length: number) => literals({ o0: literalOf.string('a'.repeat(length)) });
    const outputs = (length: number) => ({ outputResult: { $case: 'outputData', value: text(length) } });
    await create('large');
    await refused(
      tellRun('large', Phase.SUCCEEDED, 2, outputs(3 * 1024 * 1024)),
      'RESOURCE_EXHAUSTED',
      'event.output_data',
      '2097152',
    );
    await tellRun('large', Phase.SUCCEEDED, 2, outputs(1024 * 1024));
    const data = await platform.admin.getExecutionData({ id: run('large') });
    expect(data.fullOutputs).toMatchObject(text(1024 * 1024));
    const outputResult = (await closureOf('large'))?.outputResult;
    expect(outputResult).toMatchObject({ value: { data: { value: expect.stringContaining('/events/') } } });
  });

  test('what is too large to be told on is refused, and what came at the same moment is not', async () => {
    await create('huge');
    await create('beside');
    const [huge, beside] = await Promise.allSettled([
      tellRun('huge', Phase.FAILED, 1, { outputResult: { $case: 'error', value: { message: 'a'.repeat(300_000) } } }),
      tellRun('beside', Phase.RUNNING, 1),
    ]);
    expect(huge).toMatchObject({ status: 'rejected', reason: { code: 'RESOURCE_EXHAUSTED' } });
    expect(beside).toMatchObject({ status: 'fulfilled' });
    expect(await closureOf('huge')).toMatchObject({ phase: Phase.UNDEFINED });
  });
});

describe('A-61, K-24: node events', () => {
  test('unknown run; same phase; after the end', async () => {
    await refused(tellNode('nowhere', 'n0', NodePhase.QUEUED, 1), 'NOT_FOUND', 'nowhere');
    await create('nodes');
    await tellNode('nodes', 'n0', NodePhase.QUEUED, 1);
    await refused(tellNode('nodes', 'n0', NodePhase.QUEUED, 2), 'ALREADY_EXISTS', 'QUEUED');
    await tellNode('nodes', 'n0', NodePhase.RUNNING, 3);
    await tellNode('nodes', 'n0', NodePhase.SUCCEEDED, 7, { outputResult: { $case: 'outputData', value: x(2) } });
    expect(await refused(tellNode('nodes', 'n0', NodePhase.FAILED, 8), 'FAILED_PRECONDITION')).toMatchObject({
      $case: 'alreadyInTerminalState',
      value: { currentPhase: 'SUCCEEDED' },
    });
    const id = { nodeId: 'n0', executionId: run('nodes') };
    const node = await platform.admin.getNodeExecution({ id });
    expect(node.closure).toMatchObject({ phase: NodePhase.SUCCEEDED, duration: { seconds: 4n } });
    expect((await platform.admin.getNodeExecutionData({ id })).fullOutputs).toMatchObject(x(2));
  });

  test('parents and children have to be there', async () => {
    await create('kin');
    const child = (nodeId: string, rest: object) => tellNode('kin', nodeId, NodePhase.QUEUED, 1, rest);
    await refused(
      child('n0-0-n0', { parentNodeMetadata: { nodeId: 'n0' } }),
      'NOT_FOUND',
      'parent_node_metadata',
      'n0',
    );
    await tellNode('kin', 'n0', NodePhase.RUNNING, 1);
    await child('n0-0-n0', { parentNodeMetadata: { nodeId: 'n0' } });
    const nodeExecutionId = { nodeId: 'n0', executionId: run('kin') };
    const parentTask = { id: { taskId: task, nodeExecutionId, retryAttempt: 0 } };
    await refused(child('old', { parentTaskMetadata: parentTask }), 'NOT_FOUND', 'parent_task_metadata');
    await tellTask('kin', 'n0', TaskPhase.RUNNING, 1);
    await child('old', { parentTaskMetadata: parentTask });
    const listed = await platform.admin.listNodeExecutionsForTask(
      NodeExecutionForTaskListRequest.fromPartial({ taskExecutionId: parentTask.id, limit: 10 }),
    );
    expect(listed.nodeExecutions.map(({ id }) => id?.nodeId)).toEqual(['old']);
    const forTask = (changes: object) =>
      platform.admin.listNodeExecutionsForTask(
        NodeExecutionForTaskListRequest.fromPartial({ taskExecutionId: { ...parentTask.id, ...changes }, limit: 10 }),
      );
    await refused(forTask({ retryAttempt: 1 }), 'NOT_FOUND', 'attempt 1');
    await refused(forTask({ taskId: undefined }), 'INVALID_ARGUMENT', 'task_execution_id.task_id');
    await refused(forTask({ nodeExecutionId: undefined }), 'INVALID_ARGUMENT', 'node_execution_id');
    const top = await platform.admin.listNodeExecutions(
      NodeExecutionListRequest.fromPartial({ workflowExecutionId: run('kin'), limit: 10 }),
    );
    expect(top.nodeExecutions.map(({ id }) => id?.nodeId)).toEqual(['n0']);
    const launched = (name: string) => ({
      targetMetadata: { $case: 'workflowNodeMetadata', value: { executionId: run(name) } },
    });
    await refused(child('n1', launched('unborn')), 'NOT_FOUND', 'workflow_node_metadata', 'unborn');
    await child('n1', launched('kin'));
  });

  test('A-73: a generated workflow goes to blob storage', async () => {
    await create('dynamic');
    const compiled = await platform.admin.getWorkflow({ id: idOf(ResourceType.WORKFLOW, 'run') });
    const compiledWorkflow = compiled.closure?.compiledWorkflow as CompiledWorkflowClosure;
    const id = { nodeId: 'n0', executionId: run('dynamic') };
    await tellNode('dynamic', 'n0', NodePhase.RUNNING, 1);
    await refused(platform.admin.getDynamicNodeWorkflow({ id }), 'NOT_FOUND', 'dynamic');
    await tellNode('dynamic', 'n0', NodePhase.DYNAMIC_RUNNING, 2, {
      targetMetadata: {
        $case: 'taskNodeMetadata',
        value: { dynamicWorkflow: { id: idOf(ResourceType.WORKFLOW, 'made'), compiledWorkflow } },
      },
    });
    const found = await platform.admin.getDynamicNodeWorkflow({ id });
    expect(CompiledWorkflowClosure.toJSON(found.compiledWorkflow!)).toEqual(
      CompiledWorkflowClosure.toJSON(compiledWorkflow),
    );
    expect((await platform.admin.getNodeExecution({ id })).metadata).toMatchObject({ isDynamic: true });
  });
});

describe('A-62, K-25: task events', () => {
  test('the parent has to be there; versions within a phase; logs, reasons and resources are merged', async () => {
    await create('tasks');
    await refused(tellTask('tasks', 'n0', TaskPhase.QUEUED, 1), 'NOT_FOUND', 'n0');
    await tellNode('tasks', 'n0', NodePhase.RUNNING, 1);
    const logs = (...names: string[]) => names.map((name) => ({ name, uri: `http://logs/${name}` }));
    await tellTask('tasks', 'n0', TaskPhase.RUNNING, 2, { logs: logs('a'), reason: 'first' });
    await refused(tellTask('tasks', 'n0', TaskPhase.RUNNING, 3), 'ALREADY_EXISTS', 'phase version 0');
    await tellTask('tasks', 'n0', TaskPhase.RUNNING, 3, {
      phaseVersion: 2,
      logs: logs('a', 'b'),
      reasons: [{ reason: 'second', occurredAt: time(3) }],
      metadata: { externalResources: [{ index: 1, externalId: 'e1', phase: TaskPhase.RUNNING }] },
    });
    await refused(tellTask('tasks', 'n0', TaskPhase.RUNNING, 4, { phaseVersion: 1 }), 'ALREADY_EXISTS');
    await tellTask('tasks', 'n0', TaskPhase.RUNNING, 4, {
      phaseVersion: 3,
      metadata: { externalResources: [{ index: 0, externalId: 'e0', phase: TaskPhase.RUNNING }] },
    });
    const id = { taskId: task, nodeExecutionId: { nodeId: 'n0', executionId: run('tasks') }, retryAttempt: 0 };
    const { closure } = await platform.admin.getTaskExecution({ id });
    expect(closure?.logs.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(closure?.reasons.map(({ message }) => message)).toEqual(['first', 'second']);
    expect(closure?.metadata?.externalResources.map(({ externalId }) => externalId)).toEqual(['e0', 'e1']);
    await tellTask('tasks', 'n0', TaskPhase.FAILED, 5);
    expect(await refused(tellTask('tasks', 'n0', TaskPhase.SUCCEEDED, 6), 'FAILED_PRECONDITION')).toMatchObject({
      value: { currentPhase: 'FAILED' },
    });
    await tellTask('tasks', 'n0', TaskPhase.QUEUED, 6, { retryAttempt: 1 });
  });

  test('what is missing', async () => {
    await create('bad-task');
    await tellNode('bad-task', 'n0', NodePhase.RUNNING, 1);
    await refused(
      tellTask('bad-task', 'n0', TaskPhase.QUEUED, 1, { taskId: undefined }),
      'INVALID_ARGUMENT',
      'task_id',
    );
    await refused(tellTask('bad-task', '', TaskPhase.QUEUED, 1), 'INVALID_ARGUMENT', 'node_id');
    await refused(tellTask('bad-task', 'n0', TaskPhase.UNDEFINED, 1), 'INVALID_ARGUMENT', 'event.phase');
    await refused(
      tellTask('bad-task', 'n0', TaskPhase.QUEUED, 1, { retryAttempt: 2 ** 31 }),
      'INVALID_ARGUMENT',
      'retry_attempt',
    );
  });
});

describe('A-63, Q-6: what is in the read model is told, in order', () => {
  test('a watcher sees every event once, the first one of a task included', async () => {
    await create('told');
    await tellRun('told', Phase.RUNNING, 1);
    const { first, seen } = await watched('told');
    await first;
    await tellNode('told', 'n0', NodePhase.RUNNING, 2);
    await tellTask('told', 'n0', TaskPhase.RUNNING, 2);
    await refused(tellTask('told', 'n0', TaskPhase.RUNNING, 2), 'ALREADY_EXISTS');
    await tellTask('told', 'n0', TaskPhase.SUCCEEDED, 3);
    await tellNode('told', 'n0', NodePhase.SUCCEEDED, 3);
    await tellRun('told', Phase.SUCCEEDED, 4);
    expect(await seen).toEqual(['2 node', '3 task', '4 task', '5 node', '6 workflow']);
    // The projection gets them too, and changes nothing.
    await platform.lifecycle.caughtUp();
    expect(await closureOf('told')).toMatchObject({ phase: Phase.SUCCEEDED });
  });

  test('many at once, of one run and of many: each is taken once, in some order, none is lost', async () => {
    const names = Array.from({ length: 8 }, (_, i) => `crowd-${i}`);
    await Promise.all(names.map((name) => create(name)));
    const nodes = names.flatMap((name) => Array.from({ length: 20 }, (_, i) => [name, `n${i}`] as const));
    const told = await Promise.allSettled(
      [...nodes, ...nodes].map(([name, nodeId]) => tellNode(name, nodeId, NodePhase.RUNNING, 1)),
    );
    expect(told.filter(({ status }) => status === 'fulfilled')).toHaveLength(nodes.length);
    for (const result of told)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'ALREADY_EXISTS' });
    const { rows } = await platform.database.query(
      `SELECT name, last_sequence AS last, (SELECT count(*)::int FROM node_executions n WHERE n.execution_id = e.id) AS nodes
       FROM executions e WHERE name LIKE 'crowd-%' ORDER BY name`,
    );
    expect(rows).toEqual(names.map((name) => ({ name, last: 20n, nodes: 20 })));
  });
});

test('signals of a foreign run wait to be asked for', async () => {
  await create('gated');
  const id = { signalId: 'go', executionId: run('gated') };
  await platform.signals.getOrCreateSignal({ id, type: typeOf.boolean() });
  await platform.signals.setSignal({ id, value: literalOf.boolean(true) });
  expect(await platform.signals.getOrCreateSignal({ id, type: typeOf.boolean() })).toMatchObject({
    value: literalOf.boolean(true),
  });
  expect(platform.commands.received.some(({ $case }) => $case === 'signal')).toBe(false);
});
