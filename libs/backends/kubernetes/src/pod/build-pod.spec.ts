import { launchOf } from '@aloft/backend-kit/testing';
import { ResourceBounds } from '@aloft/idl/aloft/v1/bus';
import { Resources_ResourceName as Name } from '@aloft/idl/flyteidl/core/tasks';
import { Secret_MountType } from '@aloft/idl/flyteidl/core/security';
import { QualityOfService_Tier } from '@aloft/idl/flyteidl/core/execution';
import { DataLoadingConfig, TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { TaskNodeOverrides } from '@aloft/idl/flyteidl/core/workflow';
import type { V1Pod } from '@kubernetes/client-node';
import { kubernetesConfigSchema } from '../config.js';
import { podOf, primaryOf } from './build-pod.js';
import { PodKind } from './pod-kind.js';
import type { PodOptions } from './pod-options.js';
import { onTemplate } from './pod-templates.js';

const optionsOf = (pods: Record<string, unknown> = {}) => kubernetesConfigSchema.parse({ pods }).pods as PodOptions;

describe('the pod of a container task (C-180)', () => {
  it('has command, arguments, environment and its last words; the launch wins over the configuration', () => {
    const launch = launchOf({
      name: 'run1-n0-0',
      command: ['pyflyte-execute'],
      args: ['--x', '1'],
      env: { A: 'launch' },
    });
    const { spec } = podOf(launch, optionsOf({ env: { A: 'configuration', B: 'b' } }));
    expect(spec).toMatchObject({
      restartPolicy: 'Never',
      containers: [
        {
          name: 'main',
          image: 'test:1',
          command: ['pyflyte-execute'],
          args: ['--x', '1'],
          env: [
            { name: 'A', value: 'launch' },
            { name: 'B', value: 'b' },
          ],
          terminationMessagePolicy: 'FallbackToLogsOnError',
        },
      ],
    });
  });

  it('S-27: requests and limits arrive as they are; GPUs in both, with their tolerations and device', () => {
    const launch = launchOf({ name: 'run1-n0-0' });
    launch.resources = {
      requests: [
        { name: Name.CPU, value: '500m' },
        { name: Name.GPU, value: '2' },
      ],
      limits: [
        { name: Name.MEMORY, value: '1.5Gi' },
        { name: Name.EPHEMERAL_STORAGE, value: '10Gi' },
      ],
    };
    launch.template!.extendedResources = {
      gpuAccelerator: { device: 'nvidia-tesla-a100', partitionSizeValue: { $case: 'unpartitioned', value: true } },
      sharedMemory: { mountPath: '', mountName: '', sizeLimit: '2Gi' },
    };
    const { spec } = podOf(
      launch,
      optionsOf({ gpu: { tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists' }] } }),
    );
    expect(spec?.containers[0]?.resources).toEqual({
      requests: { cpu: '500m', 'nvidia.com/gpu': '2' },
      limits: { memory: '1.5Gi', 'ephemeral-storage': '10Gi', 'nvidia.com/gpu': '2' },
    });
    expect(spec?.tolerations).toEqual([
      { key: 'nvidia.com/gpu', operator: 'Exists' },
      { key: 'k8s.amazonaws.com/accelerator', operator: 'Equal', value: 'nvidia-tesla-a100', effect: 'NoSchedule' },
    ]);
    expect(spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms).toEqual([
      {
        matchExpressions: [
          { key: 'k8s.amazonaws.com/accelerator', operator: 'In', values: ['nvidia-tesla-a100'] },
          { key: 'k8s.amazonaws.com/gpu-partition-size', operator: 'DoesNotExist' },
        ],
      },
    ]);
    expect(spec?.volumes).toEqual([{ name: 'shared-memory', emptyDir: { medium: 'Memory', sizeLimit: '2Gi' } }]);
    expect(spec?.containers[0]?.volumeMounts).toEqual([{ name: 'shared-memory', mountPath: '/dev/shm' }]);
  });

  it.each([true, false])('C-42: interruptible %s: spot capacity or on-demand, the last try too', (interruptible) => {
    const launch = launchOf({ name: 'run1-n0-0' });
    launch.interruptible = interruptible;
    const pods = {
      spot: { nodeSelector: { capacity: 'spot' }, tolerations: [{ key: 'spot', operator: 'Exists' }] },
      onDemand: {
        nodeSelector: { capacity: 'on-demand' },
        nodeRequirements: [{ key: 'gpu', operator: 'DoesNotExist' }],
      },
    };
    const { spec } = podOf(launch, optionsOf(pods));
    expect(spec?.nodeSelector).toEqual({ capacity: interruptible ? 'spot' : 'on-demand' });
    expect(spec?.tolerations ?? []).toHaveLength(interruptible ? 1 : 0);
    expect(spec?.affinity !== undefined).toBe(!interruptible);
  });

  it('labels, annotations, queue and priority of the run; account and role of its identity', () => {
    const launch = launchOf({ name: 'run1-n0-0' });
    Object.assign(launch, {
      labels: { 'execution-id': 'run1', team: 'ml' },
      annotations: { note: 'n' },
      securityContext: {
        runAs: { iamRole: 'arn:aws:iam::1:role/ml', k8sServiceAccount: 'ml', executionIdentity: '' },
        secrets: [],
        tokens: [],
      },
      placement: {
        clusterLabel: '',
        clusterPool: '',
        queueTags: [],
        queue: 'gold',
        clusterResources: {},
        tier: QualityOfService_Tier.HIGH,
      },
    });
    const priorityClasses = { tiers: { HIGH: 'high' }, queues: { gold: 'golden' } };
    const { metadata, spec } = podOf(launch, optionsOf({ queueLabel: 'kueue.x-k8s.io/queue-name', priorityClasses }));
    expect(metadata?.labels).toEqual({ 'kueue.x-k8s.io/queue-name': 'gold', 'execution-id': 'run1', team: 'ml' });
    expect(metadata?.annotations).toMatchObject({ note: 'n', 'iam.amazonaws.com/role': 'arn:aws:iam::1:role/ml' });
    expect(spec).toMatchObject({ serviceAccountName: 'ml', priorityClassName: 'golden' });
  });

  it('C-175: secrets come from Secrets of the namespace, as variables and files that flytekit reads', () => {
    const launch = launchOf({ name: 'run1-n0-0' });
    const secret = (key: string, mountRequirement: Secret_MountType, envVar = '') => ({
      group: 'db',
      groupVersion: '',
      key,
      mountRequirement,
      envVar,
    });
    launch.securityContext = {
      runAs: undefined,
      tokens: [],
      secrets: [secret('password', Secret_MountType.ENV_VAR, 'PGPASSWORD'), secret('CERT', Secret_MountType.FILE)],
    };
    const { spec } = podOf(launch, optionsOf());
    const [main] = spec?.containers ?? [];
    const valueFrom = { secretKeyRef: { name: 'db', key: 'password' } };
    expect(main?.env).toEqual([
      { name: '_FSEC_DB_PASSWORD', valueFrom },
      { name: 'PGPASSWORD', valueFrom },
      { name: 'FLYTE_SECRETS_DEFAULT_DIR', value: '/etc/flyte/secrets' },
      { name: 'FLYTE_SECRETS_FILE_PREFIX', value: '' },
    ]);
    expect(main?.volumeMounts).toEqual([{ name: 'secret-0', mountPath: '/etc/flyte/secrets/db', readOnly: true }]);
    expect(spec?.volumes).toEqual([
      { name: 'secret-0', secret: { secretName: 'db', items: [{ key: 'CERT', path: 'cert' }] } },
    ]);
  });
});

describe('the pod of a pod task', () => {
  const podTask = (podSpec: object, more: Partial<TaskTemplate> = {}) => {
    const launch = launchOf({ name: 'run1-n0-0', env: { A: '1' } });
    launch.template = TaskTemplate.fromPartial({
      ...launch.template,
      type: 'sidecar',
      target: {
        $case: 'k8sPod',
        value: { metadata: { labels: { mine: 'yes' }, annotations: {} }, podSpec: podSpec as never },
      },
      ...more,
    });
    return launch;
  };

  it('is the pod that the task wrote, with the run’s environment in each container', () => {
    const launch = podTask(
      {
        nodeSelector: { disk: 'ssd' },
        containers: [
          { name: 'work', image: 'w' },
          { name: 'proxy', image: 'p', env: [{ name: 'A', value: 'own' }] },
        ],
      },
      { config: { primary_container_name: 'work' } },
    );
    expect(primaryOf(launch)).toBe('work');
    const { metadata, spec } = podOf(launch, optionsOf({ nodeSelector: { disk: 'any', zone: 'a' } }));
    expect(metadata?.labels).toMatchObject({ mine: 'yes' });
    expect(spec?.nodeSelector).toEqual({ disk: 'ssd', zone: 'a' });
    expect(spec?.containers.map(({ env }) => env)).toEqual([
      [{ name: 'A', value: '1' }],
      [{ name: 'A', value: 'own' }],
    ]);
  });

  it('its GPUs are the cluster’s, and are tolerated', () => {
    const gpus = optionsOf({ gpu: { tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists' }] } });
    const { spec } = podOf(podTask({ containers: [{ name: 'work', resources: { limits: { gpu: '2' } } }] }), gpus);
    expect(spec?.containers[0]?.resources).toEqual({ limits: { 'nvidia.com/gpu': '2' } });
    expect(spec?.tolerations).toEqual([{ key: 'nvidia.com/gpu', operator: 'Exists' }]);
  });

  it('is refused where nobody knows whose end is the task’s', () => {
    const kind = new PodKind(optionsOf());
    expect(kind.refuse(podTask({ containers: [{ name: 'a' }, { name: 'b' }] }))).toContain('primary_container_name');
    expect(
      kind.refuse(podTask({ containers: [{ name: 'a' }] }, { config: { primary_container_name: 'x' } })),
    ).toContain('no container "x"');
    expect(kind.refuse(podTask({ containers: [{ name: 'a' }] }))).toBeUndefined();
  });
});

describe('the pod of a pod task whose node overrides it (S-27, C-180)', () => {
  const gpu = 'nvidia.com/gpu';
  const made = async (podOverrides: Parameters<typeof TaskNodeOverrides.fromPartial>[0], resources: object) => {
    const launch = launchOf({ name: 'run1-n0-0' });
    const containers = [
      { name: 'proxy', image: 'p', resources },
      { name: 'work', image: 'w', resources },
    ];
    launch.template = TaskTemplate.fromPartial({
      ...launch.template,
      type: 'sidecar',
      target: { $case: 'k8sPod', value: { podSpec: { containers } as never, primaryContainerName: 'work' } },
    });
    launch.podOverrides = TaskNodeOverrides.fromPartial(podOverrides);
    launch.resourceBounds = ResourceBounds.fromPartial({
      defaults: { requests: [{ name: Name.CPU, value: '100m' }] },
      limits: [{ name: Name.MEMORY, value: '4Gi' }],
      memoryFactor: 2,
    });
    const kind = new PodKind(optionsOf({ gpu: { tolerations: [{ key: gpu, operator: 'Exists' }] } }));
    const refused = kind.refuse(launch);
    if (refused !== undefined) return { refused };
    const { spec, metadata } = (await kind.build(launch, {
      client: {} as never,
      namespace: 'n',
      name: 'run1-n0-0',
    })) as V1Pod;
    const [proxy, work] = spec?.containers ?? [];
    return { proxy, work, tolerations: spec?.tolerations, told: metadata?.annotations?.['aloft.dev/resources'] };
  };

  it('its primary container gets image, requests and limits, by name, before defaults, limits and factor; others nothing', async () => {
    const own = { requests: { memory: '1Gi' }, limits: { memory: '1Gi', 'ephemeral-storage': '1Gi' } };
    const { proxy, work, tolerations, told } = await made(
      {
        containerImage: 'other',
        resources: {
          requests: [
            { name: Name.MEMORY, value: '2Gi' },
            { name: Name.GPU, value: '1' },
          ],
          limits: [{ name: Name.MEMORY, value: '3Gi' }],
        },
      },
      own,
    );
    expect(proxy).toMatchObject({ image: 'p', resources: own });
    expect(work?.image).toBe('other');
    expect(work?.resources).toEqual({
      requests: { cpu: '100m', memory: '4096Mi', 'ephemeral-storage': '1Gi', [gpu]: '1' },
      limits: { cpu: '100m', memory: '4Gi', 'ephemeral-storage': '1Gi', [gpu]: '1' },
    });
    expect(tolerations).toEqual([{ key: gpu, operator: 'Exists' }]);
    expect(told).toContain(
      `work asks for memory 2Gi to 3Gi instead of 1Gi; ${gpu} 1, as its node overrides it. work has cpu 100m by default`,
    );
  });

  it.each<[string, [string, string?], object, object | undefined, string]>([
    [
      'a request above its limit is cut to it, as a container’s is',
      ['4'],
      { requests: { cpu: 1 }, limits: { cpu: 2 } },
      { requests: { cpu: '2' }, limits: { cpu: '2' } },
      'cpu 2 instead of 1 to 2 (a request of 4 is above its limit)',
    ],
    [
      'so is one above the limit that is overridden',
      ['', '500m'],
      { requests: { cpu: '1' } },
      { requests: { cpu: '500m' }, limits: { cpu: '500m' } },
      'cpu 500m instead of 1',
    ],
    [
      '0 is what nobody said',
      ['2', '0'],
      { limits: { cpu: '1' } },
      { requests: { cpu: '2' }, limits: { cpu: '2' } },
      'cpu 2 instead of 1',
    ],
  ])('%s', async (_, [request, limit = ''], resources, given, told) => {
    const override = {
      requests: [{ name: Name.CPU, value: request }],
      limits: [{ name: Name.CPU, value: limit }],
    };
    const { work, told: text } = await made({ resources: override }, resources);
    expect(work?.resources).toEqual(given);
    expect(text).toContain(told);
  });

  it('GPUs are one amount, whatever the pod calls them; none is none', async () => {
    const gpus = { requests: { gpu: '1' }, limits: { gpu: '1' } };
    const of = (value: string) => ({ resources: { limits: [{ name: Name.GPU, value }] } });
    const two = await made(of('2'), gpus);
    expect(two.work?.resources).toMatchObject({ requests: { [gpu]: '2' }, limits: { [gpu]: '2' } });
    expect(two.proxy?.resources).toEqual({ requests: { [gpu]: '1' }, limits: { [gpu]: '1' } });
    const none = await made(of('0'), { requests: { cpu: '1' }, limits: { gpu: '1' } });
    expect(none.work?.resources).toEqual({ requests: { cpu: '1' }, limits: { cpu: '1' } });
    expect(none.told).toContain(`work asks for no ${gpu} instead of 1`);
  });

  it('what is no quantity is refused', async () => {
    const { refused } = await made({ resources: { requests: [{ name: Name.CPU, value: 'much' }] } }, {});
    expect(refused).toContain('container "work": cpu');
  });
});

describe('the pod of a raw container', () => {
  const raw = () => {
    const launch = launchOf({ name: 'run1-n0-0', env: { A: '1' }, cpu: '2' });
    if (launch.template?.target?.$case === 'container')
      launch.template.target.value.dataConfig = DataLoadingConfig.fromPartial({
        enabled: true,
        inputPath: '/in',
        outputPath: '/out/',
      });
    return launch;
  };
  const place = { client: {} as never, namespace: 'n', name: 'run1-n0-0' };

  it('0092: ours before it, then it, then ours behind it, which is the pod’s real one', async () => {
    const kind = new PodKind(optionsOf({ dataSidecar: { image: 'ours:1' }, env: { FLYTE_AWS_ENDPOINT: 'http://s3' } }));
    const { spec } = (await kind.build(raw(), place)) as V1Pod;
    expect(spec?.initContainers?.map(({ name }) => name)).toEqual(['aloft-data-in', 'main']);
    expect(spec?.containers.map(({ name, command }) => [name, command?.at(-1)])).toEqual([['aloft-data-out', 'out']]);
    const mounts = [
      { name: 'aloft-inputs', mountPath: '/in' },
      { name: 'aloft-outputs', mountPath: '/out' },
    ];
    for (const container of [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])])
      expect(container.volumeMounts).toEqual(mounts);
    expect(spec?.containers[0]?.env?.map(({ name }) => name)).toEqual(['FLYTE_AWS_ENDPOINT', 'ALOFT_DATA_TASK']);
  });

  it('is refused without an image for ours, and with outputs that are no files', () => {
    expect(new PodKind(optionsOf()).refuse(raw())).toContain('dataSidecar.image');
    const kind = new PodKind(optionsOf({ dataSidecar: { image: 'ours:1' } }));
    const launch = raw();
    expect(kind.refuse(launch)).toBeUndefined();
    launch.template!.interface!.outputs!.variables['o'] = {
      type: { type: { $case: 'collectionType', value: {} } },
    } as never;
    expect(kind.refuse(launch)).toContain('Output "o"');
  });
});

describe('a pod on a PodTemplate', () => {
  it('default and primary containers are what others begin with; what the task says wins; the rest is added', () => {
    const template = {
      metadata: { name: 'base', labels: { from: 'template' } },
      spec: {
        tolerations: [{ key: 'a' }],
        volumes: [{ name: 'cache', emptyDir: {} }],
        containers: [
          { name: 'default', image: 'x', env: [{ name: 'EVERY', value: '1' }] },
          {
            name: 'primary',
            image: 'y',
            volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
            resources: { limits: { cpu: '1' } },
          },
          { name: 'agent', image: 'agent' },
        ],
      },
    };
    const own = {
      metadata: { labels: { mine: 'yes' } },
      spec: {
        tolerations: [{ key: 'b' }],
        containers: [
          {
            name: 'main',
            image: 'task',
            env: [{ name: 'MINE', value: '2' }],
            resources: { limits: { memory: '1Gi' } },
          },
        ],
      },
    };
    expect(onTemplate(template, own, 'main')).toEqual({
      metadata: { labels: { from: 'template', mine: 'yes' } },
      spec: {
        tolerations: [{ key: 'a' }, { key: 'b' }],
        volumes: [{ name: 'cache', emptyDir: {} }],
        initContainers: [],
        containers: [
          {
            name: 'main',
            image: 'task',
            env: [
              { name: 'EVERY', value: '1' },
              { name: 'MINE', value: '2' },
            ],
            volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
            resources: { limits: { cpu: '1', memory: '1Gi' } },
          },
          { name: 'agent', image: 'agent', env: [{ name: 'EVERY', value: '1' }] },
        ],
      },
    });
  });
});
