import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackendPlugin } from '@aloft/backend-kit';
import { integer, integerType, launchOf, type LaunchOptions, type S3Server } from '@aloft/backend-kit/testing';
import type { BlobStore } from '@aloft/blob';
import { createS3BlobStore } from '@aloft/blob/s3';
import { DataLoadingConfig } from '@aloft/idl/flyteidl/core/tasks';
import type { LiteralType } from '@aloft/idl/flyteidl/core/types';
import { createKubernetesBackend, kubernetesConfigSchema } from '../index.js';
import type { Kube, RealNode } from './kube.js';
import { testLogger } from './pod-world.js';

const infra = new URL('../../../../../tools/infra/', import.meta.url);

/** The platform's image with backend hosts, as `local/aloft-backends:1`: it has the data sidecar, too. */
export async function importPlatform(node: RealNode, dir: string): Promise<void> {
  const { nodeLayer } = (await import(new URL('node-image.mjs', infra).href)) as {
    nodeLayer(options: { app: string; archive: string; base: string }): string;
  };
  const images = join(dir, 'images');
  const layer = nodeLayer({
    app: 'backends',
    archive: join(images, 'backends.layer.tar'),
    base: join(images, 'busybox'),
  });
  node.importImage({ name: 'docker.io/local/aloft-backends:1', folder: layer, command: ['sh'] });
}

/** The environment of the suite as the image `local/flytekit:1`. */
export async function importFlytekit(node: RealNode, dir: string): Promise<void> {
  const { pythonLayer } = (await import(new URL('python-image.mjs', infra).href)) as {
    pythonLayer(options: { python: string; archive: string; base: string }): string;
  };
  const python = process.env['ALOFT_TEST_PYTHON'] ?? '';
  const layer = pythonLayer({
    python,
    archive: join(dir, 'images', 'flytekit.layer.tar'),
    base: join(dir, 'images', 'busybox'),
  });
  node.importImage({ name: 'docker.io/local/flytekit:1', folder: layer, command: ['sh'], env: { HOME: '/root' } });
}

const tasks = `
import os
from flytekit import Secret, current_context, task, map_task
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.file import FlyteFile

@task
def double(n: int) -> int:
    print("doubling", n)
    return n * 2

@task
def save(n: int) -> FlyteFile:
    with open("saved.txt", "w") as file:
        file.write("x" * n)
    return FlyteFile("saved.txt")

@task
def fail(n: int) -> int:
    raise ValueError("n must not be " + str(n))

@task
def fail_for_now(n: int) -> int:
    raise FlyteRecoverableException("try again")

@task
def reveal(n: int) -> str:
    secrets = current_context().secrets
    return secrets.get("db", "password") + "|" + open(secrets.get_secrets_file("db", "cert")).read()

mapped = map_task(double)
`;

/** Stock flytekit in pods of this machine's node, over S3; pods share its network, so that they reach the server. */
export class PythonPods {
  readonly blob: BlobStore;
  readonly dir = mkdtempSync(join(tmpdir(), 'aloft-python-pods-'));
  readonly name = `py-${process.pid}`;
  readonly plugin: BackendPlugin;

  private constructor(
    private readonly kube: Kube,
    s3: S3Server,
  ) {
    const { endpoint, region, accessKeyId, secretAccessKey } = s3;
    this.blob = createS3BlobStore({
      buckets: ['aloft'],
      endpoint,
      region,
      credentials: { accessKeyId, secretAccessKey },
    });
    const config = kubernetesConfigSchema.parse({
      clusters: [{ name: 'test', kubeconfig: kube.kubeconfig }],
      owner: this.name,
      namespaceTemplate: `${this.name}-{{ project }}-{{ domain }}`,
      graceSeconds: 1,
      pods: {
        podTemplate: this.name,
        podTemplateNamespace: 'default',
        imagePullPolicy: 'IfNotPresent',
        storageEnv: true,
        dataSidecar: { image: 'local/aloft-backends:1' },
      },
    });
    const storage = () => ({ endpoint, region, accessKeyId, secretAccessKey });
    this.plugin = createKubernetesBackend(config, { storage }, testLogger);
  }

