import type { WatchExecutionResponse } from '@aloft/idl/aloft/v1/watch';
import { ParentNode } from '@aloft/idl/aloft/v1/bus';
import { ChildStarted } from '@aloft/idl/aloft/v1/engine';
import { EventFailureReason } from '@aloft/idl/flyteidl/admin/event';
import { NamedEntityListRequest, NamedEntityState, ResourceListRequest } from '@aloft/idl/flyteidl/admin/common';
import {
  ExecutionCreateRequest,
  ExecutionMetadata_ExecutionMode as Mode,
  ExecutionState,
} from '@aloft/idl/flyteidl/admin/execution';
import { MatchableResource } from '@aloft/idl/flyteidl/admin/matchable_resource';
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
import { ResourceType, type Identifier, type WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { AloftError } from '@aloft/errors';
import { jest } from '@jest/globals';
import { ExecutionEngine } from '@aloft/idl/aloft/v1/project_settings';
import { Project } from '@aloft/idl/flyteidl/admin/project';
import { literalOf, typeOf } from '@aloft/literals';
import { domain, idOf, literals, project, register, taskSpec, x } from './testing/entities.js';
import { node, task, workflow } from './testing/events.js';
import { startPlatform, type Platform } from './testing/platform.js';

let platform: Platform;
let plan: Identifier;
beforeAll(async () => {
  platform = await startPlatform();
  plan = await register(platform, 'run');
});
afterAll(() => platform?.stop());

const scope = { project, domain, name: '', org: '' };
const execution = (name: string): WorkflowExecutionIdentifier => ({ project, domain, name, org: '' });

function request(name: string, inputs: LiteralMap | undefined, spec: object = {}): ExecutionCreateRequest {
  return ExecutionCreateRequest.fromPartial({ project, domain, name, inputs, spec: { launchPlan: plan, ...spec } });
}
const create = async (name: string, inputs: LiteralMap | null = x(1), spec: object = {}) => {
  await platform.admin.createExecution(request(name, inputs ?? undefined, spec));
  return platform.commands.start(name);
};
const refused = async (call: Promise<unknown>, code: string, ...parts: string[]) => {
  const error = await call.then(
    () => Promise.reject(new Error('the call was accepted')),
    (thrown: AloftError) => thrown,
  );
  expect({ code: error.code, message: error.message }).toMatchObject({ code });
  for (const part of parts) expect(error.message).toContain(part);
  return error;
};
const list = async (filters = '', rest: object = {}) =>
  (
    await platform.admin.listExecutions(ResourceListRequest.fromPartial({ id: scope, limit: 100, filters, ...rest }))
  ).executions.map(({ id }) => id?.name);

describe('where closures are (A-6, A-22)', () => {
  const stored = async (name: string): Promise<string[]> => {
    const found: string[] = [];
    for await (const { uri } of platform.blob.list(`s3://aloft/metadata/admin/${project}/${domain}/`)) {
      const closure = CompiledWorkflowClosure.decode(await platform.blob.get(uri));
      if (closure.primary?.template?.id?.name === name) found.push(uri);
    }
    return found;
  };
  const launch = async (plan: Identifier, name: string) => {
    await platform.admin.createExecution(request(name, x(1), { launchPlan: plan }));
    return platform.commands.start(name);
  };
  const nodesOf = async (name: string) =>
    (await platform.admin.getWorkflow({ id: idOf(ResourceType.WORKFLOW, name) })).closure?.compiledWorkflow?.primary
      ?.template?.nodes.length;

  test('a small one is stored for the engine by the first launch, and only then', async () => {
    const small = await register(platform, 'closure.small');
    expect(await nodesOf('closure.small')).toBe(3);
    expect(await stored('closure.small')).toEqual([]);
    const starts = await Promise.all(['first', 'second'].map((run) => launch(small, `small-${run}`)));
    expect(await stored('closure.small')).toEqual([starts[0]?.closureUri]);
    expect(starts[1]?.closureUri).toBe(starts[0]?.closureUri);
    expect(await nodesOf('closure.small')).toBe(3);
  });

  test('a large one is stored when it is registered', async () => {
    const large = await register(platform, 'closure.large', {}, 500);
    const [uri] = await stored('closure.large');
    expect(await nodesOf('closure.large')).toBe(502);
    expect((await launch(large, 'large-run')).closureUri).toBe(uri);
  });

  test('without the storage that an engine reads from, no run is begun', async () => {
    const small = await register(platform, 'closure.away');
    const put = jest.spyOn(platform.blob, 'put').mockRejectedValue(new AloftError('UNAVAILABLE', 'storage is away'));
    await refused(launch(small, 'away-run'), 'UNAVAILABLE', 'storage is away');
    put.mockRestore();
    await refused(platform.admin.getExecution({ id: execution('away-run') }), 'NOT_FOUND');
    expect(await stored('closure.away')).toEqual([]);
    const { closureUri } = await launch(small, 'back-run');
    expect(await stored('closure.away')).toEqual([closureUri]);
  });

  test('a foreign engine needs none there', async () => {
    const { admin, settings } = platform;
    const foreign = { id: 'foreign', name: 'foreign' };
    await admin.registerProject({ project: Project.fromPartial(foreign) });
    await settings.updateProjectSettings({ project: foreign.id, org: '', engine: ExecutionEngine.EXTERNAL });
    const small = await register(platform, 'closure.foreign');
    await admin.createExecution({ ...request('foreign-run', x(1), { launchPlan: small }), project: foreign.id });
    expect(await stored('closure.foreign')).toEqual([]);
    const metrics = await admin.getExecutionMetrics({
      id: { ...execution('foreign-run'), project: foreign.id },
      depth: 1,
    });
    expect(metrics.span).toBeDefined();
  });
});

describe('creating runs', () => {
  test('A-40, A-48: row and start command, with closure, inputs and settings', async () => {
    const start = await create('first', x(5), { labels: { values: { team: 'ml' } }, maxParallelism: 3 });
    expect(start).toMatchObject({
      id: execution('first'),
      launchPlan: plan,
      workflow: idOf(ResourceType.WORKFLOW, 'run'),
      inputs: { value: { $case: 'inline', value: x(5) } },
      settings: { labels: { team: 'ml' }, maxParallelism: 3, rawOutputPrefix: 's3://aloft/data', nesting: 0 },
    });
    expect(start.uid).toMatch(/^[0-9a-f-]{36}$/);
    const closure = await platform.blob.get(start.closureUri);
    expect(CompiledWorkflowClosure.decode(closure).primary?.template?.nodes.map(({ id }) => id)).toContain('n0');
    const { createHash } = await import('node:crypto');
    expect(createHash('sha256').update(closure).digest().equals(start.closureDigest)).toBe(true);
    const found = await platform.admin.getExecution({ id: execution('first') });
    expect(found.closure).toMatchObject({ phase: Phase.UNDEFINED, workflowId: { name: 'run' } });
    expect(found.spec).toMatchObject({ labels: { values: { team: 'ml' } }, metadata: { mode: Mode.MANUAL } });
    const data = await platform.admin.getExecutionData({ id: execution('first') });
    expect(data.fullInputs).toMatchObject(x(5));
    expect(data.fullOutputs?.literals).toEqual({});
  });

  test('A-40: a generated name', async () => {
    const { id } = await platform.admin.createExecution(request('', x(1)));
    expect(id?.name).toMatch(/^a[a-z0-9]{19}$/);
  });

  test('K-16: names', async () => {
    const { admin } = platform;
    await create('taken');
    await refused(admin.createExecution(request('taken', x(1))), 'ALREADY_EXISTS', 'taken');
    await refused(admin.createExecution(request('9abc', x(1))), 'INVALID_ARGUMENT', '9abc');
    await refused(admin.createExecution(request('a'.repeat(64), x(1))), 'INVALID_ARGUMENT', '64 characters');
    await create('Abc');
  });

  test('K-17: inputs', async () => {
    const { admin } = platform;
    await register(platform, 'fixed', { fixedInputs: x(7) });
    const fixed = { launchPlan: idOf(ResourceType.LAUNCH_PLAN, 'fixed') };
    await refused(
      admin.createExecution(request('k17', literals({ y: literalOf.integer(1n), ...x(1).literals }))),
      'INVALID_ARGUMENT',
      "'y'",
    );
    await refused(admin.createExecution(request('k17', undefined)), 'INVALID_ARGUMENT', "'x'", 'required');
    await refused(admin.createExecution(request('k17', x(7), fixed)), 'INVALID_ARGUMENT', "'x'", 'fixed');
    await refused(
      admin.createExecution(request('k17', literals({ x: literalOf.string('a') }))),
      'INVALID_ARGUMENT',
      "'x'",
    );
    expect((await create('k17', null, fixed)).inputs?.value?.value).toMatchObject(x(7));
    // Old clients put inputs into the spec.
    expect((await create('k17-old', null, { inputs: x(8) })).inputs?.value?.value).toMatchObject(x(8));
  });

  test('A-41: inputs over 32 KiB travel by reference', async () => {
    await platform.admin.createTask({
      id: idOf(ResourceType.TASK, 'text'),
      spec: taskSpec({
        interface: {
          inputs: { variables: { s: { type: typeOf.string() } } },
          outputs: { variables: {} },
        },
      }),
    });
    const inputs = literals({ s: literalOf.string('a'.repeat(40_000)) });
    const start = await create('large', inputs, { launchPlan: idOf(ResourceType.TASK, 'text') });
    const stored = start.inputs?.value;
    if (stored?.$case !== 'stored') throw new Error('expected a reference');
    expect(LiteralMap.decode(await platform.blob.get(stored.value.uri))).toMatchObject(inputs);
    const data = await platform.admin.getExecutionData({ id: execution('large') });
    expect(data.fullInputs).toMatchObject(inputs);
    expect(data.inputs?.url).toMatch(/^http/);
    expect(data.inputs?.bytes).toBe(stored.value.size);
  });

  test('K-18: what cannot be launched', async () => {
    const launchPlan = idOf(ResourceType.WORKFLOW, 'run');
    await refused(platform.admin.createExecution(request('k18', x(1), { launchPlan })), 'INVALID_ARGUMENT', 'WORKFLOW');
    const unknown = idOf(ResourceType.LAUNCH_PLAN, 'nope');
    await refused(platform.admin.createExecution(request('k18', x(1), { launchPlan: unknown })), 'NOT_FOUND');
  });

  test('K-19, Q-12: a single task; its workflow is hidden, its labels are searchable', async () => {
    const launchPlan = idOf(ResourceType.TASK, 'run');
    const spec = { launchPlan, labels: { values: { single: 'yes' } }, tags: ['tagged'] };
    const [start] = await Promise.all([create('single', x(2), spec), create('single2', x(2), spec)]);
    expect(start).toMatchObject({ workflow: { name: '.flytegen.run' }, launchPlan: { name: '.flytegen.run' } });
    const closure = CompiledWorkflowClosure.decode(await platform.blob.get(start.closureUri));
    const only = closure.primary?.template?.nodes.find(({ id }) => id === 'run');
    expect(only?.metadata?.retries?.retries).toBe(2);
    for (const resourceType of [ResourceType.WORKFLOW, ResourceType.LAUNCH_PLAN]) {
      const names = (filters: string) =>
        platform.admin.listNamedEntities(
          NamedEntityListRequest.fromPartial({ resourceType, project, domain, limit: 100, filters }),
        );
      expect((await names('')).entities.map(({ id }) => id?.name)).not.toContain('.flytegen.run');
      const generated = (await names('contains(name,.flytegen.run)')).entities;
      expect(generated[0]?.metadata?.state).toBe(NamedEntityState.SYSTEM_GENERATED);
    }
    expect((await list('eq(execution_tag.key,single)+eq(execution_tag.value,yes)')).sort()).toEqual([
      'single',
      'single2',
    ]);
    expect(await list('eq(admin_tag.name,tagged)+eq(task.name,run)')).toHaveLength(2);
  });

  test('K-15: a concurrency policy holds, also for creates at once', async () => {
    const concurrencyPolicy = { max: 1, behavior: 1 };
    const launchPlan = await register(platform, 'limited', { concurrencyPolicy });
    const results = await Promise.allSettled(
      ['c1', 'c2', 'c3'].map((name) => platform.admin.createExecution(request(name, x(1), { launchPlan }))),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const failed = results.find(({ status }) => status === 'rejected') as PromiseRejectedResult;
    expect(failed.reason).toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining('allows 1 at once'),
    });
  });

  test('A-48: 200 creates at once: each row has its command, none is lost', async () => {
    const names = Array.from({ length: 200 }, (_, i) => `many-${i}`);
    await Promise.all(
      names.map((name) => platform.admin.createExecution(request(name, x(1), { labels: { values: { many: 'yes' } } }))),
    );
    await Promise.all(names.map((name) => platform.commands.start(name)));
    expect(await list('eq(execution_tag.key,many)', { limit: 500 })).toHaveLength(200);
  });
});

