import type { AloftError } from '@aloft/errors';
import { MatchableResource, MatchingAttributes } from '@aloft/idl/flyteidl/admin/matchable_resource';
import { ExecutionCreateRequest, type ExecutionSpec } from '@aloft/idl/flyteidl/admin/execution';
import { QualityOfService_Tier as Tier } from '@aloft/idl/flyteidl/core/execution';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { domain, project, register, x } from './testing/entities.js';
import { startPlatform, type Platform } from './testing/platform.js';

let platform: Platform;
let launchPlan: Identifier;

beforeAll(async () => {
  const config = {
    queues: [
      { name: 'spot', tags: ['cheap'] },
      { name: 'fast', tags: ['urgent'] },
      { name: 'plain', tags: ['any'] },
    ],
    defaults: [
      { queueTags: ['any'] },
      { domain, clusterLabel: 'of-domain', executions: { maxParallelism: 3 } },
      { project, domain: 'production', clusterLabel: 'of-both', qualityOfService: 'HIGH' },
    ],
  };
  platform = await startPlatform({ config: config as never });
  launchPlan = await register(platform, 'run');
});
afterAll(() => platform.stop());

type Target = Parameters<typeof MatchingAttributes.fromPartial>[0]['target'];
const attributes = (target: Target) => MatchingAttributes.fromPartial({ target });
let runs = 0;

async function start(spec: Parameters<typeof ExecutionSpec.fromPartial>[0] = {}) {
  const name = `run-${++runs}`;
  await platform.admin.createExecution(
    ExecutionCreateRequest.fromPartial({ project, domain, name, inputs: x(1), spec: { launchPlan, ...spec } }),
  );
  return platform.commands.start(name);
}

async function refused(call: Promise<unknown>, code: string, mentions: string): Promise<void> {
  const error = await call.then(
    () => Promise.reject(new Error('the call was accepted')),
    (thrown: AloftError) => thrown,
  );
  expect({ code: error.code, message: error.message }).toEqual({ code, message: expect.stringContaining(mentions) });
}

type Started = Awaited<ReturnType<typeof start>>;

/** Of each kind two different settings, and what a run says of the one that it got. */
const kinds: { type: MatchableResource; make: (value: string) => Target; seen: (start: Started) => unknown }[] = [
  {
    type: MatchableResource.TASK_RESOURCE,
    make: (value) => ({
      $case: 'taskResourceAttributes',
      value: { defaults: { cpu: value }, limits: { cpu: value } },
    }),
    seen: ({ settings }) => settings?.taskResourceDefaults?.requests[0]?.value ?? '',
  },
  {
    type: MatchableResource.CLUSTER_RESOURCE,
    make: (value) => ({ $case: 'clusterResourceAttributes', value: { attributes: { quota: value } } }),
    seen: ({ settings }) => settings?.placement?.clusterResources['quota'] ?? '',
  },
  {
    type: MatchableResource.EXECUTION_QUEUE,
    make: (value) => ({ $case: 'executionQueueAttributes', value: { tags: [value] } }),
    seen: ({ settings }) => settings?.placement?.queueTags[0] ?? '',
  },
  {
    type: MatchableResource.EXECUTION_CLUSTER_LABEL,
    make: (value) => ({ $case: 'executionClusterLabel', value: { value } }),
    seen: ({ settings }) => settings?.placement?.clusterLabel,
  },
  {
    type: MatchableResource.QUALITY_OF_SERVICE_SPECIFICATION,
    make: (value) => ({
      $case: 'qualityOfService',
      value: { designation: { $case: 'spec', value: { queueingBudget: { seconds: BigInt(value) } } } },
    }),
    seen: ({ settings }) => String(settings?.placement?.queueingBudget?.seconds),
  },
  {
    type: MatchableResource.PLUGIN_OVERRIDE,
    make: (value) => ({ $case: 'pluginOverrides', value: { overrides: [{ taskType: 'spark', pluginId: [value] }] } }),
    seen: ({ settings }) => settings?.pluginOverrides[0]?.pluginId[0] ?? '',
  },
  {
    type: MatchableResource.WORKFLOW_EXECUTION_CONFIG,
    make: (value) => ({ $case: 'workflowExecutionConfig', value: { maxParallelism: Number(value) } }),
    seen: ({ settings }) => String(settings?.maxParallelism),
  },
  {
    type: MatchableResource.CLUSTER_ASSIGNMENT,
    make: (value) => ({ $case: 'clusterAssignment', value: { clusterPoolName: value } }),
    seen: ({ settings }) => settings?.placement?.clusterPool,
  },
];
const unset: Partial<Record<MatchableResource, string>> = {
  [MatchableResource.EXECUTION_QUEUE]: 'any',
  [MatchableResource.EXECUTION_CLUSTER_LABEL]: 'of-domain',
  [MatchableResource.QUALITY_OF_SERVICE_SPECIFICATION]: '600',
  [MatchableResource.WORKFLOW_EXECUTION_CONFIG]: '3',
};