  static async open(kube: Kube, s3: S3Server): Promise<PythonPods> {
    const pods = new PythonPods(kube, s3);
    const spec = {
      hostNetwork: true,
      nodeSelector: { type: 'real' },
      containers: [{ name: 'default', image: 'unused' }],
    };
    await pods.make('default', 'podtemplates', {
      kind: 'PodTemplate',
      metadata: { name: pods.name },
      template: { spec },
    });
    const namespace = pods.namespace;
    await kube.call('POST', '/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace },
    });
    await pods.make(namespace, 'secrets', {
      kind: 'Secret',
      metadata: { name: 'db' },
      stringData: { password: 'hunter2', cert: 'a certificate' },
    });
    const source = join(pods.dir, 'source');
    mkdirSync(source);
    writeFileSync(join(source, 'tasks.py'), tasks);
    const bundle = join(pods.dir, 'fast1.tar.gz');
    execFileSync('tar', ['-C', source, '-czf', bundle, 'tasks.py']);
    await pods.blob.put('s3://aloft/code/fast1.tar.gz', readFileSync(bundle));
    await pods.plugin.start?.();
    return pods;
  }

  get namespace(): string {
    return `${this.name}-flytesnacks-development`;
  }

  private async make(namespace: string, plural: string, object: object): Promise<void> {
    const { status, body } = await this.kube.call('POST', `/api/v1/namespaces/${namespace}/${plural}`, {
      apiVersion: 'v1',
      ...object,
    });
    if (status > 299) throw new Error(JSON.stringify(body));
  }

  /** A task of the module above, as `pyflyte register` makes it. */
  launch(task: string, name: string, more: Partial<LaunchOptions> = {}) {
    const options: LaunchOptions = {
      name,
      type: 'python-task',
      inputs: { n: integer(21) },
      outputs: { o0: integerType },
      ...more,
    };
    const { inputsUri, outputPrefix } = launchOf(options);
    const raw = `s3://aloft/data/${name}`;
    const map = task.startsWith('map:');
    const args = [
      ...[
        'pyflyte-fast-execute',
        '--additional-distribution',
        's3://aloft/code/fast1.tar.gz',
        '--dest-dir',
        '/root',
        '--',
      ],
      map ? 'pyflyte-map-execute' : 'pyflyte-execute',
      ...['--inputs', inputsUri, '--output-prefix', outputPrefix, '--raw-output-data-prefix', raw],
      ...['--checkpoint-path', `${raw}/checkpoints`, '--prev-checkpoint', '""'],
      ...(map
        ? ['--resolver', 'flytekit.core.array_node_map_task.ArrayNodeMapTaskResolver', '--', 'vars', '', 'resolver']
        : ['--resolver']),
      'flytekit.core.python_auto_container.default_task_resolver',
      ...(map ? [] : ['--']),
      ...['task-module', 'tasks', 'task-name', task.replace('map:', '')],
    ];
    const env = { FLYTE_INTERNAL_EXECUTION_ID: 'run1', ...more.env };
    const launch = launchOf({ ...options, args, env });
    if (launch.template?.target?.$case === 'container') launch.template.target.value.image = 'local/flytekit:1';
    return launch;
  }

  /** A ContainerTask: a script that reads files below /in and writes files below /out. */
  raw(script: string, name: string, outputs: Record<string, LiteralType>) {
    const launch = launchOf({
      name,
      type: 'raw-container',
      inputs: { n: integer(21) },
      outputs,
      args: ['sh', '-c', script],
      memory: '64Mi',
    });
    if (launch.template?.target?.$case === 'container')
      Object.assign(launch.template.target.value, {
        image: 'local/busybox:1',
        dataConfig: DataLoadingConfig.fromPartial({ enabled: true, inputPath: '/in', outputPath: '/out' }),
      });
    return launch;
  }

  async close(): Promise<void> {
    await this.plugin.stop();
    await rm(this.dir, { recursive: true, force: true });
  }
}