test('a run whose start command is larger than a message fails alone, and leaves no row', async () => {
  const annotations = { values: { big: 'a'.repeat(300_000) } };
  const calls = ['small-1', 'big', 'small-2'].map((name) =>
    platform.admin.createExecution(request(name, x(1), name === 'big' ? { annotations } : {})),
  );
  const results = await Promise.allSettled(calls);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect((results[1] as PromiseRejectedResult).reason).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  await refused(platform.admin.getExecution({ id: execution('big') }), 'NOT_FOUND');
  await platform.commands.start('small-2');
});

describe('children (A-45)', () => {
  test('inherit nesting and are known by their parent; a taken name tells whose child it is', async () => {
    const parent = await create('parent');
    const spec = {
      metadata: { mode: Mode.CHILD_WORKFLOW, parentNodeExecution: { nodeId: 'n0', executionId: parent.id } },
    };
    const call = { metadata: { 'aloft-parent-attempt': '2' } };
    await platform.admin.createExecution(request('child', x(1), spec), call);
    const child = await platform.commands.start('child');
    expect(child).toMatchObject({
      mode: Mode.CHILD_WORKFLOW,
      settings: { nesting: 1 },
      parent: { execution: parent.id, executionUid: parent.uid, nodeId: 'n0', attempt: 2 },
    });
    const again = await refused(
      platform.admin.createExecution(request('child', x(1), spec), call),
      'ALREADY_EXISTS',
      'same node',
    );
    const detail = (type: string) => again.details.find((found) => found.type === type)?.value as Uint8Array;
    expect(ChildStarted.decode(detail('aloft.v1.ChildStarted'))).toMatchObject({
      child: child.id,
      childUid: child.uid,
    });
    expect(ParentNode.decode(detail('aloft.v1.ParentNode'))).toMatchObject({
      nodeId: 'n0',
      attempt: 2,
      executionUid: parent.uid,
    });
    const stranger = await refused(
      platform.admin.createExecution(request('parent', x(1), spec)),
      'ALREADY_EXISTS',
      'not a child',
    );
    expect(stranger.details.map(({ type }) => type)).toEqual(['aloft.v1.ChildStarted']);
    const found = await platform.admin.getExecution({ id: execution('child') });
    expect(found.spec?.metadata).toMatchObject({ nesting: 1, parentNodeExecution: { nodeId: 'n0' } });
  });
});

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

