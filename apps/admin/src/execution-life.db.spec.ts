import type { WatchExecutionResponse } from '@aloft/idl/aloft/v1/watch';
import { EventFailureReason } from '@aloft/idl/flyteidl/admin/event';
import { ResourceListRequest } from '@aloft/idl/flyteidl/admin/common';
import { ExecutionMetadata_ExecutionMode as Mode, ExecutionState } from '@aloft/idl/flyteidl/admin/execution';
import { NodeExecutionListRequest } from '@aloft/idl/flyteidl/admin/node_execution';
import { SignalListRequest } from '@aloft/idl/flyteidl/admin/signal';
import { TaskExecutionListRequest } from '@aloft/idl/flyteidl/admin/task_execution';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { literalOf, typeOf } from '@aloft/literals';
import { domain, idOf, literals, project, register, x } from './testing/entities.js';
import { node, task, workflow } from './testing/events.js';
import { startPlatform, type Platform } from './testing/platform.js';
import { execution, executionCalls } from './testing/executions.js';
import { refused } from './testing/refused.js';

let platform: Platform;
let plan: Identifier;
beforeAll(async () => {
  platform = await startPlatform();
  plan = await register(platform, 'run');
});
afterAll(() => platform?.stop());

const { create, list } = executionCalls(() => ({ platform, plan }));
const scope = { project, domain, name: '', org: '' };

