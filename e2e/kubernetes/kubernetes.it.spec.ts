import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCluster, type Kube } from '@aloft/backend-kubernetes/testing';
import type { BenchClient } from '@aloft/bench/client';
import { ExecutionCreateRequest } from '@aloft/idl/flyteidl/admin/execution';
import { TaskExecutionListRequest } from '@aloft/idl/flyteidl/admin/task_execution';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { aloftAt, withClient } from '../trace/clients.js';
import { Embedded } from '../trace/embedded.js';

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

jest.setTimeout(180_000);

interface Pod {
  metadata: { name: string; annotations?: Record<string, string> };
  spec: {
    containers: { name: string; image: string; resources?: object }[];
    initContainers?: { name: string; image: string; resources?: object }[];
    tolerations?: { key?: string }[];
  };
}

// Real: the embedded platform in a process of its own, the command line, two API servers with schedulers. Nodes pretend (kwok).
describe('runs on Kubernetes, by settings alone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'aloft-e2e-kube-'));
  const config = join(folder, 'aloft.json');
  const platform = new Embedded({ ALOFT_CONFIG: config });
  const clusters: Record<'main' | 'other', Kube | undefined> = { main: undefined, other: undefined };

  beforeAll(async () => {
    clusters.main = await startCluster({ kwok: 1 });
    clusters.other = await startCluster({ kwok: 1 });
    const { main, other } = clusters;
    writeFileSync(
      config,
      JSON.stringify({
        admin: {
          defaults: [
            { domain: 'production', clusterLabel: 'production' },
            {
              domain: 'staging',
              taskResources: { defaults: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '1', memory: '1Gi' } },
            },
          ],
        },
        propeller: { backends: { default: 'kubernetes' } },
        backends: {
          kubernetes: {
            clusters: [
              { name: 'main', kubeconfig: main.kubeconfig },
              { name: 'other', kubeconfig: other.kubeconfig, labels: ['production'], weight: 0 },
            ],
            remove: 'never',
            pods: {
              nodeSelector: { type: 'kwok' },
              spot: { tolerations: [{ key: 'spot', operator: 'Exists' }] },
              dataSidecar: { image: 'ours:1' },
            },
          },
        },
      }),
    );
    await platform.start();
    for (const domain of ['development', 'production'])
      aloft(domain, 'register', at('e2e/kubernetes/pipeline.ts'), '--version', 'v1');
  }, 900_000);

  afterAll(async () => {
    await platform.close();
    await clusters.main?.stop();
    await clusters.other?.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const aloft = (domain: string, ...args: string[]) => aloftAt(platform.grpc, domain, args);
  const client = <T>(use: (client: BenchClient) => Promise<T>) => withClient(platform.grpc, use);
  const idOf = (name: string, domain: string) => ({ org: '', project: 'aloft', domain, name });
  const run = (name: string, domain: string, version = 'v1') => {
    aloft(domain, 'run', 'kube.wf', '--version', version, '--name', name);
    return client((made) => made.succeeded(idOf(name, domain)));
  };
  const podsOf = async (cluster: keyof typeof clusters, name: string, domain: string): Promise<Pod[]> => {
    const { body } = await clusters[cluster]!.call('GET', `/api/v1/namespaces/aloft-${domain}/pods`);
    const pods = (body.items ?? []) as unknown as Pod[];
    return pods
      .filter(({ metadata }) => metadata.name.startsWith(`${name}-`))
      .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  };
  const imagesOf = (pods: Pod[]) =>
    pods.map(({ spec }) => spec.initContainers?.find(({ name }) => name === 'main')?.image).sort();

  it('S-18: one run uses the images of two tasks', async () => {
    await run('images', 'development');
    expect(imagesOf(await podsOf('main', 'images', 'development'))).toEqual(['one:1', 'two:2']);
    expect(await podsOf('other', 'images', 'development')).toEqual([]);
  });

  it('S-26: a label on the domain production sends its runs to the other cluster alone', async () => {
    await run('labelled', 'production');
    expect(imagesOf(await podsOf('other', 'labelled', 'production'))).toEqual(['one:1', 'two:2']);
    expect(await podsOf('main', 'labelled', 'production')).toEqual([]);
  });

  it('S-27: a pod task gets the domain’s defaults and limits, and its attempt says what became of what it asked for', async () => {
    const id = {
      resourceType: ResourceType.TASK,
      project: 'aloft',
      domain: 'staging',
      name: 'kube.pod',
      version: 'v1',
    };
    const resources = { requests: { memory: '8Gi' } };
    const podSpec = { containers: [{ name: 'primary', image: 'pod:1', resources }] };
    await client(async ({ admin }) => {
      const template = TaskTemplate.fromPartial({
        id,
        type: 'sidecar',
        metadata: { runtime: { version: '1.16' } },
        interface: { inputs: {}, outputs: {} },
        config: { primary_container_name: 'primary' },
        target: { $case: 'k8sPod', value: { podSpec: podSpec as never } },
      });
      await admin.createTask({ id: template.id, spec: { template, description: undefined } });
      const where = { project: 'aloft', domain: 'staging', name: 'pods' };
      await admin.createExecution(
        ExecutionCreateRequest.fromPartial({ ...where, spec: { launchPlan: id, metadata: {} } }),
      );
    });
    await client((made) => made.succeeded(idOf('pods', 'staging')));
    const [pod] = await podsOf('main', 'pods', 'staging');
    expect(pod?.spec.containers[0]?.resources).toEqual({
      requests: { cpu: '100m', memory: '1Gi' },
      limits: { cpu: '100m', memory: '1Gi' },
    });
    const why = 'Resources: primary has cpu 100m by default; memory 1Gi instead of 8Gi, since the platform allows 1Gi.';
    expect(pod?.metadata.annotations?.['aloft.dev/resources']).toBe(why);
    const { nodeId } = (JSON.parse(aloft('staging', 'get', 'attempts', 'pods', '--json')) as { nodeId: string }[])[0]!;
    const asked = { nodeExecutionId: { nodeId, executionId: idOf('pods', 'staging') }, limit: 5 };
    const { taskExecutions } = await client(({ admin }) =>
      admin.listTaskExecutions(TaskExecutionListRequest.fromPartial(asked)),
    );
    expect(taskExecutions[0]?.closure?.customInfo).toMatchObject({ resources: why });
  });

  it('S-3: what is reclaimed again and again goes to on-demand capacity at last, and the list says so', async () => {
    await client(({ admin }) =>
      admin.createExecution(
        ExecutionCreateRequest.fromPartial({
          ...{ project: 'aloft', domain: 'development', name: 'reclaimed' },
          spec: {
            launchPlan: {
              ...{ resourceType: ResourceType.LAUNCH_PLAN, project: 'aloft', domain: 'development' },
              ...{ name: 'kube.wf', version: 'v1' },
            },
            metadata: {},
            interruptible: true,
            annotations: { values: { 'test.aloft.dev/behaviour': 'reclaimed' } },
          },
        }),
      ),
    );
    await expect(client((made) => made.succeeded(idOf('reclaimed', 'development')))).rejects.toThrow('FAILED');
    const listed = aloft('development', 'get', 'attempts', 'reclaimed');
    const [node] = /^(\w+) +2 /m.exec(listed)?.slice(1) ?? [];
    const classes = [...listed.matchAll(new RegExp(`^${node} +\\d .* kubernetes +(spot|on demand)`, 'gm'))];
    expect(classes.map(([, name]) => name)).toEqual(['spot', 'spot', 'on demand']);
    const pods = (await podsOf('main', 'reclaimed', 'development')).filter(({ metadata }) =>
      metadata.name.startsWith(`reclaimed-${node}-`),
    );
    expect(pods.map(({ spec }) => spec.tolerations?.some(({ key }) => key === 'spot') ?? false)).toEqual([
      true,
      true,
      false,
    ]);
  });
});
