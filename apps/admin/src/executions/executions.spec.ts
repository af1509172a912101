import { ArrayParallelism } from '@aloft/idl/aloft/v1/bus';
import { ExecutionSpec } from '@aloft/idl/flyteidl/admin/execution';
import { LaunchPlanSpec } from '@aloft/idl/flyteidl/admin/launch_plan';
import { WorkflowExecutionConfig } from '@aloft/idl/flyteidl/admin/matchable_resource';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { typeOf } from '@aloft/literals';
import { adminConfigSchema } from '../config.js';
import { cut } from './execution-answers.js';
import { randomExecutionName, requireExecutionName } from './execution-validation.js';
import { requirePolicies } from './run-policies.js';
import { mergeSettings, type SettingSources } from './settings.js';
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
    taskResources: [],
    pluginOverrides: [],
    clusterLabels: [],
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