describe('the life of a run', () => {
  test('K-20: terminate a running, a finished and an unknown run', async () => {
    const { admin } = platform;
    const start = await create('k20');
    await platform.emit(start, workflow(Phase.RUNNING, 1));
    await admin.terminateExecution({ id: start.id, cause: 'enough' });
    await admin.terminateExecution({ id: start.id, cause: 'again' });
    const abort = await platform.commands.find((command) => (command.$case === 'abort' ? command.value : undefined));
    expect(abort).toMatchObject({ cause: 'enough' });
    expect(platform.commands.received.filter(({ $case }) => $case === 'abort')).toHaveLength(1);
    const aborting = await admin.getExecution({ id: start.id });
    expect(aborting.closure).toMatchObject({ phase: Phase.ABORTING, outputResult: { value: { cause: 'enough' } } });
    // What the engine sent before it heard of it changes nothing.
    await platform.emit(start, workflow(Phase.FAILING, 2), workflow(Phase.ABORTED, 3));
    const { closure } = await admin.getExecution({ id: start.id });
    expect(closure).toMatchObject({
      phase: Phase.ABORTED,
      outputResult: { $case: 'abortMetadata', value: { cause: 'enough' } },
    });
    const error = await refused(
      admin.terminateExecution({ id: start.id, cause: 'late' }),
      'FAILED_PRECONDITION',
      'ABORTED',
    );
    expect(error.details[0]?.type).toBe('flyteidl.admin.EventFailureReason');
    expect(EventFailureReason.decode(error.details[0]?.value as Uint8Array).reason).toMatchObject({
      $case: 'alreadyInTerminalState',
      value: { currentPhase: 'ABORTED' },
    });
    await refused(admin.terminateExecution({ id: execution('nope'), cause: '' }), 'NOT_FOUND');
  });

  test("K-21: relaunch takes the old spec and the user's inputs; recover names the run to copy from", async () => {
    const { admin } = platform;
    const withDefault = {
      defaultInputs: {
        parameters: {
          x: { var: { type: typeOf.integer() }, behavior: { $case: 'default', value: literalOf.integer(4n) } },
        },
      },
    };
    const launchPlan = await register(platform, 'defaulted', withDefault);
    const original = await create('k21', null, { launchPlan, labels: { values: { old: 'label' } } });
    expect(original.inputs?.value?.value).toMatchObject(x(4));
    await admin.relaunchExecution({ id: original.id, name: 'k21-again', overwriteCache: true });
    const again = await platform.commands.start('k21-again');
    expect(again).toMatchObject({
      mode: Mode.RELAUNCH,
      launchPlan,
      inputs: { value: { value: x(4) } },
      settings: { labels: { old: 'label' }, overwriteCache: true },
      recoverFromUid: '',
    });
    const { rows } = await platform.database.query(`SELECT user_inputs FROM executions WHERE name = 'k21-again'`);
    expect(LiteralMap.decode(rows[0]?.user_inputs).literals).toEqual({});
    expect((await admin.getExecution({ id: again.id })).spec?.metadata?.referenceExecution).toMatchObject({
      name: 'k21',
    });
    await admin.recoverExecution({ id: original.id, name: 'k21-back', metadata: undefined });
    expect(await platform.commands.start('k21-back')).toMatchObject({
      mode: Mode.RECOVERED,
      recoverFrom: original.id,
      recoverFromUid: original.uid,
    });
  });

  test("Q-5: a relaunch with current settings takes what the plan says now, and the old run's inputs", async () => {
    const { admin } = platform;
    const launchPlan = await register(platform, 'planned', { labels: { values: { from: 'plan' } } });
    const sent = { labels: { values: { from: 'request' } }, maxParallelism: 3, tags: ['kept'] };
    const original = await create('q5', x(6), { launchPlan, ...sent });
    const again = (name: string, settings?: string) =>
      admin.relaunchExecution(
        { id: original.id, name, overwriteCache: false },
        settings === undefined ? {} : { metadata: { 'aloft-settings': settings } },
      );
    await again('q5-old');
    expect((await platform.commands.start('q5-old')).settings).toMatchObject({
      labels: { from: 'request' },
      maxParallelism: 3,
    });
    await again('q5-now', 'current');
    expect(await platform.commands.start('q5-now')).toMatchObject({
      mode: Mode.RELAUNCH,
      launchPlan,
      inputs: { value: { value: x(6) } },
      settings: { labels: { from: 'plan' }, maxParallelism: 0 },
    });
    const { spec } = await admin.getExecution({ id: execution('q5-now') });
    expect(spec).toMatchObject({ tags: ['kept'], metadata: { referenceExecution: { name: 'q5' } } });
    await expect(again('q5-then', 'then')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('aloft-settings'),
    });
  });

  test('K-22: archived runs are hidden unless asked for', async () => {
    await create('k22');
    await platform.admin.updateExecution({ id: execution('k22'), state: ExecutionState.EXECUTION_ARCHIVED });
    expect(await list('eq(name,k22)')).toEqual([]);
    expect(await list('eq(name,k22)+eq(state,1)')).toEqual(['k22']);
    expect(await list('eq(name,k22)+ne(state,0)')).toEqual(['k22']);
  });

  test('K-37: errors are cut in lists, whole in Get', async () => {
    const start = await create('k37');
    const message = 'é'.repeat(5_000);
    await platform.emit(
      start,
      workflow(Phase.RUNNING, 1),
      workflow(Phase.FAILED, 2, { error: { code: 'E', message, kind: 1 } }),
    );
    const shown = async (execution: { closure?: { outputResult?: unknown } } | undefined) =>
      (execution?.closure?.outputResult as { value: { message: string } }).value.message;
    expect(await shown(await platform.admin.getExecution({ id: start.id }))).toBe(message);
    const { executions } = await platform.admin.listExecutions(
      ResourceListRequest.fromPartial({
        id: scope,
        limit: 5,
        filters: 'eq(name,k37)+eq(phase,FAILED)+eq(error_code,E)',
      }),
    );
    expect(await shown(executions[0])).toBe('é'.repeat(50));
  });

  test('A-70…A-74: nodes, children, tasks and their data; end to end over events', async () => {
    const { admin } = platform;
    const start = await create('tree');
    const taskId = idOf(ResourceType.TASK, 'run');
    const outputs = literals({ o0: literalOf.integer(6n) });
    await platform.blob.put('s3://aloft/metadata/propeller/x/outputs.pb', LiteralMap.encode(outputs).finish());
    await platform.emit(
      start,
      workflow(Phase.RUNNING, 1),
      node(start, 'start-node', NodePhase.SUCCEEDED, 1, { outputResult: { $case: 'outputData', value: x(1) } }),
      node(start, 'n0', NodePhase.QUEUED, 2, { inputValue: { $case: 'inputData', value: x(1) } }),
      node(start, 'n0', NodePhase.RUNNING, 3, { isParent: true }),
      node(start, 'n0-0-n1', NodePhase.RUNNING, 3, {
        parentNodeMetadata: { nodeId: 'n0' },
        specNodeId: 'n1',
        retryGroup: '0',
      }),
      task(start, taskId, 'n0-0-n1', 0, TaskPhase.RUNNING, 3, {
        reason: 'launched',
        logs: [{ name: 'log', uri: 'http://log' }],
      }),
      task(start, taskId, 'n0-0-n1', 0, TaskPhase.FAILED, 4, {
        outputResult: { $case: 'error', value: { code: 'X', message: 'm' } },
      }),
    );
    await platform.emit(
      start,
      task(start, taskId, 'n0-0-n1', 1, TaskPhase.SUCCEEDED, 5, {
        outputResult: { $case: 'outputUri', value: 's3://aloft/metadata/propeller/x/outputs.pb' },
      }),
      node(start, 'n0-0-n1', NodePhase.SUCCEEDED, 6, {
        specNodeId: 'n1',
        outputResult: { $case: 'outputUri', value: 's3://aloft/metadata/propeller/x/outputs.pb' },
        targetMetadata: { $case: 'taskNodeMetadata', value: { cacheStatus: CatalogCacheStatus.CACHE_POPULATED } },
      }),
      node(start, 'n0', NodePhase.SUCCEEDED, 7, { outputResult: { $case: 'outputData', value: outputs } }),
      workflow(Phase.SUCCEEDED, 9, { outputData: outputs }),
    );
    const nodes = (uniqueParentId: string, filters = '') =>
      admin.listNodeExecutions(
        NodeExecutionListRequest.fromPartial({ workflowExecutionId: start.id, limit: 100, uniqueParentId, filters }),
      );
    const top = await nodes('');
    expect(top.nodeExecutions.map(({ id }) => id?.nodeId)).toEqual(['start-node', 'n0']);
    expect(top.nodeExecutions[1]).toMatchObject({
      inputUri: 'flyte://v1/flytesnacks/development/tree/n0/i',
      metadata: { isParentNode: true, specNodeId: 'n0' },
      closure: {
        phase: NodePhase.SUCCEEDED,
        outputResult: { $case: 'outputUri', value: 'flyte://v1/flytesnacks/development/tree/n0/o' },
      },
    });
    const children = await nodes('n0');
    expect(children.nodeExecutions).toHaveLength(1);
    expect(children.nodeExecutions[0]).toMatchObject({
      id: { nodeId: 'n0-0-n1' },
      metadata: { retryGroup: '0', specNodeId: 'n1' },
    });
    expect((await nodes('n0', 'eq(cache_status,CACHE_POPULATED)+eq(execution.name,tree)')).nodeExecutions).toHaveLength(
      1,
    );

    const childId = { nodeId: 'n0-0-n1', executionId: start.id };
    const tasks = await admin.listTaskExecutions(
      TaskExecutionListRequest.fromPartial({ nodeExecutionId: childId, limit: 10 }),
    );
    expect(tasks.taskExecutions.map(({ id, closure }) => [id?.retryAttempt, closure?.phase])).toEqual([
      [0, TaskPhase.FAILED],
      [1, TaskPhase.SUCCEEDED],
    ]);
    const first = await admin.getTaskExecution({ id: tasks.taskExecutions[0]?.id });
    expect(first.closure).toMatchObject({
      reason: 'launched',
      logs: [{ name: 'log' }],
      outputResult: { value: { code: 'X' } },
    });
    expect(first.closure?.startedAt?.seconds).toBe(3n);

    const data = await admin.getNodeExecutionData({ id: childId });
    expect(data).toMatchObject({
      fullOutputs: outputs,
      outputs: { bytes: BigInt(LiteralMap.encode(outputs).finish().length) },
      flyteUrls: { outputs: 'flyte://v1/flytesnacks/development/tree/n0-0-n1/o', deck: '' },
    });
    const taskData = await admin.getTaskExecutionData({ id: tasks.taskExecutions[1]?.id });
    expect(taskData.fullOutputs).toMatchObject(outputs);

    const run = await admin.getExecution({ id: start.id });
    expect(run.closure).toMatchObject({
      phase: Phase.SUCCEEDED,
      duration: { seconds: 8n },
      // Never values: a client bug raises on them.
      outputResult: {
        $case: 'outputs',
        value: { data: { $case: 'uri', value: 'flyte://v1/flytesnacks/development/tree/end-node/o' } },
      },
    });
    expect((await admin.getExecutionData({ id: start.id })).fullOutputs).toMatchObject(outputs);
    expect(
      (await platform.data.getData({ flyteUrl: 'flyte://v1/flytesnacks/development/tree/end-node/o/o0' })).data,
    ).toMatchObject({
      $case: 'literal',
      value: literalOf.integer(6n),
    });
    await refused(admin.getNodeExecution({ id: { ...childId, nodeId: 'nope' } }), 'NOT_FOUND', 'nope');
    await refused(admin.getDynamicNodeWorkflow({ id: childId }), 'NOT_FOUND', 'not dynamic');

    const { span } = await admin.getExecutionMetrics({ id: start.id, depth: 10 });
    expect(span?.id).toMatchObject({ $case: 'workflowId' });
    expect(span?.spans.map(({ id }) => (id?.$case === 'operationId' ? id.value : id?.$case))).toContain('nodeId');
  });

  test("A-73: a dynamic node's workflow", async () => {
    const start = await create('dyn');
    const closure = CompiledWorkflowClosure.decode(await platform.blob.get(start.closureUri));
    const dynamic = { id: start.workflow, compiledWorkflow: closure, dynamicJobSpecUri: 's3://aloft/x' };
    const targetMetadata = { $case: 'taskNodeMetadata', value: { dynamicWorkflow: dynamic } };
    await platform.emit(start, node(start, 'n0', NodePhase.DYNAMIC_RUNNING, 1, { isDynamic: true, targetMetadata }));
    const byReference = { ...dynamic, compiledWorkflow: undefined, dynamicJobSpecUri: start.closureUri };
    await platform.emit(
      start,
      node(start, 'n1', NodePhase.DYNAMIC_RUNNING, 1, {
        targetMetadata: { $case: 'taskNodeMetadata', value: { dynamicWorkflow: byReference } },
      }),
    );
    for (const nodeId of ['n0', 'n1']) {
      const id = { nodeId, executionId: start.id };
      expect((await platform.admin.getDynamicNodeWorkflow({ id })).compiledWorkflow?.primary?.template?.id?.name).toBe(
        'run',
      );
      expect((await platform.admin.getNodeExecutionData({ id })).dynamicWorkflow?.compiledWorkflow?.tasks).toHaveLength(
        1,
      );
    }
  });

  test('the projection applies a repeated batch once, and parks events of a run that is not there', async () => {
    const start = await create('twice');
    const events = [workflow(Phase.RUNNING, 1), node(start, 'n0', NodePhase.RUNNING, 2)];
    await platform.emit(start, ...events);
    const { rows } = await platform.database.query(`SELECT last_sequence FROM executions WHERE name = 'twice'`);
    expect(rows[0]?.last_sequence).toBe(2n);
    const stranger = { id: execution('gone'), uid: '00000000-0000-4000-8000-000000000000' };
    await platform.emit(stranger, workflow(Phase.RUNNING, 1));
    const parked = await platform.database.query(`SELECT reason FROM bus_parked`);
    expect(parked.rows[0]?.reason).toContain('there is no execution with id 00000000');
    await platform.emit(start, workflow(Phase.SUCCEEDED, 3));
    expect((await platform.admin.getExecution({ id: start.id })).closure?.phase).toBe(Phase.SUCCEEDED);
  });
});

