import { launchOf } from '@aloft/backend-kit/testing';
import { ResourceBounds } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { Resources_ResourceName } from '@aloft/idl/flyteidl/core/tasks';
import { kubernetesConfigSchema } from '../config.js';
import type { PodOptions } from '../pod/pod-options.js';
import { daskOperator } from './dask.js';
import { mpiOperator, pytorchOperator, tensorflowOperator } from './kubeflow.js';
import { type Operator, OperatorKind } from './operator-kind.js';
import { rayOperator } from './ray.js';
import { sparkOperator } from './spark.js';

const options = kubernetesConfigSchema.parse({
  pods: { spot: { nodeSelector: { capacity: 'spot' } }, onDemand: { nodeSelector: { capacity: 'on-demand' } } },
}).pods as PodOptions;

function task(type: string, custom: Record<string, unknown>, interruptible = false) {
  const launch = launchOf({
    name: 'run1-n0-0',
    type,
    args: ['pyflyte-execute', '--x', 'a b'],
    env: { A: '1' },
    cpu: '2',
  });
  launch.template = { ...launch.template!, custom };
  launch.interruptible = interruptible;
  return launch;
}

const build = async (operator: Operator, launch: ReturnType<typeof task>) => {
  const kind = new OperatorKind(operator, options);
  expect(kind.takes(launch)).toBe(true);
  expect(kind.refuse(launch)).toBeUndefined();
  return (await kind.build(launch, { client: {} as never, namespace: 'n', name: 'run1-n0-0' })).spec as never;
};

const look = (operator: Operator, status: object) =>
  new OperatorKind(operator, options).look(
    { metadata: { name: 'x', namespace: 'n', creationTimestamp: new Date(0) }, status },
    task('x', {}),
    Date.now(),
  );

describe('C-181: spark', () => {
  const spark = sparkOperator({
    sparkVersion: '3.5.6',
    conf: { 'spark.ui.port': '4040', 'spark.executor.cores': '1' },
    historyServer: 'https://history',
    serviceAccount: 'spark',
  });
  const custom = {
    mainApplicationFile: 'local:///entrypoint.py',
    executorPath: '/venv/bin/python',
    sparkConf: { 'spark.driver.memory': '1g', 'spark.executor.instances': '3', 'spark.executor.cores': '2' },
  };

  it('driver and executors, sized by Spark’s own configuration; executors may be interrupted, the driver not', async () => {
    expect(await build(spark, task('spark', custom, true))).toMatchObject({
      type: 'Python',
      mode: 'cluster',
      image: 'test:1',
      mainApplicationFile: 'local:///entrypoint.py',
      arguments: ['pyflyte-execute', '--x', 'a b'],
      restartPolicy: { type: 'Never' },
      sparkConf: { 'spark.ui.port': '4040', 'spark.executor.cores': '2' },
      driver: {
        memory: '1g',
        serviceAccount: 'spark',
        env: [{ name: 'A', value: '1' }],
        nodeSelector: { capacity: 'on-demand' },
      },
      executor: {
        instances: 3,
        cores: 2,
        nodeSelector: { capacity: 'spot' },
        env: [
          { name: 'PYSPARK_EXECUTOR_PYTHON', value: '/venv/bin/python' },
          { name: 'A', value: '1' },
        ],
      },
    });
  });

  it('pods that the task gives its driver and its executors go before what both have', async () => {
    const of = (podSpec: object, more: object = {}) => ({ podSpec, primaryContainerName: 'primary', ...more });
    const pods = {
      driverPod: of(
        {
          containers: [
            {
              name: 'primary',
              image: 'driver:2',
              env: [{ name: 'A', value: '2' }],
              volumeMounts: [{ name: 'v', mountPath: '/v' }],
            },
            { name: 'proxy', image: 'proxy:1' },
          ],
          volumes: [{ name: 'v', emptyDir: {} }],
          nodeSelector: { pool: 'drivers' },
        },
        { metadata: { labels: { role: 'driver' }, annotations: {} } },
      ),
      executorPod: of({ containers: [{ name: 'primary' }], tolerations: [{ key: 'gpu', operator: 'Exists' }] }),
    };
    const spec = (await build(spark, task('spark', { ...custom, ...pods }))) as Record<string, Record<string, unknown>>;
    expect(spec['image']).toBe('test:1');
    expect(spec['volumes']).toContainEqual({ name: 'v', emptyDir: {} });
    expect(spec['driver']).toMatchObject({
      image: 'driver:2',
      env: [{ name: 'A', value: '2' }],
      labels: { role: 'driver' },
      nodeSelector: { capacity: 'on-demand', pool: 'drivers' },
      sidecars: [{ name: 'proxy' }],
      volumeMounts: [{ mountPath: '/v' }],
    });
    expect(spec['executor']).toMatchObject({ tolerations: [{ key: 'gpu' }] });
    expect(spec['executor']?.['image']).toBeUndefined();
    expect(spec['executor']?.['sidecars']).toBeUndefined();
  });

  it('C-176: its driver’s pod has the links of pods', () => {
    const logs = [{ name: 'Pod', uri: 'http://logs/{{ .namespace }}/{{ .podName }}/{{ .containerName }}' }];
    const status = { applicationState: { state: 'RUNNING' }, driverInfo: { podName: 'x-driver' } };
    const object = { metadata: { name: 'x', namespace: 'n', creationTimestamp: new Date(0) }, status };
    const { report } = new OperatorKind(spark, { ...options, logs }).look(object, task('spark', custom), Date.now());
    expect(report?.logs?.map(({ uri }) => uri)).toEqual(['http://logs/n/x-driver/spark-kubernetes-driver']);
  });

  it('its state is the attempt’s, with links to UI and history', () => {
    const state = (name: string, more = {}) => ({
      applicationState: { state: name, errorMessage: 'because' },
      sparkApplicationId: 'spark-1',
      ...more,
    });
    expect(look(spark, {}).report?.phase).toBe(Phase.INITIALIZING);
    const running = look(spark, state('RUNNING', { driverInfo: { webUIIngressAddress: 'ui.test' } }));
    expect(running.report).toMatchObject({ phase: Phase.RUNNING, logs: [{ uri: 'http://ui.test' }] });
    const done = look(spark, state('COMPLETED'));
    expect(done).toMatchObject({
      end: { how: 'well' },
      report: { logs: [{ uri: 'https://history/history/spark-1' }] },
    });
    expect(look(spark, state('FAILED')).end).toMatchObject({
      how: 'badly',
      failure: { phase: Phase.RETRYABLE_FAILED, reason: expect.stringContaining('because') },
    });
  });

  it('without an application file it is refused', () => {
    expect(new OperatorKind(spark, options).refuse(task('spark', {}))).toContain('main application file');
  });
});

