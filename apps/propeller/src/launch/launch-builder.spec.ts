import type { LaunchTaskEffect } from '@aloft/engine';
import { ExecutionSettings, LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { Route, Route_By as By, Routing } from '@aloft/idl/aloft/v1/routing';
import { PluginOverride_MissingPluginBehavior as Missing } from '@aloft/idl/flyteidl/admin/matchable_resource';
import {
  Resources_ResourceName as Name,
  RuntimeMetadata_RuntimeType,
  TaskTemplate,
} from '@aloft/idl/flyteidl/core/tasks';
import { TaskNodeOverrides } from '@aloft/idl/flyteidl/core/workflow';
import { BinaryWriter } from '@aloft/idl/wire';
import { literalOf } from '@aloft/literals';
import { describe, expect, it } from '@jest/globals';
import { idOf, task } from '../testing/workflows.js';
import { LaunchBuilder } from './launch-builder.js';

const builder = (consoleUrl = '', offloadEnvs: { key: string; value: string }[] = []) =>
  new LaunchBuilder({
    routing: () =>
      Routing.fromPartial({
        defaultBackend: 'local',
        backends: ['local', 'spark'],
        byTaskType: { spark: 'spark' },
        byPlugin: { 'my-spark': 'spark' },
      }),
    defaultEnvs: [
      { key: 'EVERYWHERE', value: 'yes' },
      { key: 'A', value: 'default' },
    ],
    consoleUrl,
    offloadEnvs,
    namespaceTemplate: '{{ project }}-{{ domain }}',
  });

function effect(template: TaskTemplate, more: Partial<LaunchTaskEffect> = {}): LaunchTaskEffect {
  const prefix = 's3://aloft/metadata/propeller/flytesnacks-development-run/n0/data';
  return {
    kind: 'launch',
    attempt: {
      execution: { project: 'flytesnacks', domain: 'development', name: 'run', org: '' },
      executionUid: '11111111-2222-3333-4444-555555555555',
      nodeId: 'n0',
      retryAttempt: 2,
      task: template.id,
      generation: 3,
      name: 'run-n0-2',
    },
    template,
    settings: ExecutionSettings.fromPartial({ rawOutputPrefix: 's3://aloft/raw/', labels: { team: 'x' } }),
    inputs: { value: { $case: 'inline', value: { literals: { x: literalOf.integer(7) } } } },
    workflow: idOf('my.workflow'),
    dataPrefix: prefix,
    outputPrefix: `${prefix}/2`,
    prevCheckpointPrefix: '',
    interruptible: false,
    executionTimeout: undefined,
    memoryFactor: 1,
    ...more,
  };
}

const pyflyte = [
  'pyflyte-execute',
  '--inputs',
  '{{.input}}',
  '--output-prefix',
  '{{.outputPrefix}}',
  '--raw-output-data-prefix',
  '{{.rawOutputDataPrefix}}',
  '--checkpoint-path',
  '{{.checkpointOutputPrefix}}',
  '--prev-checkpoint',
  '{{.prevCheckpointPrefix}}',
  '--x={{ $INPUTS.x }}',
];

describe('LaunchBuilder', () => {
  it('C-100, C-101, C-106, C-109: fills the arguments of a Python task', () => {
    const template = task('t', { inputs: ['x'], container: { args: pyflyte } });
    const { launch, backend } = builder().build(effect(template), { literals: { x: literalOf.integer(7) } });
    expect(backend).toBe('local');
    const raw = launch.rawOutputPrefix;
    expect(raw).toMatch(/^s3:\/\/aloft\/raw\/[0-9a-z]{2}\/run-n0-2-11111111$/);
    const target = launch.template!.target;
    expect(target?.$case === 'container' && target.value.args).toEqual([
      'pyflyte-execute',
      '--inputs',
      's3://aloft/metadata/propeller/flytesnacks-development-run/n0/data/inputs.pb',
      '--output-prefix',
      's3://aloft/metadata/propeller/flytesnacks-development-run/n0/data/2',
      '--raw-output-data-prefix',
      raw,
      '--checkpoint-path',
      `${raw}/_flytecheckpoints`,
      '--prev-checkpoint',
      '""',
      '--x=7',
    ]);
    // The registered template is shared by all attempts: it stays as it was.
    expect(template.target?.$case === 'container' && template.target.value.args).toEqual(pyflyte);
  });

  it('C-107: the environment says where the task is, then run, task and defaults', () => {
    const template = task('t', { container: { env: [{ key: 'A', value: 'task' }] } });
    const settings = ExecutionSettings.fromPartial({
      rawOutputPrefix: 's3://aloft/raw',
      envs: [
        { key: 'A', value: 'run' },
        { key: 'B', value: 'run' },
      ],
    });
    const { launch } = builder().build(effect(template, { settings }), undefined);
    const env = Object.fromEntries(launch.env.map(({ key, value }) => [key, value]));
    expect(env).toEqual({
      FLYTE_INTERNAL_EXECUTION_WORKFLOW: 'flytesnacks:development:my.workflow',
      FLYTE_INTERNAL_EXECUTION_ID: 'run',
      FLYTE_INTERNAL_EXECUTION_PROJECT: 'flytesnacks',
      FLYTE_INTERNAL_EXECUTION_DOMAIN: 'development',
      FLYTE_INTERNAL_TASK_PROJECT: 'flytesnacks',
      FLYTE_INTERNAL_TASK_DOMAIN: 'development',
      FLYTE_INTERNAL_TASK_NAME: 't',
      FLYTE_INTERNAL_TASK_VERSION: 'v1',
      FLYTE_INTERNAL_PROJECT: 'flytesnacks',
      FLYTE_INTERNAL_DOMAIN: 'development',
      FLYTE_INTERNAL_NAME: 't',
      FLYTE_INTERNAL_VERSION: 'v1',
      FLYTE_ATTEMPT_NUMBER: '2',
      A: 'task',
      B: 'run',
      EVERYWHERE: 'yes',
    });
    expect(new Set(launch.env.map(({ key }) => key)).size).toBe(launch.env.length);
  });

  it('C-107: only a task that asks gets the address of its run', () => {
    const url = (metadata: object) =>
      builder('http://console')
        .build(effect(task('t', { container: {}, metadata })), undefined)
        .launch.env.find(({ key }) => key === 'FLYTE_EXECUTION_URL')?.value;
    expect(url({})).toBeUndefined();
    expect(url({ generatesDeck: true })).toBe('http://console/projects/flytesnacks/domains/development/executions/run');
  });

  it('items of an array learn their index as flytekit reads it', () => {
    const template = task('t', { container: {} });
    const made = effect(template);
    const { launch } = builder().build({ ...made, attempt: { ...made.attempt, index: 5 }, arraySize: 10 }, undefined);
    expect(launch.env).toEqual(
      expect.arrayContaining([
        { key: 'BATCH_JOB_ARRAY_INDEX_VAR_NAME', value: 'FLYTE_K8S_ARRAY_INDEX' },
        { key: 'FLYTE_K8S_ARRAY_INDEX', value: '5' },
      ]),
    );
    expect(launch.arraySize).toBe(10);
  });

  it('C-164: labels are cleaned and cut; the platform’s win', () => {
    const template = task('My.Module_With_A_Very_Long_Name.that_goes_on_and_on_and_on_and_on.and_on');
    const settings = ExecutionSettings.fromPartial({
      rawOutputPrefix: 's3://aloft/raw',
      labels: { team: 'x', 'node-id': 'mine' },
    });
    const { labels } = builder().build(effect(template, { settings, interruptible: true }), undefined).launch;
    expect(labels).toEqual({
      team: 'x',
      'execution-id': 'run',
      project: 'flytesnacks',
      domain: 'development',
      'workflow-name': 'my-workflow',
      'node-id': 'n0',
      'task-name': 'my-module-with-a-very-long-name-that-goes-on-and-on-and-on-and',
      interruptible: 'true',
    });
  });

  it('what repeats is kept, and what differs from node to node, run to run and workflow to workflow is told apart', () => {
    const launches = builder();
    const template = task('t');
    const first = effect(template);
    const { attempt, settings } = first;
    const labelsOf = (more: Partial<LaunchTaskEffect>) =>
      launches.build(effect(template, { settings, ...more }), undefined).launch.labels;
    expect(labelsOf({})).toMatchObject({ 'node-id': 'n0', 'workflow-name': 'my-workflow', team: 'x' });
    expect(labelsOf({ attempt: { ...attempt, nodeId: 'n1' } })).toMatchObject({ 'node-id': 'n1' });
    expect(labelsOf({ workflow: idOf('my.other') })).toMatchObject({ 'node-id': 'n0', 'workflow-name': 'my-other' });
    const other = ExecutionSettings.fromPartial({ rawOutputPrefix: 's3://aloft/raw/', labels: { team: 'y' } });
    expect(labelsOf({ settings: other })).toMatchObject({ team: 'y' });
    expect(labelsOf({})).toMatchObject({ team: 'x', 'workflow-name': 'my-workflow' });
  });

  it.each([
    ['nothing to fill', task('t')],
    ['placeholders', task('t', { container: { args: pyflyte, env: [{ key: 'AT', value: '{{.outputPrefix}}' }] } })],
  ])('its bytes, most of them kept from launch to launch, are those of the launch: %s', (_what, template) => {
    const launches = builder();
    const settings = ExecutionSettings.fromPartial({
      rawOutputPrefix: 's3://aloft/raw/',
      labels: { team: 'x', 'node-id': 'mine' },
      annotations: { a: 'b' },
      envs: [{ key: 'FROM', value: '{{.input}}' }],
      securityContext: { runAs: { iamRole: 'r' } },
      taskResourceLimits: [{ name: Name.MEMORY, value: '4Gi' }],
    });
    for (const nodeId of ['n0', 'n1']) {
      const { attempt } = effect(template);
      const { launch, encode } = launches.build(
        effect(template, { settings, attempt: { ...attempt, nodeId }, interruptible: true }),
        { literals: { x: literalOf.integer(7) } },
      );
      const writer = new BinaryWriter();
      encode(writer);
      expect(LaunchTask.decode(writer.finish())).toEqual(LaunchTask.decode(LaunchTask.encode(launch).finish()));
    }
  });

  it('S-27: resources after defaults and limits', () => {
    const template = task('t', { container: {} });
    if (template.target?.$case === 'container') {
      template.target.value.resources = {
        requests: [
          { name: Name.MEMORY, value: '8Gi' },
          { name: Name.GPU, value: '1' },
        ],
        limits: [],
      };
    }
    const settings = ExecutionSettings.fromPartial({
      rawOutputPrefix: 's3://aloft/raw',
      taskResourceDefaults: { requests: [{ name: Name.CPU, value: '500m' }], limits: [{ name: Name.CPU, value: '2' }] },
      taskResourceLimits: [{ name: Name.MEMORY, value: '4Gi' }],
    });
    expect(builder().build(effect(template, { settings }), undefined).launch.resources).toEqual({
      requests: [
        { name: Name.CPU, value: '500m' },
        { name: Name.MEMORY, value: '4Gi' },
        { name: Name.GPU, value: '1' },
      ],
      limits: [
        { name: Name.CPU, value: '2' },
        { name: Name.MEMORY, value: '4Gi' },
        { name: Name.GPU, value: '1' },
      ],
    });
  });

  it('S-27, C-180: what the platform gives and allows goes along, for containers that only the backend knows', () => {
    const settings = ExecutionSettings.fromPartial({
      rawOutputPrefix: 's3://aloft/raw',
      taskResourceDefaults: { requests: [{ name: Name.CPU, value: '500m' }] },
      taskResourceLimits: [{ name: Name.MEMORY, value: '4Gi' }],
    });
    const { launch } = builder().build(effect(task('t'), { settings, memoryFactor: 2 }), undefined);
    expect(launch.resourceBounds).toEqual({
      defaults: settings.taskResourceDefaults,
      limits: settings.taskResourceLimits,
      memoryFactor: 2,
    });
    expect(builder().build(effect(task('t')), undefined).launch.resourceBounds).toBeUndefined();
  });

  it('C-36: memory after out-of-memory, up to the platform’s limit; nothing else is raised', () => {
    const template = task('t', { container: {} });
    if (template.target?.$case === 'container') {
      template.target.value.resources = {
        requests: [
          { name: Name.CPU, value: '1' },
          { name: Name.MEMORY, value: '128Mi' },
        ],
        limits: [],
      };
    }
    const settings = ExecutionSettings.fromPartial({
      rawOutputPrefix: 's3://aloft/raw',
      taskResourceLimits: [{ name: Name.MEMORY, value: '500Mi' }],
    });
    const shared = builder();
    const memory = (memoryFactor: number) => {
      const { resources } = shared.build(effect(template, { settings, memoryFactor }), undefined).launch;
      return [...resources!.requests, ...resources!.limits].map(({ value }) => value);
    };
    expect(memory(1)).toEqual(['1', '128Mi', '1', '128Mi']);
    expect(memory(2)).toEqual(['1', '256Mi', '1', '256Mi']);
    expect(memory(1.5)).toEqual(['1', '192Mi', '1', '192Mi']);
    expect(memory(4)).toEqual(['1', '500Mi', '1', '500Mi']);
  });

  it('C-105: tasks are told to offload; a flytekit that cannot read offloaded inputs is refused', () => {
    const told = builder('', [{ key: '_F_L_MIN_SIZE_MB', value: '10' }]).build(effect(task('t')), undefined).launch.env;
    expect(told).toContainEqual({ key: '_F_L_MIN_SIZE_MB', value: '10' });
    const launch = (version: string) => () => {
      const metadata = { runtime: { type: RuntimeMetadata_RuntimeType.FLYTE_SDK, version } };
      const big = { uri: 's3://big', sizeBytes: 99n, inferredType: undefined };
      const x = { value: { $case: 'offloadedMetadata' as const, value: big }, hash: '', metadata: {} };
      const inputs = { value: { $case: 'inline' as const, value: { literals: { x } } } };
      return builder().build(effect(task('t', { metadata }), { inputs }), undefined);
    };
    expect(launch('1.13.13')).toThrow('input x is stored apart from the others, which flytekit 1.13.13');
    for (const version of ['1.13.14', '1.14.0b2', '2.0.0', '0.0.0+develop']) expect(launch(version)).not.toThrow();
  });

  it('C-50: the limit of an attempt is the one that the engine keeps', () => {
    const executionTimeout = { seconds: 5n, nanos: 0 };
    const { launch } = builder().build(effect(task('t'), { executionTimeout }), undefined);
    expect(launch.executionTimeout).toEqual(executionTimeout);
  });

  it('S-27: a quantity that is none is refused, with what would be right', () => {
    const template = task('t', { container: {} });
    if (template.target?.$case === 'container') {
      template.target.value.resources = { requests: [{ name: Name.CPU, value: 'much' }], limits: [] };
    }
    expect(() => builder().build(effect(template), undefined)).toThrow(/"much" is not a quantity.*500m/);
  });

  it('C-185: a map of the old type is refused with what to do, unless somebody said who takes it', () => {
    const template = { ...task('t'), type: 'container_array' };
    const routed = (by: By) => ({ routed: { route: Route.fromPartial({ backend: 'local', by }) } });
    const build = (more: object) => builder().build(effect(template, more), undefined);
    expect(() => build({})).toThrow(/task t is a map of the old type container_array.*flytekit 1\.12/);
    expect(() => build(routed(By.DEFAULT))).toThrow(/container_array/);
    expect(build(routed(By.TASK_TYPE)).backend).toBe('local');
  });

  it('C-11, A-94: routes by override, then type, then default', () => {
    const route = (type: string, pluginId: string[] = [], missingPluginBehavior = Missing.FAIL) =>
      builder().build(
        effect(task('t', { type }), {
          settings: ExecutionSettings.fromPartial({
            rawOutputPrefix: 's3://aloft/raw',
            pluginOverrides: [{ taskType: type, pluginId, missingPluginBehavior }],
          }),
        }),
        undefined,
      ).backend;
    expect(route('python-task')).toBe('local');
    expect(route('spark')).toBe('spark');
    expect(route('python-task', ['unheard-of', 'my-spark'])).toBe('spark');
    expect(route('python-task', ['unheard-of'], Missing.USE_DEFAULT)).toBe('local');
    expect(() => route('python-task', ['unheard-of'])).toThrow(/"unheard-of", none of which is a plugin here/);
  });

  it('A-46, A-94, A-210: cluster, queue, variables and urgency of the run reach the backend with each launch', () => {
    const placement = {
      clusterLabel: 'gpu',
      clusterPool: 'east',
      queueTags: ['a', 'b'],
      queue: 'spot',
      clusterResources: { cpu: '9' },
      tier: 1,
      queueingBudget: { seconds: 60n, nanos: 0 },
    };
    const settings = ExecutionSettings.fromPartial({ rawOutputPrefix: 's3://aloft/raw', placement });
    const built = builder().build(effect(task('t'), { settings }), undefined);
    const writer = new BinaryWriter();
    built.encode(writer);
    expect(built.launch.placement).toMatchObject(placement);
    expect(LaunchTask.decode(writer.finish()).placement).toMatchObject(placement);
    expect(builder().build(effect(task('t')), undefined).launch.placement).toBeUndefined();
  });

  it('U-23: role, service account and pod template of a rule reach the backend with each launch', () => {
    const choice = { backend: 'kubernetes', iamRole: 'arn:rule', serviceAccount: 'of-rule', podTemplate: 'large' };
    const routed = { route: Route.fromPartial({ backend: 'kubernetes', rule: 'big', choice }) };
    const securityContext = { runAs: { iamRole: 'arn:run', executionIdentity: 'me' } };
    const settings = ExecutionSettings.fromPartial({ rawOutputPrefix: 's3://aloft/raw', securityContext });
    // With placeholders the template travels filled, without them with what repeats.
    for (const args of [['sh'], ['{{.outputPrefix}}']]) {
      const template = task('t', { container: { args } });
      const built = builder().build(effect(template, { settings, routed }), undefined);
      const writer = new BinaryWriter();
      built.encode(writer);
      for (const launch of [built.launch, LaunchTask.decode(writer.finish())]) {
        const runAs = { iamRole: 'arn:rule', k8sServiceAccount: 'of-rule', executionIdentity: 'me' };
        expect(launch.securityContext?.runAs).toMatchObject(runAs);
        expect(launch.template?.metadata?.podTemplateName).toBe('large');
        expect(launch.template?.id).toEqual(template.id);
      }
      expect(template.metadata?.podTemplateName ?? '').toBe('');
    }
    const own = task('own', { metadata: { podTemplateName: 'mine' } });
    const { launch } = builder().build(effect(own, { settings, routed }), undefined);
    expect(launch.template?.metadata?.podTemplateName).toBe('mine');
    const elsewhere = builder().build(effect(task('t'), { settings }), undefined).launch;
    expect(elsewhere.securityContext?.runAs?.iamRole).toBe('arn:run');
  });

  it('fills SQL and pods, and says when the task template has to be written', () => {
    const sql = TaskTemplate.fromPartial({
      ...task('q', { inputs: ['x'] }),
      target: { $case: 'sql', value: { statement: 'SELECT {{ .Inputs.x }} AS {{.PerRetryUniqueKey}}' } },
    });
    const { launch } = builder().build(effect(sql), { literals: { x: literalOf.integer(7) } });
    expect(launch.template!.target).toMatchObject({ value: { statement: 'SELECT 7 AS run_n0_2' } });
    const pod = TaskTemplate.fromPartial(task('p'));
    const podSpec = { containers: [{ name: 'primary', args: ['{{.taskTemplatePath}}', 3] }] };
    pod.target = {
      $case: 'k8sPod',
      value: { metadata: undefined, podSpec, dataConfig: undefined, primaryContainerName: 'primary' },
    };
    const built = builder().build(effect(pod), undefined);
    expect(built.taskTemplateUri).toBe(`${effect(pod).outputPrefix}/task.pb`);
    expect(built.launch.template!.target).toMatchObject({
      value: { podSpec: { containers: [{ args: [built.taskTemplateUri, 3] }] } },
    });
  });

  it('C-180: what a pod task’s node overrides is its own, also where settings and template are the same as before', () => {
    const pod = TaskTemplate.fromPartial({
      ...task('p'),
      target: { $case: 'k8sPod', value: { podSpec: { containers: [{ name: 'primary' }] } } },
    });
    const own = builder();
    const settings = ExecutionSettings.fromPartial({});
    for (const containerImage of ['a', 'b', undefined]) {
      const overrides = containerImage === undefined ? undefined : TaskNodeOverrides.fromPartial({ containerImage });
      const { launch, encode } = own.build(effect(pod, { settings, overrides }), undefined);
      expect(launch.podOverrides).toEqual(overrides);
      const writer = new BinaryWriter();
      encode(writer);
      expect(LaunchTask.decode(writer.finish()).podOverrides).toEqual(overrides);
    }
  });
});