describe('settings', () => {
  test('K-32, K-33: most specific attribute wins; deleted, the next one does', async () => {
    const { admin } = platform;
    const config = (maxParallelism: number) => ({
      target: {
        $case: 'workflowExecutionConfig' as const,
        value: {
          maxParallelism,
          overwriteCache: false,
          executionEnvAssignments: [],
          securityContext: undefined,
          rawOutputDataConfig: undefined,
          labels: undefined,
          annotations: undefined,
          interruptible: undefined,
          envs: undefined,
        },
      },
    });
    const resourceType = MatchableResource.WORKFLOW_EXECUTION_CONFIG;
    const parallelism = async (name: string) => (await create(name)).settings?.maxParallelism;
    expect(await parallelism('k32-0')).toBe(0);
    await admin.updateProjectAttributes({ attributes: { project, org: '', matchingAttributes: config(5) } });
    expect(await parallelism('k32-1')).toBe(5);
    await admin.updateProjectDomainAttributes({
      attributes: { project, domain, org: '', matchingAttributes: config(10) },
    });
    expect(await parallelism('k32-2')).toBe(10);
    await admin.updateWorkflowAttributes({
      attributes: { project, domain, workflow: 'run', org: '', matchingAttributes: config(100) },
    });
    expect(await parallelism('k32-3')).toBe(100);
    const found = await admin.getWorkflowAttributes({ project, domain, workflow: 'other', resourceType, org: '' });
    expect(found.attributes?.matchingAttributes?.target).toMatchObject({ value: { maxParallelism: 10 } });
    expect((await admin.listMatchableAttributes({ resourceType, org: '' })).configurations).toHaveLength(3);
    await admin.deleteWorkflowAttributes({ project, domain, workflow: 'run', resourceType, org: '' });
    expect(await parallelism('k32-4')).toBe(10);
    await admin.deleteProjectDomainAttributes({ project, domain, resourceType, org: '' });
    await admin.deleteProjectAttributes({ project, resourceType, org: '' });
    await refused(admin.deleteProjectAttributes({ project, resourceType, org: '' }), 'NOT_FOUND');
    expect(
      (await admin.getProjectAttributes({ project, resourceType, org: '' })).attributes?.matchingAttributes?.target,
    ).toBeDefined();
    const quality = {
      target: { $case: 'qualityOfService' as const, value: { designation: { $case: 'tier' as const, value: 1 } } },
    };
    await admin.updateProjectDomainAttributes({
      attributes: { project, domain, org: '', matchingAttributes: quality },
    });
    expect((await create('k33')).settings?.qualityOfService).toMatchObject(quality.target.value);
  });
});

