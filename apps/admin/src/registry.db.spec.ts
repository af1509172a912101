import type { AloftError } from '@aloft/errors';
import { CreateWorkflowFailureReason } from '@aloft/idl/flyteidl/admin/workflow';
import { InactiveProject, Project, Project_ProjectState, ProjectListRequest } from '@aloft/idl/flyteidl/admin/project';
import {
  NamedEntityIdentifierListRequest,
  NamedEntityListRequest,
  NamedEntityState,
  ResourceListRequest,
  Sort_Direction,
} from '@aloft/idl/flyteidl/admin/common';
import { DescriptionEntityListRequest } from '@aloft/idl/flyteidl/admin/description_entity';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { TaskCreateRequest } from '@aloft/idl/flyteidl/admin/task';
import { AdminServiceClient, AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import { Resources_ResourceName as Name } from '@aloft/idl/flyteidl/core/tasks';
import { typeOf } from '@aloft/literals';
import { createClient } from '@aloft/rpc';
import { adminConfigSchema } from './config.js';
import { chainSpec, domain, idOf, planSpec, project, taskSpec, typed } from './testing/entities.js';
import { refused } from './testing/refused.js';
import { startPlatform, type Platform } from './testing/platform.js';
import { startRegistryPlatform } from './testing/registry-platform.js';

let platform: Platform;
beforeAll(async () => {
  platform = await startRegistryPlatform();
});
afterAll(() => platform?.stop());

const task = (name: string, version?: string) => idOf(ResourceType.TASK, name, version);
const workflow = (name: string, version?: string) => idOf(ResourceType.WORKFLOW, name, version);
const plan = (name: string, version?: string) => idOf(ResourceType.LAUNCH_PLAN, name, version);
const scope = { project, domain, name: '', org: '' };

describe('projects and domains', () => {
  test('A-81, A-82: both projects exist from the start, with the domains', async () => {
    const { projects } = await platform.admin.listProjects(ProjectListRequest.fromPartial({}));
    expect(projects.map(({ id }) => id)).toEqual(['aloft', 'flytesnacks']);
    expect(projects[0]?.domains.map(({ id }) => id)).toEqual(['development', 'staging', 'production']);
    expect((await platform.admin.getDomains({})).domains).toHaveLength(3);
  });

  test('A-80: register, update only what is given, refuse what is wrong', async () => {
    const { admin } = platform;
    const one = Project.fromPartial({ id: 'one', name: 'One', labels: { values: { team: 'ml' } } });
    await admin.registerProject({ project: one });
    await refused(admin.registerProject({ project: one }), 'ALREADY_EXISTS', '"one"');
    await admin.updateProject(Project.fromPartial({ id: 'one', description: 'first' }));
    expect(await admin.getProject({ id: 'one', org: '' })).toMatchObject({
      name: 'One',
      description: 'first',
      labels: { values: { team: 'ml' } },
    });
    await refused(
      admin.registerProject({ project: { ...one, id: 'Not_ok' } }),
      'INVALID_ARGUMENT',
      'project.id',
      'DNS-1123',
    );
    await refused(
      admin.registerProject({ project: { ...one, id: 'two', domains: [{ id: 'd', name: 'd' }] } }),
      'INVALID_ARGUMENT',
      'project.domains',
    );
  });

  test('K-5, A-83: unknown project or domain, archived project', async () => {
    const { admin } = platform;
    await admin.registerProject({ project: Project.fromPartial({ id: 'old', name: 'Old' }) });
    await admin.updateProject(Project.fromPartial({ id: 'old', state: Project_ProjectState.ARCHIVED }));
    const at = (changes: object) => admin.createTask({ id: { ...task('t'), ...changes }, spec: taskSpec() });
    await refused(at({ project: 'nope' }), 'INVALID_ARGUMENT', 'id.project', '"nope"');
    await refused(at({ domain: 'nope' }), 'INVALID_ARGUMENT', 'id.domain', 'development, staging, production');
    const error = await refused(at({ project: 'old' }), 'INVALID_ARGUMENT', 'archived');
    expect(error.details[0]?.type).toBe('flyteidl.admin.InactiveProject');
    expect(InactiveProject.decode(error.details[0]?.value as Uint8Array).id).toBe('old');
    const { projects } = await admin.listProjects(ProjectListRequest.fromPartial({}));
    expect(projects.map(({ id }) => id)).not.toContain('old');
    const archived = await admin.listProjects(ProjectListRequest.fromPartial({ filters: 'eq(state,1)' }));
    expect(archived.projects.map(({ id }) => id)).toEqual(['old']);
  });
});

describe('tasks', () => {
  test('K-1, K-2: the same again; another under the same version, with a readable difference', async () => {
    const { admin } = platform;
    const id = task('same');
    await admin.createTask({ id, spec: taskSpec() });
    await refused(admin.createTask({ id, spec: taskSpec() }), 'ALREADY_EXISTS', 'identical');
    const other = taskSpec({ target: { $case: 'container', value: { image: 'image:2', args: ['pyflyte-execute'] } } });
    await refused(
      admin.createTask({ id, spec: other }),
      'INVALID_ARGUMENT',
      'template.target.container.image: "image:1" → "image:2"',
    );
    const found = await admin.getTask({ id });
    expect(found).toMatchObject({ shortDescription: 'adds one', closure: { compiledTask: { template: { id } } } });
    expect(found.closure?.createdAt?.seconds).toBeGreaterThan(0n);
  });

  test('A-11: of many at once each is judged by itself', async () => {
    const { admin } = platform;
    await admin.createTask({ id: task('at.once.0'), spec: taskSpec() });
    const create = (n: number, type?: string) =>
      admin.createTask({ id: task(`at.once.${n}`), spec: taskSpec(type ? { type } : {}) }).then(
        () => 'OK',
        (error: AloftError) => error.code,
      );
    const said = await Promise.all([3, 0, 2, 1, 1, 1, 0].map((n) => create(n)));
    expect([said[0], said[1], said[2], said[6]]).toEqual(['OK', 'ALREADY_EXISTS', 'OK', 'ALREADY_EXISTS']);
    expect(said.slice(3, 6).sort()).toEqual(['ALREADY_EXISTS', 'ALREADY_EXISTS', 'OK']);
    expect(await Promise.all([create(4), create(0, 'other')])).toEqual(['OK', 'INVALID_ARGUMENT']);
  });

  test('S-12: the original bytes are kept', async () => {
    const { rows } = await platform.database.query<{ spec: Buffer }>(`SELECT spec FROM tasks WHERE name = 'same'`);
    const { TaskSpec } = await import('@aloft/idl/flyteidl/admin/task');
    expect(TaskSpec.decode(rows[0]?.spec as Buffer)).toEqual(taskSpec());
  });

  const resources = (requests: [Name, string][], limits: [Name, string][] = []) => {
    const entries = (list: [Name, string][]) => list.map(([name, value]) => ({ name, value }));
    const container = { image: 'i', args: ['a'], resources: { requests: entries(requests), limits: entries(limits) } };
    return taskSpec({ target: { $case: 'container', value: container } });
  };
  test.each([
    ['request above limit', resources([[Name.CPU, '2']], [[Name.CPU, '1']]), 'above its limit'],
    ['half a GPU', resources([[Name.GPU, '500m']]), 'whole number'],
    ['GPU request and limit differ', resources([[Name.GPU, '1']], [[Name.GPU, '2']]), 'must be equal'],
    [
      'twice',
      resources([
        [Name.CPU, '1'],
        [Name.CPU, '2'],
      ]),
      'appears twice',
    ],
    ['above the platform', resources([[Name.CPU, '9']]), "above the platform's limit 8"],
    ['no quantity', resources([[Name.MEMORY, '1GB']]), '"1GB" is no quantity'],
  ])('K-3: %s', async (_what, spec, message) => {
    await refused(platform.admin.createTask({ id: task('wrong'), spec }), 'INVALID_ARGUMENT', message);
  });

  test.each([
    ['spec', undefined, 'spec.template'],
    ['type', taskSpec({ type: '' }), 'spec.template.type'],
    ['metadata', taskSpec({ metadata: undefined }), 'spec.template.metadata'],
    ['runtime version', taskSpec({ metadata: { runtime: { flavor: 'python' } } }), 'runtime.version'],
    ['interface', taskSpec({ interface: undefined }), 'spec.template.interface'],
    ['image', taskSpec({ target: { $case: 'container', value: { args: ['a'] } } }), 'container.image'],
    ['pod', taskSpec({ target: { $case: 'k8sPod', value: { podSpec: {} } } }), 'k8s_pod.pod_spec.containers'],
  ])('K-4: without %s', async (_what, spec, field) => {
    await refused(platform.admin.createTask({ id: task('wrong'), spec }), 'INVALID_ARGUMENT', field);
  });

  test('A-5: identifiers', async () => {
    const { admin } = platform;
    await refused(admin.createTask({ id: undefined, spec: taskSpec() }), 'INVALID_ARGUMENT', 'id: missing');
    await refused(admin.createTask({ id: workflow('w'), spec: taskSpec() }), 'INVALID_ARGUMENT', 'must be TASK');
    await refused(admin.getTask({ id: task('', 'v') }), 'INVALID_ARGUMENT', 'id.name');
  });

  test('A-12, K-7: lists by name and without, pages, ids', async () => {
    const { admin } = platform;
    for (const version of ['v1', 'v2', 'v3']) await admin.createTask({ id: task('paged', version), spec: taskSpec() });
    const sortBy = { key: 'created_at', direction: Sort_Direction.DESCENDING };
    const list = (changes: object) =>
      admin.listTasks(
        ResourceListRequest.fromPartial({ id: { ...scope, name: 'paged' }, limit: 2, sortBy, ...changes }),
      );
    const first = await list({});
    expect(first.tasks.map(({ id }) => id?.version)).toEqual(['v3', 'v2']);
    const second = await list({ token: first.token });
    expect(second.tasks.map(({ id }) => id?.version)).toEqual(['v1']);
    expect(second.token).toBe('');
    const filtered = await list({ filters: 'value_in(version,v1;v2)+eq(type,python-task)', limit: 9 });
    expect(filtered.tasks).toHaveLength(2);
    await refused(list({ limit: 0 }), 'INVALID_ARGUMENT', 'limit');
    await refused(list({ token: 'abc' }), 'INVALID_ARGUMENT', 'token');
    await refused(list({ filters: 'eq(colour,red)' }), 'INVALID_ARGUMENT', 'colour');
    // What was listed before and what is new, from memory and from the table; large ones do not stay.
    await admin.createTask({ id: task('paged', 'v4'), spec: taskSpec({ custom: { large: 'x'.repeat(20_000) } }) });
    for (const _again of [1, 2]) {
      const all = await list({ limit: 9 });
      expect(all.tasks.map(({ id }) => id?.version)).toEqual(['v4', 'v3', 'v2', 'v1']);
      for (const listed of all.tasks) expect(listed).toEqual(await admin.getTask({ id: listed.id }));
    }
    const ids = await admin.listTaskIds(NamedEntityIdentifierListRequest.fromPartial({ project, domain, limit: 100 }));
    expect(ids.entities.filter(({ name }) => name === 'paged')).toHaveLength(1);
  });
});

describe('workflows', () => {
  beforeAll(() => platform.admin.createTask({ id: task('step'), spec: taskSpec() }));

  test('K-9: identical and different, typed; closures are read back, lists have none', async () => {
    const { admin } = platform;
    const id = workflow('chain');
    await admin.createWorkflow({ id, spec: chainSpec('step', 2) });
    const reason = (error: AloftError) =>
      CreateWorkflowFailureReason.decode(error.details[0]?.value as Uint8Array).reason?.$case;
    const same = await refused(admin.createWorkflow({ id, spec: chainSpec('step', 2) }), 'ALREADY_EXISTS');
    expect(reason(same)).toBe('existsIdenticalStructure');
    const other = await refused(
      admin.createWorkflow({ id, spec: chainSpec('step', 3) }),
      'INVALID_ARGUMENT',
      'What differs',
    );
    expect(reason(other)).toBe('existsDifferentStructure');
    const found = await admin.getWorkflow({ id });
    const closure = found.closure?.compiledWorkflow;
    expect(closure?.primary?.template?.nodes.map((node) => node.id)).toEqual(
      expect.arrayContaining(['start-node', 'n0', 'n1', 'end-node']),
    );
    expect(closure?.primary?.connections?.downstream['n0']?.ids).toEqual(['n1']);
    expect(closure?.tasks).toHaveLength(1);
    const list = await admin.listWorkflows(
      ResourceListRequest.fromPartial({ id: { ...scope, name: 'chain' }, limit: 5 }),
    );
    expect(list.workflows[0]?.closure?.compiledWorkflow?.primary?.template?.nodes).toEqual([]);
    expect(list.workflows[0]).toMatchObject({ id, shortDescription: 'a chain' });
    expect(
      Object.keys(list.workflows[0]?.closure?.compiledWorkflow?.primary?.template?.interface?.inputs?.variables ?? {}),
    ).toEqual(['x']);
  });

  test('A-5: 255 characters of any script are a name and a version', async () => {
    const id = workflow('ß'.repeat(255), '版'.repeat(255));
    await platform.admin.createTask({ id: task('long.task'), spec: taskSpec() });
    await platform.admin.createWorkflow({ id, spec: chainSpec('long.task') });
    const { closure } = await platform.admin.getWorkflow({ id });
    expect(closure?.compiledWorkflow?.primary?.template?.id).toMatchObject({ name: id.name, version: id.version });
  });

  test('A-20: a limit of the size that the compiled workflow has, as a quantity', async () => {
    const { admin } = platform;
    const sized = (length: number) => {
      const spec = chainSpec('step', 1);
      spec.template!.nodes[0]!.metadata!.name = 'n'.repeat(length);
      return spec;
    };
    await refused(
      admin.createWorkflow({ id: workflow('large'), spec: sized(64 * 1024) }),
      'INVALID_ARGUMENT',
      'spec.template',
      'at most 64Ki',
      'admin.limits.workflowSize',
    );
    await admin.createWorkflow({ id: workflow('large'), spec: sized(60 * 1024) });
    expect(() => adminConfigSchema.parse({ limits: { workflowSize: 'much' } })).toThrow('8Mi');
    expect(() => adminConfigSchema.parse({ limits: { workflowSize: '0' } })).toThrow('above 0');
  });

  test('Q-13: a version that URLs must escape is registered, and its caller warned', async () => {
    const warnings: string[] = [];
    const admin = createClient(AdminServiceClient, platform.address, { onWarning: (text) => warnings.push(text) });
    try {
      await admin.createTask({ id: task('odd', 'v1/ü b'), spec: taskSpec() });
      expect(warnings).toEqual([
        expect.stringMatching(/^id\.version: "\/\\u00fc " of "v1\/\\u00fc b" must be escaped in URLs/),
      ]);
      expect((await admin.getTask({ id: task('odd', 'v1/ü b') })).id?.version).toBe('v1/ü b');
      await admin.createTask({ id: task('even', 'v1.0-rc_1~x'), spec: taskSpec() });
      expect(warnings).toHaveLength(1);
      await admin.createWorkflow({ id: workflow('odd', 'v 1'), spec: chainSpec('step') });
      await admin.createLaunchPlan({
        id: plan('odd', 'v+1'),
        spec: planSpec('odd', { workflowId: workflow('odd', 'v 1') }),
      });
      expect(warnings).toHaveLength(3);
    } finally {
      admin.close();
    }
    const body = TaskCreateRequest.encode({ id: task('odd', 'v 2'), spec: taskSpec() }).finish();
    const headers = { 'content-type': 'application/octet-stream' };
    const answer = await fetch(`${platform.http}/api/v1/tasks`, { method: 'POST', body, headers });
    expect([answer.status, answer.headers.get('aloft-warning')]).toEqual([200, expect.stringContaining('"v 2"')]);
  });

  test('K-8: what does not compile', async () => {
    const { admin } = platform;
    const create = (spec: ReturnType<typeof chainSpec>) => admin.createWorkflow({ id: workflow('bad'), spec });
    await refused(create(chainSpec('unknown')), 'INVALID_ARGUMENT', 'task flytesnacks/development/unknown@v1');
    await refused(create(chainSpec('step', 101)), 'INVALID_ARGUMENT', '101 nodes', 'at most 100');
    const wrongType = typed({ x: typeOf.string() }, { o0: typeOf.integer() });
    await refused(create(chainSpec('step', 1, wrongType)), 'INVALID_ARGUMENT', 'MismatchingTypes');
    const cycle = chainSpec('step', 2);
    cycle.template!.nodes[0]!.upstreamNodeIds = ['n1'];
    await refused(create(cycle), 'INVALID_ARGUMENT', 'Cycle');
    const branch = chainSpec('step', 1);
    const thenNode = { ...branch.template!.nodes[0]!, id: 'inner' };
    const operand = (value: object) => ({ val: value });
    branch.template!.nodes[0] = {
      ...branch.template!.nodes[0]!,
      target: {
        $case: 'branchNode',
        value: {
          ifElse: {
            case: {
              condition: {
                expr: {
                  $case: 'comparison',
                  value: {
                    operator: 0,
                    leftValue: operand({ $case: 'var', value: 'x' }),
                    rightValue: operand({ $case: 'primitive', value: { value: { $case: 'integer', value: 1n } } }),
                  },
                },
              },
              thenNode,
            },
            other: [],
            default: undefined,
          },
        },
      } as never,
    };
    await refused(create(branch), 'INVALID_ARGUMENT', 'BranchNodeHasNoDefault');
  });

  test('A-101: descriptions', async () => {
    const { admin } = platform;
    const one = await admin.getDescriptionEntity({ id: workflow('chain') });
    expect(one).toMatchObject({ shortDescription: 'a chain', longDescription: { content: { value: 'long' } } });
    const id = { ...scope, name: 'chain' };
    const request = DescriptionEntityListRequest.fromPartial({ resourceType: ResourceType.WORKFLOW, id, limit: 5 });
    expect((await admin.listDescriptionEntities(request)).descriptionEntities).toHaveLength(1);
  });
});

describe('named entities (A-100)', () => {
  test('description and state; archived ones can be filtered', async () => {
    const { admin } = platform;
    await admin.createTask({ id: task('named'), spec: taskSpec() });
    const resourceType = ResourceType.TASK;
    const id = { ...scope, name: 'named' };
    await admin.updateNamedEntity({
      resourceType,
      id,
      metadata: { description: 'mine', state: NamedEntityState.NAMED_ENTITY_ARCHIVED },
    });
    expect((await admin.getNamedEntity({ resourceType, id })).metadata).toMatchObject({
      description: 'mine',
      state: 1,
    });
    const list = await admin.listNamedEntities(
      NamedEntityListRequest.fromPartial({
        resourceType,
        project,
        domain,
        limit: 10,
        filters: 'eq(named_entity_metadata.state,1)',
      }),
    );
    expect(list.entities.map((entity) => entity.id?.name)).toEqual(['named']);
    await refused(admin.getNamedEntity({ resourceType: 0, id }), 'INVALID_ARGUMENT', 'resource_type');
  });
});

test('K-6: unknown things', async () => {
  const { admin } = platform;
  const execution = { project, domain, name: 'nope', org: '' };
  await refused(admin.getTask({ id: task('nope') }), 'NOT_FOUND', 'nope@v1');
  await refused(admin.getWorkflow({ id: workflow('nope') }), 'NOT_FOUND');
  await refused(admin.getLaunchPlan({ id: plan('nope') }), 'NOT_FOUND');
  await refused(admin.getExecution({ id: execution }), 'NOT_FOUND');
  await refused(admin.getNodeExecution({ id: { nodeId: 'n0', executionId: execution } }), 'NOT_FOUND');
  await refused(admin.getProject({ id: 'nope', org: '' }), 'NOT_FOUND');
  await refused(admin.getNamedEntity({ resourceType: ResourceType.TASK, id: execution }), 'NOT_FOUND');
});

test('A-102, A-130: version, identity and metadata of a server without login', async () => {
  const { controlPlaneVersion } = await platform.admin.getVersion({});
  expect(controlPlaneVersion?.Version).toMatch(/^\d+\.\d+\.\d+/);
  expect(await platform.identity.userInfo({})).toMatchObject({ subject: '' });
  expect((await platform.auth.getPublicClientConfig({})).clientId).toBe('');
  expect((await platform.auth.getOAuth2Metadata({})).tokenEndpoint).toBe('');
});

test('K-38: the same over REST', async () => {
  const url = (path: string) => `${platform.http}/api/v1/${path}`;
  const missing = await fetch(url(`tasks/${project}/${domain}/nope/v1`));
  expect(missing.status).toBe(404);
  expect(await missing.json()).toMatchObject({ code: 5 });
  const found = await fetch(url(`tasks/${project}/${domain}/same/v1`));
  expect(await found.json()).toMatchObject({ id: { name: 'same' }, short_description: 'adds one' });
  const body = JSON.stringify({ id: { ...task('same'), resource_type: 'TASK' } });
  expect((await fetch(url('tasks'), { method: 'POST', body })).status).toBe(400);
  const again = await fetch(url('projects'), { method: 'POST', body: '{"project":{"id":"aloft","name":"aloft"}}' });
  expect(again.status).toBe(409);
  expect(await again.json()).toMatchObject({ code: 6 });
});

test('part G: every rpc is served', async () => {
  const admin = platform.admin as unknown as Record<string, (request: object) => Promise<unknown>>;
  const unserved: string[] = [];
  for (const [name, method] of Object.entries(AdminServiceService)) {
    const request = method.requestDeserialize(Buffer.alloc(0)) as object;
    const error = await admin[name]?.(request).then(
      () => undefined,
      (thrown: AloftError) => thrown,
    );
    if (error?.code === 'UNIMPLEMENTED') unserved.push(name);
    // An empty request may be wrong, but never an accident of ours.
    expect([name, error?.code]).not.toEqual([name, 'INTERNAL']);
  }
  expect(unserved).toEqual([]);
});

describe('a policy (K-36)', () => {
  let guarded: Platform;
  beforeAll(async () => {
    // Nobody may touch project "aloft"; everything else is allowed.
    guarded = await startPlatform({
      policy: { allows: (_principal, _action, resource) => resource.project !== 'aloft' },
    });
  });
  afterAll(() => guarded?.stop());

  test('refuses calls, leaves rows out of lists, and signs nothing', async () => {
    const { admin, data } = guarded;
    const { projects } = await admin.listProjects(ProjectListRequest.fromPartial({}));
    expect(projects.map(({ id }) => id)).toEqual(['flytesnacks']);
    const id = { ...task('t'), project: 'aloft' };
    await refused(admin.createTask({ id, spec: taskSpec() }), 'PERMISSION_DENIED', '"aloft"');
    await refused(data.getData({ flyteUrl: 'flyte://v1/aloft/development/run/n0/i' }), 'PERMISSION_DENIED');
    const nativeUrl = 's3://aloft/uploads/aloft/development/x/y';
    await refused(data.createDownloadLocation({ nativeUrl, expiresIn: undefined }), 'PERMISSION_DENIED');
    const scopeOfOther = { project: 'aloft', domain, org: '' };
    await refused(guarded.watch.watchProject(scopeOfOther)[Symbol.asyncIterator]().next(), 'PERMISSION_DENIED');
  });
});