describe('C-184: Kubeflow', () => {
  it('pytorch: a master and workers, or workers alone where it is elastic', async () => {
    const workers = {
      workerReplicas: { common: { replicas: 2, image: 'w:1', restartPolicy: 'RESTART_POLICY_ON_FAILURE' } },
    };
    const env = expect.arrayContaining([
      { name: 'A', value: '1' },
      { name: '_F_DES', value: 'Earliest' },
      { name: '_F_WN', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    ]);
    expect(await build(pytorchOperator, task('pytorch', workers))).toMatchObject({
      runPolicy: { cleanPodPolicy: 'Running' },
      pytorchReplicaSpecs: {
        Master: {
          replicas: 1,
          restartPolicy: 'Never',
          template: { spec: { containers: [{ name: 'pytorch', image: 'test:1', env }] } },
        },
        Worker: {
          replicas: 2,
          restartPolicy: 'OnFailure',
          template: { spec: { containers: [{ name: 'pytorch', image: 'w:1', env }] } },
        },
      },
    });
    const elastic = { ...workers, elasticConfig: { minReplicas: 1, maxReplicas: 4, nprocPerNode: 8 } };
    const spec = (await build(pytorchOperator, task('pytorch', elastic))) as Record<string, object>;
    expect(spec).toMatchObject({
      elasticPolicy: { rdzvBackend: 'c10d', minReplicas: 1, maxReplicas: 4, nProcPerNode: 8 },
    });
    expect(Object.keys(spec['pytorchReplicaSpecs'] ?? {})).toEqual(['Worker']);
  });

  it('mpi: the launcher’s own command before the task’s', async () => {
    const custom = {
      workerReplicas: { replicas: 2, command: ['/usr/sbin/sshd', '-D'] },
      launcherReplicas: { replicas: 1, command: ['mpirun', '-np', '4'] },
      slots: 2,
    };
    expect(await build(mpiOperator, task('mpi', custom))).toMatchObject({
      slotsPerWorker: 2,
      mpiReplicaSpecs: {
        Launcher: {
          template: {
            spec: {
              containers: [{ name: 'mpi', command: ['mpirun', '-np', '4'], args: ['pyflyte-execute', '--x', 'a b'] }],
            },
          },
        },
        Worker: { replicas: 2, template: { spec: { containers: [{ command: ['/usr/sbin/sshd', '-D'], args: [] }] } } },
      },
    });
  });

  it('tensorflow: the roles that it asks for', async () => {
    const spec = (await build(
      tensorflowOperator,
      task('tensorflow', { workerReplicas: { replicas: 3 }, psReplicas: { replicas: 1 } }),
    )) as Record<string, object>;
    expect(Object.keys(spec['tfReplicaSpecs'] ?? {})).toEqual(['Worker', 'PS']);
  });

  it('the last condition that holds is its state; without workers it is refused', () => {
    const status = (type: string) => ({
      conditions: [
        { type: 'Created', status: 'True' },
        { type, status: 'True', message: 'because' },
      ],
      startTime: '2026-11-27T12:00:00Z',
      completionTime: '2026-11-27T12:00:10Z',
    });
    expect(look(pytorchOperator, status('Running')).report?.phase).toBe(Phase.RUNNING);
    expect(look(pytorchOperator, status('Succeeded')).end).toMatchObject({
      how: 'well',
      at: new Date('2026-11-27T12:00:10Z'),
    });
    expect(look(pytorchOperator, status('Failed')).end).toMatchObject({
      how: 'badly',
      failure: { reason: expect.stringContaining('because') },
    });
    for (const [operator, type] of [
      [pytorchOperator, 'pytorch'],
      [mpiOperator, 'mpi'],
      [tensorflowOperator, 'tensorflow'],
    ] as const)
      expect(new OperatorKind(operator, options).refuse(task(type, {}))).toContain('no workers');
  });
});

it('C-182: ray: the task’s command is the job’s, its pods are Ray’s own', async () => {
  const custom = {
    rayCluster: {
      headGroupSpec: { rayStartParams: { 'num-cpus': '1' } },
      workerGroupSpec: [{ groupName: 'g', replicas: 2 }],
    },
    runtimeEnvYaml: 'pip: [x]',
  };
  expect(await build(rayOperator, task('ray', custom))).toMatchObject({
    entrypoint: "pyflyte-execute --x 'a b'",
    runtimeEnvYAML: 'pip: [x]',
    rayClusterSpec: {
      headGroupSpec: {
        rayStartParams: { 'num-cpus': '1' },
        template: { spec: { containers: [{ name: 'ray-head', image: 'test:1' }] } },
      },
      workerGroupSpecs: [
        {
          groupName: 'g',
          replicas: 2,
          minReplicas: 2,
          maxReplicas: 2,
          template: { spec: { containers: [{ name: 'ray-worker' }] } },
        },
      ],
    },
  });
  expect(look(rayOperator, { jobStatus: 'RUNNING', dashboardURL: 'head:8265' }).report).toMatchObject({
    phase: Phase.RUNNING,
    logs: [{ uri: 'http://head:8265' }],
  });
  expect(look(rayOperator, { jobStatus: 'SUCCEEDED', jobDeploymentStatus: 'Complete' }).end).toMatchObject({
    how: 'well',
  });
  expect(look(rayOperator, { jobDeploymentStatus: 'Failed', message: 'no' }).end).toMatchObject({ how: 'badly' });
});

it('C-183: dask: a runner, a scheduler that has a service, and workers', async () => {
  const spec = await build(daskOperator, task('dask', { workers: { numberOfWorkers: 4, image: 'w:1' } }));
  expect(spec).toMatchObject({
    job: {
      spec: { restartPolicy: 'Never', containers: [{ name: 'job-runner', args: ['pyflyte-execute', '--x', 'a b'] }] },
    },
    cluster: {
      spec: {
        worker: {
          replicas: 4,
          spec: {
            containers: [{ name: 'worker', image: 'w:1', args: ['dask-worker', '--name', '$(DASK_WORKER_NAME)'] }],
          },
        },
        scheduler: { service: { selector: { 'dask.org/cluster-name': 'run1-n0-0' } } },
      },
    },
  });
  expect(look(daskOperator, { jobStatus: 'Successful' }).end).toMatchObject({ how: 'well' });
});

it('S-27: what a role asks for itself is kept within the platform’s limits, too, and the attempt says so', async () => {
  const cpu = (value: string) => ({ requests: [{ name: 'CPU', value }], limits: [] });
  const launch = task('pytorch', { workerReplicas: { replicas: 2, resources: cpu('16') } });
  launch.resourceBounds = ResourceBounds.fromPartial({ limits: [{ name: Resources_ResourceName.CPU, value: '4' }] });
  const kind = new OperatorKind(pytorchOperator, options);
  const object = await kind.build(launch, { client: {} as never, namespace: 'n', name: 'run1-n0-0' });
  expect(object.spec).toMatchObject({
    pytorchReplicaSpecs: {
      Master: { template: { spec: { containers: [{ resources: { requests: { cpu: '2' } } }] } } },
      Worker: { template: { spec: { containers: [{ resources: { requests: { cpu: '4' } } }] } } },
    },
  });
  expect(kind.look(object, launch, Date.now()).report?.reason).toBe(
    'Resources: pytorch has cpu 4 instead of 16, since the platform allows 4.',
  );
  launch.template!.custom = { workerReplicas: { replicas: 2, resources: cpu('many') } };
  expect(kind.refuse(launch)).toMatch(/container "pytorch": cpu: "many" is not a quantity/);
});
