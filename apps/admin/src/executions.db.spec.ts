import { ParentNode } from '@aloft/idl/aloft/v1/bus';
import { ChildStarted } from '@aloft/idl/aloft/v1/engine';
import { NamedEntityListRequest, NamedEntityState } from '@aloft/idl/flyteidl/admin/common';
import { ExecutionMetadata_ExecutionMode as Mode, ExecutionState } from '@aloft/idl/flyteidl/admin/execution';
import { MatchableResource } from '@aloft/idl/flyteidl/admin/matchable_resource';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { ResourceType, type Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { AloftError } from '@aloft/errors';
import { jest } from '@jest/globals';
import { ExecutionEngine } from '@aloft/idl/aloft/v1/project_settings';
import { Project } from '@aloft/idl/flyteidl/admin/project';
import { literalOf, typeOf } from '@aloft/literals';
import { domain, idOf, literals, project, register, taskSpec, x } from './testing/entities.js';
import { workflow } from './testing/events.js';
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

const { request, create, list } = executionCalls(() => ({ platform, plan }));

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
