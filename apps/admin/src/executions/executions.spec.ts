import { ArrayParallelism } from '@aloft/idl/aloft/v1/bus';
import { ExecutionSpec } from '@aloft/idl/flyteidl/admin/execution';
import { LaunchPlanSpec } from '@aloft/idl/flyteidl/admin/launch_plan';
import { WorkflowExecutionConfig } from '@aloft/idl/flyteidl/admin/matchable_resource';
import { QualityOfService, QualityOfService_Tier as Tier } from '@aloft/idl/flyteidl/core/execution';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { typeOf } from '@aloft/literals';
import { covers } from '../attributes/attribute-kinds.js';
import { configuredAttributes, qualityOf } from '../attributes/configured-attributes.js';
import { adminConfigSchema } from '../config.js';
import { cut } from './execution-answers.js';
import { randomExecutionName, requireExecutionName } from './execution-validation.js';
import { requirePolicies } from './run-policies.js';
import type { SettingSources } from './setting-sources.js';
import { mergeSettings } from './settings.js';
import { generatedNodeId, generatedWorkflow } from './single-task.js';

type Partials = {
  request?: Parameters<typeof ExecutionSpec.fromPartial>[0];
  plan?: Parameters<typeof LaunchPlanSpec.fromPartial>[0];
  configs?: Parameters<typeof WorkflowExecutionConfig.fromPartial>[0][];
} & Partial<Omit<SettingSources, 'request' | 'plan' | 'configs'>>;

function merge({ request = {}, plan = {}, configs = [], ...rest }: Partials) {
  return mergeSettings({
    request: ExecutionSpec.fromPartial(request),
    plan: LaunchPlanSpec.fromPartial(plan),
    configs: configs.map((config) => WorkflowExecutionConfig.fromPartial(config)),
    name: 'p/d/run',
    taskResources: [],
    pluginOverrides: [],
    clusterLabels: [],
    clusterAssignments: [],
    clusterResources: [],
    queueTags: [],
    qualityOfService: [],
    workflowQualityOfService: undefined,
    projectLabels: {},
    config: adminConfigSchema.parse({}),
    defaultRawOutputPrefix: 's3://aloft/data',
    principal: 'me',
    parent: undefined,
    ...rest,
  });
}

describe('A-43: settings', () => {
  test('first non-empty wins, per field: request, plan, attributes, server', () => {
    const merged = merge({
      request: { labels: { values: { a: 'request' } } },
      plan: {
        labels: { values: { b: 'plan' } },
        maxParallelism: 4,
        rawOutputDataConfig: { outputLocationPrefix: 's3://plan' },
      },
      configs: [
        { maxParallelism: 9, annotations: { values: { c: 'attribute' } }, interruptible: false },
        { interruptible: true },
      ],
    });
    expect(merged).toMatchObject({
      labels: { a: 'request' },
      annotations: { c: 'attribute' },
      maxParallelism: 4,
      rawOutputPrefix: 's3://plan',
      interruptible: false,
    });
    expect(merge({}).rawOutputPrefix).toBe('s3://aloft/data');
  });

  test('overwrite_cache can only be switched on; max parallelism 0 means not set', () => {
    expect(merge({ request: { overwriteCache: false }, configs: [{ overwriteCache: true }] }).overwriteCache).toBe(
      true,
    );
    expect(merge({ request: { maxParallelism: 0 }, configs: [{ maxParallelism: 7 }] }).maxParallelism).toBe(7);
  });

  test('A-44: project labels fill gaps', () => {
    const projectLabels = { team: 'ml', a: 'project' };
    expect(merge({ request: { labels: { values: { a: 'x' } } }, projectLabels }).labels).toEqual({
      team: 'ml',
      a: 'x',
    });
  });

  test('a security context counts only with an account, a role or an identity; old auth fields come after attributes', () => {
    const secrets = [{ group: 'g', key: 'k' }];
    const merged = merge({
      request: { securityContext: { secrets }, authRole: { assumableIamRole: 'old-role' } },
      configs: [{ securityContext: { runAs: { k8sServiceAccount: 'account' } } }],
    });
    expect(merged.securityContext?.runAs).toMatchObject({
      k8sServiceAccount: 'account',
      iamRole: '',
      executionIdentity: 'me',
    });
    const legacy = merge({ request: { securityContext: { secrets }, authRole: { assumableIamRole: 'old-role' } } });
    expect(legacy.securityContext).toMatchObject({ runAs: { iamRole: 'old-role' }, secrets });
  });

  test('A-45: children inherit principal and cluster label and are one level deeper', () => {
    const parent = { nesting: 2, clusterLabel: 'gpu', principal: 'owner' };
    expect(merge({ parent })).toMatchObject({ nesting: 3, clusterLabel: 'gpu', principal: 'owner' });
  });

  test('S-27: defaults and limits of task resources, by resource', () => {
    const config = adminConfigSchema.parse({ taskResources: { defaults: { cpu: '1', memory: '1Gi' } } });
    const resources = { cpu: '2', gpu: '', memory: '', storage: '', ephemeralStorage: '' };
    const { taskResourceDefaults, taskResourceLimits } = merge({
      config,
      taskResources: [{ defaults: resources, limits: resources }],
    });
    expect(taskResourceDefaults?.requests).toEqual([
      { name: 1, value: '2' },
      { name: 3, value: '1Gi' },
    ]);
    expect(taskResourceLimits).toEqual([{ name: 1, value: '2' }]);
  });
});