describe('a run that is set aside', () => {
  const setAside = (reason: string) => ({
    event: { $case: 'quarantined' as const, value: { reason, released: reason === '' } },
  });

  test('its reason, outside the sequence, is its error and is watched; its release and its end take it away', async () => {
    const { admin, watch } = platform;
    const start = await create('set-aside');
    const errorOf = async () => {
      const { closure } = await admin.getExecution({ id: start.id });
      return closure?.outputResult?.$case === 'error' ? closure.outputResult.value : undefined;
    };
    await platform.emit(start, workflow(Phase.RUNNING, 1));
    const stream = watch
      .watchExecution({ id: start.id, executionOnly: true, afterSequence: 0n, untilStored: false })
      [Symbol.asyncIterator]();
    const watched = async () => ((await stream.next()).value as WatchExecutionResponse).update;
    expect(await watched()).toMatchObject({ $case: 'snapshot', value: { sequence: 1n } });
    await platform.emit(start, setAside('report could not be applied: impossible'));
    expect(await watched()).toMatchObject({
      $case: 'event',
      value: { sequence: 0n, event: { value: { released: false } } },
    });
    expect(await errorOf()).toMatchObject({
      code: 'QUARANTINED',
      message: 'The run is set aside: report could not be applied: impossible',
    });
    // Told twice, it is the same.
    await platform.emit(start, setAside('report could not be applied: impossible'));
    await watched();
    expect(await errorOf()).toMatchObject({ code: 'QUARANTINED' });
    await platform.emit(start, setAside(''));
    expect(await watched()).toMatchObject({ $case: 'event', value: { event: { value: { released: true } } } });
    expect(await errorOf()).toBeUndefined();
    const { rows } = await platform.database.query(`SELECT last_sequence FROM executions WHERE name = 'set-aside'`);
    expect(rows[0]?.last_sequence).toBe(1n);
    await platform.emit(start, workflow(Phase.SUCCEEDED, 2));
    expect(await watched()).toMatchObject({ $case: 'event', value: { sequence: 2n } });
    expect((await stream.next()).done).toBe(true);
    expect(await errorOf()).toBeUndefined();
  });
});

