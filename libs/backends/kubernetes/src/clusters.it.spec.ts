import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorOf } from '@aloft/backend-kit/testing';
import { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { ExecutionError_ErrorKind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { eachInFakeWorld } from './testing/each-in-fake-world.js';
import type { FakeWorld } from './testing/fake-world.js';
import { type Kube, startCluster } from './testing/kube.js';
import { createOperatorTypes } from './testing/operator-crds.js';
import { endedOperatorObjects } from './testing/operator-objects.js';

// Real: etcd, API server, scheduler. Nodes pretend (kwok), and operators do: their types are there, and what they would say of an object a case says.
let kube: Kube;
let world: FakeWorld;

eachInFakeWorld({ kwok: 1 }, (...given) => ([kube, world] = given));

describe('several clusters (S-26)', () => {
  let other: Kube;

  beforeAll(async () => {
    other = await startCluster({});
  }, 300_000);

  afterAll(async () => {
    await other?.stop();
  });

  const clusters = (more: Record<string, unknown> = {}) => [
    { name: 'main', kubeconfig: world.proxy.kubeconfig, ...more },
    { name: 'other', kubeconfig: other.kubeconfig, labels: ['production'] },
  ];
  const pods = (labelled: string) => `/api/v1/namespaces/${world.namespace}/pods/${labelled}`;

  it('a label sends a run to its cluster; the next process finds it there though weights have changed', async () => {
    await world.start({ clusters: clusters() });
    const launch = world.launch('run1-n0-0');
    launch.placement = LaunchTask.fromPartial({ placement: { clusterLabel: 'production' } }).placement;
    await world.bus.command({ launch });
    await world.until(async () => (await other.call('GET', pods('run1-n0-0'))).status === 200);
    expect((await kube.call('GET', pods('run1-n0-0'))).status).toBe(404);
    await world.kill();
    await world.start({ clusters: clusters({ labels: ['production'], weight: 1_000 }) });
    const status = {
      phase: 'Succeeded',
      containerStatuses: [
        {
          name: 'main',
          image: 'i',
          imageID: '',
          ready: false,
          restartCount: 0,
          state: { terminated: { exitCode: 0 } },
        },
      ],
    };
    await other.call('PATCH', `${pods('run1-n0-0')}/status`, { status }, 'application/merge-patch+json');
    expect(Phase[(await world.bus.end(launch.attempt)).phase]).toBe('SUCCEEDED');
    expect((await kube.call('GET', pods('run1-n0-0'))).status).toBe(404);
  });

  it('one that drains finishes what it has and gets nothing new', async () => {
    const running = world.launch('run1-n1-0', { 'run-for': '4s' });
    await world.start({
      clusters: [
        { name: 'main', kubeconfig: world.proxy.kubeconfig },
        { name: 'other', kubeconfig: other.kubeconfig, weight: 0 },
      ],
    });
    await world.bus.command({ launch: running });
    await world.bus.report(running.attempt, ({ phase }) => phase === Phase.RUNNING);
    await world.kill();
    await world.start({ clusters: clusters({ draining: true }) });
    const next = world.launch('run1-n2-0');
    await world.bus.command({ launch: next });
    await world.until(async () => (await other.call('GET', pods('run1-n2-0'))).status === 200);
    expect(Phase[(await world.bus.end(running.attempt)).phase]).toBe('SUCCEEDED');
  });

  it('a label that no cluster has is refused', async () => {
    await world.start({ clusters: clusters() });
    const launch = world.launch('run1-n3-0');
    launch.placement = LaunchTask.fromPartial({ placement: { clusterLabel: 'nowhere' } }).placement;
    await world.bus.command({ launch });
    expect(errorOf(await world.bus.end(launch.attempt))).toMatchObject({
      code: 'NoPlace',
      message: expect.stringContaining('"nowhere"'),
    });
  });
});

describe('namespaces (A-200)', () => {
  it('get what the templates say, with the values of project, domain and run', async () => {
    const template = join(world.dir, 'quota.yaml');
    writeFileSync(
      template,
      [
        'apiVersion: v1',
        'kind: ResourceQuota',
        'metadata: { name: project-quota }',
        'spec: { hard: { pods: "{{ projectQuotaPods }}" } }',
        '---',
        'apiVersion: v1',
        'kind: ServiceAccount',
        'metadata: { name: tasks, annotations: { role: "arn:aws:iam::1:role/{{ project }}-{{ domain }}-{{ tier }}" } }',
      ].join('\n'),
    );
    const values = {
      domainValues: { development: { projectQuotaPods: '8', tier: 'low' } },
      projectValues: { flytesnacks: { tier: 'high' } },
    };
    await world.start({ resourceTemplates: [template], ...values });
    const launch = world.launch('run1-n0-0');
    launch.placement = LaunchTask.fromPartial({
      placement: { clusterResources: { projectQuotaPods: '64' } },
    }).placement;
    await world.bus.command({ launch });
    // A quota that nobody has counted yet is waited for, or not seen yet.
    await world.until(
      async () =>
        (await kube.call('GET', `/api/v1/namespaces/${world.namespace}/serviceaccounts/tasks`)).status === 200,
    );
    const at = `/api/v1/namespaces/${world.namespace}`;
    expect((await kube.call('GET', `${at}/resourcequotas/project-quota`)).body).toMatchObject({
      spec: { hard: { pods: '64' } },
    });
    expect((await kube.call('GET', `${at}/serviceaccounts/tasks`)).body).toMatchObject({
      metadata: { annotations: { role: 'arn:aws:iam::1:role/flytesnacks-development-high' } },
    });
  });
});

describe('objects of operators', () => {
  it('C-181…C-184: the API server takes each kind, its status is the attempt’s, and it is removed; nothing of it is dropped', async () => {
    await createOperatorTypes(kube);
    const operators = { spark: {}, pytorch: true, mpi: true, tensorflow: true, ray: true, dask: true };
    await world.start({ operators });
    for (const [type, custom, path, status] of endedOperatorObjects) {
      const launch = world.launch(`run1-${type}-0`, {}, { type, args: ['pyflyte-execute'], cpu: '1' });
      launch.template = { ...launch.template!, custom };
      await world.bus.command({ launch });
      const [group, version, plural] = path.split('/');
      const object = `/apis/${group}/${version}/namespaces/${world.namespace}/${plural}/${launch.attempt.name}`;
      const made = await world.until(async () => {
        const answer = await kube.call('GET', object);
        return answer.status === 200 && answer.body;
      });
      expect(JSON.stringify(made['spec'])).toContain('test:1');
      await kube.call('PATCH', `${object}/status`, { status }, 'application/merge-patch+json');
      expect(`${type} ${Phase[(await world.bus.end(launch.attempt)).phase]}`).toBe(`${type} SUCCEEDED`);
      await world.until(async () => (await kube.call('GET', object)).status === 404);
    }
  });

  it('C-171, C-184: of the errors that workers of a job wrote the earliest is the attempt’s', async () => {
    await createOperatorTypes(kube);
    await world.start({ operators: { pytorch: true } });
    const launch = world.launch('run1-n0-0', {}, { type: 'pytorch', args: ['pyflyte-execute'], cpu: '1' });
    launch.template = { ...launch.template!, custom: { workerReplicas: { replicas: 2 } } };
    await world.bus.command({ launch });
    const object = `/apis/kubeflow.org/v1/namespaces/${world.namespace}/pytorchjobs/run1-n0-0`;
    await world.until(async () => (await kube.call('GET', object)).status === 200);
    for (const [worker, seconds] of [
      ['run1-n0-0-worker-1', 20],
      ['run1-n0-0-worker-0', 10],
    ] as const) {
      const timestamp = { seconds: BigInt(seconds), nanos: 0 };
      const error = {
        code: 'USER:Boom',
        message: `of ${worker}`,
        origin: ExecutionError_ErrorKind.USER,
        timestamp,
        worker,
      };
      const bytes = ErrorDocument.encode(ErrorDocument.fromPartial({ error })).finish();
      await world.blob.put(`${launch.outputPrefix}/error-${seconds}.pb`, bytes);
    }
    const conditions = [{ type: 'Failed', status: 'True', message: 'a worker exited with code 1' }];
    await kube.call('PATCH', `${object}/status`, { status: { conditions } }, 'application/merge-patch+json');
    expect(errorOf(await world.bus.end(launch.attempt))).toMatchObject({
      message: 'of run1-n0-0-worker-0',
      worker: 'run1-n0-0-worker-0',
    });
  });

  it('a task that needs an operator which is not there is refused', async () => {
    await world.start();
    const launch = world.launch('run1-n0-0', {}, { type: 'spark' });
    await world.bus.command({ launch });
    expect(errorOf(await world.bus.end(launch.attempt))).toMatchObject({
      code: 'LaunchRefused',
      message: expect.stringContaining('operators.spark'),
    });
  });
});