describe('where a run goes and how soon', () => {
  const tier = (value: Tier) => QualityOfService.fromPartial({ designation: { $case: 'tier', value } });

  test('A-210: request, plan, workflow, attribute, default; an empty one says nothing; MEDIUM if nobody says', () => {
    const all = {
      request: { qualityOfService: tier(Tier.UNDEFINED) },
      plan: { qualityOfService: tier(Tier.HIGH) },
      workflowQualityOfService: tier(Tier.LOW),
      qualityOfService: [tier(Tier.MEDIUM)],
    };
    expect(merge(all)).toMatchObject({ qualityOfService: tier(Tier.HIGH), placement: { tier: Tier.HIGH } });
    expect(merge({ ...all, plan: {} }).placement).toMatchObject({ tier: Tier.LOW, queueingBudget: { seconds: 7200n } });
    expect(merge({ qualityOfService: [tier(Tier.MEDIUM)] }).qualityOfService).toEqual(tier(Tier.MEDIUM));
    expect(merge({})).toMatchObject({
      qualityOfService: undefined,
      placement: { tier: Tier.MEDIUM, queueingBudget: { seconds: 600n } },
    });
  });

  test('A-210: a budget of its own counts as it is', () => {
    const designation = { $case: 'spec', value: { queueingBudget: { seconds: 5n } } } as const;
    expect(merge({ request: { qualityOfService: { designation } } }).placement).toMatchObject({
      tier: Tier.UNDEFINED,
      queueingBudget: { seconds: 5n, nanos: 0 },
    });
  });

  test('A-94: the first tag that a queue has; of several such queues always the same for a run; else the defaults', () => {
    const config = adminConfigSchema.parse({
      queues: [
        { name: 'gpu-1', tags: ['gpu'] },
        { name: 'gpu-2', tags: ['gpu', 'big'] },
        { name: 'rest', tags: ['any'] },
      ],
    });
    const drawn = Array.from({ length: 40 }, (_, i) =>
      merge({ config, name: `run${i}`, queueTags: [{ tags: ['nosuch', 'gpu'] }, { tags: ['any'] }] }),
    );
    expect(new Set(drawn.map(({ placement }) => placement?.queue))).toEqual(new Set(['gpu-1', 'gpu-2']));
    const again = merge({ config, name: 'run7', queueTags: [{ tags: ['gpu'] }] });
    expect(again.placement?.queue).toBe(drawn[7]!.placement?.queue);
    expect(again.annotations['aloft.dev/queue']).toBe(again.placement?.queue);
    const fallen = merge({ config, queueTags: [{ tags: ['nosuch'] }, { tags: ['any'] }] });
    expect(fallen.placement).toMatchObject({ queue: 'rest', queueTags: ['nosuch'] });
    // A relaunch keeps its annotations, but not the old draw.
    const relaunched = merge({ request: { annotations: { values: { 'aloft.dev/queue': 'gone', a: 'b' } } } });
    expect(relaunched.annotations).toEqual({ a: 'b' });
  });

  test('A-46: the pool of project and domain is the only one for them', () => {
    const assigned = [{ clusterPoolName: 'east' }];
    const asking = (clusterPoolName: string) => ({ request: { clusterAssignment: { clusterPoolName } } });
    expect(merge({ clusterAssignments: assigned }).placement?.clusterPool).toBe('east');
    expect(merge(asking('west')).placement?.clusterPool).toBe('west');
    expect(merge({ ...asking('east'), clusterAssignments: assigned }).placement?.clusterPool).toBe('east');
    expect(() => merge({ ...asking('west'), clusterAssignments: assigned })).toThrow(
      'spec.cluster_assignment.cluster_pool_name: "west" is not the pool',
    );
    expect(merge({ plan: { clusterAssignment: { clusterPoolName: 'west' } } }).placement?.clusterPool).toBe('west');
  });

  test('A-94: variables for namespaces, and overrides of plugins by task type, each from the nearest level that has it', () => {
    const overrides = (taskType: string, plugin: string) => ({
      overrides: [{ taskType, pluginId: [plugin], missingPluginBehavior: 0 }],
    });
    const merged = merge({
      clusterResources: [{ attributes: { cpu: '9' } }, { attributes: { cpu: '1', gpu: '2' } }],
      pluginOverrides: [overrides('spark', 'mine'), overrides('spark', 'default')],
    });
    expect(merged.placement?.clusterResources).toEqual({ cpu: '9', gpu: '2' });
    expect(merged.pluginOverrides[0]?.pluginId).toEqual(['mine']);
  });
});