describe('signals', () => {
  test('K-26: before the gate, of the wrong type, right', async () => {
    const { signals } = platform;
    const start = await create('gate');
    const id = { signalId: 'ok', executionId: start.id };
    await refused(signals.setSignal({ id, value: literalOf.boolean(true) }), 'INVALID_ARGUMENT', '"ok"');
    await platform.emit(start, {
      event: { $case: 'gateReached', value: { signalId: 'ok', nodeId: 'n0', type: typeOf.boolean() } },
    });
    const listed = await signals.listSignals(
      SignalListRequest.fromPartial({ workflowExecutionId: start.id, limit: 10 }),
    );
    expect(listed.signals).toMatchObject([{ id, value: undefined }]);
    await refused(signals.setSignal({ id, value: literalOf.integer(1n) }), 'INVALID_ARGUMENT', 'value');
    await signals.setSignal({ id, value: literalOf.boolean(false) });
    await signals.setSignal({ id, value: literalOf.boolean(true) });
    const sent = await platform.commands.find((command) =>
      command.$case === 'signal' && command.value.revision === 2n ? command.value : undefined,
    );
    expect(sent).toMatchObject({ signalId: 'ok', value: literalOf.boolean(true) });
    expect((await signals.getOrCreateSignal({ id, type: typeOf.boolean() })).value).toMatchObject(
      literalOf.boolean(true),
    );
  });
});