test('K-31: the filters of B18', async () => {
  const launchPlan = await register(platform, 'training');
  const names = ['f1', 'f2', 'f3'];
  const [f1, f2, f3] = await Promise.all(
    names.map((name) =>
      create(name, x(1), { launchPlan, labels: name === 'f1' ? { values: { team: 'ml' } } : undefined }),
    ),
  );
  await platform.emit(
    f1!,
    workflow(Phase.RUNNING, 1),
    workflow(Phase.FAILED, 2, { error: { code: 'E', message: 'm', kind: 1 } }),
  );
  await platform.emit(f2!, workflow(Phase.RUNNING, 1));
  await platform.emit(f3!, workflow(Phase.QUEUED, 1));
  const ofPlan = '+contains(launch_plan.name,train)';
  expect(await list(`eq(execution.phase,FAILED)+gte(execution_created_at,2026-01-01T00:00:00Z)${ofPlan}`)).toEqual([
    'f1',
  ]);
  expect((await list(`value_in(phase,RUNNING;QUEUED)${ofPlan}`)).sort()).toEqual(['f2', 'f3']);
  expect((await list('contains(launch_plan.name,train)')).sort()).toEqual(names);
  expect(await list('eq(execution_tag.key,team)+eq(execution_tag.value,ml)+contains(launch_plan.name,train)')).toEqual([
    'f1',
  ]);
  await platform.admin.updateExecution({ id: f3!.id, state: ExecutionState.EXECUTION_ARCHIVED });
  expect((await list(`ne(state,1)${ofPlan}`)).sort()).toEqual(['f1', 'f2']);
  expect((await list(`eq(workflow.version,v1)+eq(workflow.name,training)`)).sort()).toEqual(['f1', 'f2']);
  await refused(list('gte(CreatedAt,soon)'), 'INVALID_ARGUMENT', 'RFC 3339');
});