describe('S-20: defaults from the configuration', () => {
  const { defaults } = adminConfigSchema.parse({
    defaults: [
      { queueTags: ['any'], qualityOfService: 'LOW' },
      { domain: 'production', qualityOfService: 'HIGH', executions: { maxParallelism: 7, overwriteCache: true } },
      { project: 'p', domain: 'production', qualityOfService: '90s', taskResources: { limits: { cpu: '8' } } },
    ],
  });

  test('are attributes of their project, domain or both, most specific first', () => {
    const rows = configuredAttributes(defaults);
    const applying = (project: string, domain: string) =>
      rows
        .filter(({ scope }) => covers(scope, { org: '', project, domain, workflow: 'w', launchPlan: 'l' }))
        .map(({ target }) => target);
    const quality = (project: string, domain: string) =>
      applying(project, domain).find(({ $case }) => $case === 'qualityOfService')?.value;
    expect(quality('p', 'production')).toMatchObject(qualityOf('90s'));
    expect(quality('q', 'production')).toMatchObject(qualityOf('HIGH'));
    expect(quality('q', 'staging')).toMatchObject(qualityOf('LOW'));
    expect(applying('q', 'production').find(({ $case }) => $case === 'workflowExecutionConfig')?.value).toMatchObject({
      maxParallelism: 7,
      overwriteCache: true,
      interruptible: undefined,
    });
  });

  test('a default that nothing could be made of is refused at the start, with its path', () => {
    expect(() => adminConfigSchema.parse({ defaults: [{ qualityOfService: 'SOON' }] })).toThrow(
      'must be one of HIGH, MEDIUM, LOW or a time span',
    );
  });
});