test.each(kinds)('K-32, A-91, A-94: kind $type: the most specific wins; deleted, the next one does', async (kind) => {
  const { admin } = platform;
  const { type: resourceType } = kind;
  const none = unset[resourceType] ?? '';
  const matching = (value: string) => attributes(kind.make(value));
  const seen = async () => kind.seen(await start());
  expect(await seen()).toBe(none);
  await admin.updateProjectAttributes({ attributes: { project, org: '', matchingAttributes: matching('1') } });
  expect(await seen()).toBe('1');
  await admin.updateProjectDomainAttributes({
    attributes: { project, domain, org: '', matchingAttributes: matching('2') },
  });
  expect(await seen()).toBe('2');
  await admin.updateWorkflowAttributes({
    attributes: { project, domain, workflow: 'run', org: '', matchingAttributes: matching('4') },
  });
  expect(await seen()).toBe('4');
  await admin.updateWorkflowAttributes({
    attributes: { project, domain, workflow: 'another', org: '', matchingAttributes: matching('8') },
  });
  expect(await seen()).toBe('4');
  const { configurations } = await admin.listMatchableAttributes({ resourceType, org: '' });
  expect(configurations.map(({ domain: at, workflow }) => [at, workflow])).toEqual([
    ['', ''],
    [domain, ''],
    [domain, 'another'],
    [domain, 'run'],
  ]);
  const found = await admin.getWorkflowAttributes({ project, domain, workflow: 'run', resourceType, org: '' });
  expect(found.attributes?.matchingAttributes).toEqual(matching('4'));
  await admin.deleteWorkflowAttributes({ project, domain, workflow: 'run', resourceType, org: '' });
  expect(await seen()).toBe('2');
  await admin.deleteProjectDomainAttributes({ project, domain, resourceType, org: '' });
  expect(await seen()).toBe('1');
  await admin.deleteProjectAttributes({ project, resourceType, org: '' });
  await admin.deleteWorkflowAttributes({ project, domain, workflow: 'another', resourceType, org: '' });
  expect(await seen()).toBe(none);
});

test('people see where a run went: cluster label, pool, quality and queue are in its spec', async () => {
  const { admin } = platform;
  const set = (target: Target) =>
    admin.updateProjectDomainAttributes({
      attributes: { project, domain, org: '', matchingAttributes: attributes(target) },
    });
  await set({ $case: 'executionQueueAttributes', value: { tags: ['unheard-of', 'urgent'] } });
  await set({ $case: 'clusterAssignment', value: { clusterPoolName: 'east' } });
  await set({ $case: 'qualityOfService', value: { designation: { $case: 'tier', value: Tier.HIGH } } });
  const { id, settings } = await start({ executionClusterLabel: { value: 'gpu' } });
  expect(settings?.placement).toMatchObject({
    clusterLabel: 'gpu',
    clusterPool: 'east',
    queue: 'fast',
    tier: Tier.HIGH,
    queueingBudget: { seconds: 60n },
  });
  const { spec } = await admin.getExecution({ id });
  expect(spec).toMatchObject({
    executionClusterLabel: { value: 'gpu' },
    clusterAssignment: { clusterPoolName: 'east' },
    qualityOfService: { designation: { value: Tier.HIGH } },
    annotations: { values: { 'aloft.dev/queue': 'fast' } },
    metadata: { systemMetadata: { executionCluster: 'gpu' } },
  });
  await refused(start({ clusterAssignment: { clusterPoolName: 'west' } }), 'INVALID_ARGUMENT', 'use "east"');
});

test('A-90, A-92: what no run could be given is refused where it is written', async () => {
  const { admin } = platform;
  const update = (target: Target) =>
    admin.updateProjectDomainAttributes({
      attributes: { project, domain, org: '', matchingAttributes: attributes(target) },
    });
  const budget = { seconds: -1n, nanos: 0 };
  const wrong: [Target, string][] = [
    [undefined, 'attributes.matching_attributes: missing'],
    [{ $case: 'taskResourceAttributes', value: { limits: { gpu: 'many' } } }, 'limits.gpu'],
    [{ $case: 'workflowExecutionConfig', value: { maxParallelism: -1 } }, 'max_parallelism: -1'],
    [{ $case: 'workflowExecutionConfig', value: { labels: { values: { 'a b': '' } } } }, 'label key'],
    [{ $case: 'qualityOfService', value: {} }, 'quality_of_service: empty'],
    [{ $case: 'qualityOfService', value: { designation: { $case: 'tier', value: 9 as Tier } } }, 'tier: 9 is none'],
    [
      { $case: 'qualityOfService', value: { designation: { $case: 'spec', value: { queueingBudget: budget } } } },
      'queueing_budget',
    ],
    [{ $case: 'pluginOverrides', value: { overrides: [{ pluginId: ['x'] }] } }, 'overrides[0].task_type'],
    [{ $case: 'pluginOverrides', value: { overrides: [{ taskType: 'x', pluginId: [''] }] } }, 'plugin_id'],
    [{ $case: 'executionQueueAttributes', value: { tags: [''] } }, 'tags: holds an empty tag'],
  ];
  for (const [target, message] of wrong) await refused(update(target), 'INVALID_ARGUMENT', message);
  const tooLarge = { attributes: { key: 'x'.repeat(70_000) } };
  await refused(update({ $case: 'clusterResourceAttributes', value: tooLarge }), 'INVALID_ARGUMENT', '65536');
  await refused(
    admin.listMatchableAttributes({ resourceType: 99 as MatchableResource, org: '' }),
    'INVALID_ARGUMENT',
    'resource_type: 99',
  );
});