describe('C-36, C-50…C-54: retries and time limits without changing user code', () => {
  const seconds = (value: number) => expect.objectContaining({ seconds: BigInt(value), nanos: 0 });

  test('each from the first level that says something, in annotations or labels', () => {
    const config = adminConfigSchema.parse({ executions: { retry: 'attempts=2', queueTimeout: '1h', timeout: '3d' } });
    const merged = merge({
      config,
      request: { annotations: { values: { mine: 'x' } }, labels: { values: { 'aloft.timeout': '90m' } } },
      plan: { annotations: { values: { 'aloft.retry': 'delay=10s memory=2', 'aloft.timeout': '1d' } } },
      configs: [{ annotations: { values: { 'aloft.active-timeout': '2h', 'aloft.retry': 'attempts=9' } } }],
    });
    expect(merged).toMatchObject({
      retryPolicy: { delay: seconds(10), memoryFactor: 2, attempts: 0 },
      timeout: seconds(5400),
      activeTimeout: seconds(7200),
      queueTimeout: seconds(3600),
      executionTimeout: undefined,
    });
    // A request's other annotations don't hide them, as they hide each other.
    expect(merged.annotations).toEqual({ mine: 'x' });
  });

  test('0 switches off what a level further away sets', () => {
    const config = adminConfigSchema.parse({ executions: { timeout: '1h' } });
    expect(merge({ config, request: { annotations: { values: { 'aloft.timeout': '0' } } } }).timeout).toMatchObject({
      seconds: 0n,
    });
  });

  test('what can’t be understood is refused with its annotation', () => {
    const refused = (values: Record<string, string>) => () => merge({ request: { annotations: { values } } });
    expect(refused({ 'aloft.timeout': 'soon' })).toThrow('annotation aloft.timeout: "soon" is no time span');
    expect(refused({ 'aloft.retry': 'often' })).toThrow('annotation aloft.retry: retry policy: "often" is no part');
    expect(() => requirePolicies({ annotations: { values: { 'aloft.retry': 'often' } } }, 'spec')).toThrow(
      'spec: annotation aloft.retry',
    );
    expect(() => adminConfigSchema.parse({ executions: { timeout: 'soon' } })).toThrow('must be a time span');
  });

  test('C-31, C-41, C-71: the server’s settings', () => {
    const executions = { arrayParallelism: 'hybrid', ignoreRetryCause: true, interruptibleFailureThreshold: 2 };
    expect(merge({ config: adminConfigSchema.parse({ executions }) })).toMatchObject({
      arrayParallelism: ArrayParallelism.HYBRID,
      ignoreRetryCause: true,
      interruptibleFailureThreshold: 2,
    });
  });
});

test('K-16, A-40: names', () => {
  for (const name of ['Abc', 'a-1', 'a'.repeat(63)]) expect(() => requireExecutionName(name)).not.toThrow();
  for (const name of ['9abc', 'a_b', '-a', 'a'.repeat(64)]) expect(() => requireExecutionName(name)).toThrow('name');
  const names = new Set(Array.from({ length: 200 }, randomExecutionName));
  expect(names.size).toBe(200);
  for (const name of names) expect(name).toMatch(/^a[a-z0-9]{19}$/);
});

test('A-42: workflow of a single task', () => {
  const key = { org: '', project: 'p', domain: 'd', name: 'my.module.train_it', version: 'v' };
  expect(generatedNodeId(key.name)).toBe('mymoduletrainit');
  expect(generatedNodeId('x'.repeat(80))).toHaveLength(63);
  const variables = { x: { type: typeOf.integer(), description: '' } };
  const { template } = generatedWorkflow(
    key,
    TaskTemplate.fromPartial({
      metadata: { retries: { retries: 3 } },
      interface: { inputs: { variables }, outputs: { variables: {} } },
    }),
  );
  expect(template?.id).toMatchObject({ name: '.flytegen.my.module.train_it', version: 'v' });
  expect(template?.nodes[0]).toMatchObject({ metadata: { retries: { retries: 3 } }, inputs: [{ var: 'x' }] });
});

test('K-37: cut by bytes, never within a character', () => {
  expect(cut('ééé', 5)).toBe('éé');
  expect(cut('short', 100)).toBe('short');
});
