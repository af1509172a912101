import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, watch } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BackendPlugin } from '@aloft/backend-kit';
import {
  type Behaviour,
  type ConformanceWorld,
  integerType,
  launchOf,
  shellScripts,
  writeShellFiles,
  type LaunchOptions,
} from '@aloft/backend-kit/testing';
import { createLocalBlobStore } from '@aloft/blob';
import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { createLogger } from '@aloft/telemetry';
import { createKubernetesBackend, kubernetesConfigSchema } from '../index.js';
import type { Kube } from './kube.js';

export const testLogger = createLogger('kubernetes', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' });

/** What each behaviour does, in the shell; `$1` is the attempt's folder, `$2` the one with prepared files. */
const scripts = {
  ...shellScripts,
  'be-killed': 'sleep 600',
  'use-memory': 'head -c 400000000 /dev/zero | tail -n 1',
};

let worlds = 0;

/** Shell tasks as pods of this machine's real node; blob storage is a folder that pods see under its own path. */
export class PodWorld implements ConformanceWorld {
  readonly dir = mkdtempSync(join(tmpdir(), 'aloft-pods-'));
  readonly blob = createLocalBlobStore({ dir: join(this.dir, 'blob'), durable: false });
  readonly name = `w${++worlds}-${process.pid}`;
  private readonly fixtures = join(this.dir, 'fixtures');
  private readonly plugins: BackendPlugin[] = [];
  private closed = false;

  private constructor(
    private readonly kube: Kube,
    private readonly more: Record<string, unknown>,
  ) {
    writeShellFiles(this.fixtures);
  }

  static async open(kube: Kube, more: Record<string, unknown> = {}): Promise<PodWorld> {
    const world = new PodWorld(kube, more);
    await world.createTemplate();
    return world;
  }

  /** The folder as it is, in every pod. */
  private async createTemplate(): Promise<void> {
    const folder = { name: 'world', mountPath: this.dir };
    const spec = {
      nodeSelector: { type: 'real' },
      containers: [{ name: 'primary', image: 'local/busybox:1', volumeMounts: [folder] }],
      volumes: [{ name: 'world', hostPath: { path: this.dir } }],
    };
    const { status, body } = await this.kube.call('POST', '/api/v1/namespaces/default/podtemplates', {
      apiVersion: 'v1',
      kind: 'PodTemplate',
      metadata: { name: this.name },
      template: { spec },
    });
    if (status !== 201) throw new Error(JSON.stringify(body));
  }

  plugin(): BackendPlugin {
    const config = kubernetesConfigSchema.parse({
      clusters: [{ name: 'test', kubeconfig: this.kube.kubeconfig }],
      owner: this.name,
      namespaceTemplate: `${this.name}-{{ project }}-{{ domain }}`,
      slots: 60,
      graceSeconds: 1,
      pods: {
        podTemplate: this.name,
        podTemplateNamespace: 'default',
        imagePullPolicy: 'IfNotPresent',
        logs: [{ name: 'Output', uri: 'https://logs.test/{{ .namespace }}/{{ .podName }}/{{ .containerName }}' }],
      },
      ...this.more,
    });
    const plugin = createKubernetesBackend(config, { storage: () => ({}) }, testLogger);
    this.plugins.push(plugin);
    return plugin;
  }

  launch(behaviour: Behaviour, { name, generation = 1, ...more }: Partial<LaunchOptions> & { name: string }) {
    const mark = `${name}.${generation}`;
    if (behaviour === 'until-finished') {
      const fifo = join(this.fixtures, `${mark}.fifo`);
      if (!existsSync(fifo)) execFileSync('mkfifo', [fifo]);
    }
    const options: LaunchOptions = {
      name,
      generation,
      outputs: { x: integerType },
      env: { MARK: mark },
      ...more,
      ...(behaviour === 'use-memory' ? { memory: '50Mi' } : {}),
      ...(behaviour === 'run-over-time' ? { executionTimeoutMs: 300 } : {}),
    };
    const folder = this.blob.localPath(`${launchOf(options).outputPrefix}/x`)?.replace(/\/x$/, '') ?? '';
    const script = behaviour === 'be-unstartable' ? '' : scripts[behaviour];
    const line = `mkdir -p "$1"; echo started >> "$2/$MARK.mark"\n${script}`;
    const launch = launchOf({
      ...options,
      args:
        behaviour === 'be-unstartable'
          ? ['no-such-thing', '--flag']
          : ['sh', '-c', line, 'task', folder, this.fixtures],
    });
    if (launch.template?.target?.$case === 'container') launch.template.target.value.image = 'local/busybox:1';
    if (behaviour === 'be-killed') void this.killFromOutside(launch.attempt);
    return launch;
  }

  private async killFromOutside(attempt: TaskAttempt): Promise<void> {
    await this.started(attempt);
    while (!this.closed && (await this.alive(attempt))) {
      for (const pid of this.processesOf(attempt)) process.kill(pid, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async finish(attempt: TaskAttempt): Promise<void> {
    await writeFile(join(this.fixtures, `${attempt.name}.${attempt.generation}.fifo`), 'go\n');
  }

  async started(attempt: TaskAttempt): Promise<void> {
    const mark = join(this.fixtures, `${attempt.name}.${attempt.generation}.mark`);
    await new Promise<void>((resolve) => {
      const watcher = watch(this.fixtures, () => look());
      const look = () => {
        if (!existsSync(mark)) return;
        watcher.close();
        resolve();
      };
      look();
    });
  }

  async starts(attempt: TaskAttempt): Promise<number> {
    const mark = join(this.fixtures, `${attempt.name}.${attempt.generation}.mark`);
    return existsSync(mark) ? readFileSync(mark, 'utf8').trim().split('\n').length : 0;
  }

  async alive(attempt: TaskAttempt): Promise<boolean> {
    return this.processesOf(attempt).length > 0;
  }

  /** Processes of this machine with the attempt's mark in their environment. */
  private processesOf(attempt: TaskAttempt): number[] {
    const wanted = [`MARK=${attempt.name}.${attempt.generation}`, this.dir];
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return (
            readFileSync(`/proc/${pid}/environ`, 'latin1')
              .split('\0')
              .includes(wanted[0] as string) &&
            readFileSync(`/proc/${pid}/mountinfo`, 'latin1').includes(wanted[1] as string)
          );
        } catch {
          return false;
        }
      })
      .map(Number);
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const plugin of this.plugins) await plugin.stop();
    const selector = encodeURIComponent(`aloft.dev/owner=${this.name}`);
    const { body } = await this.kube.call('GET', `/api/v1/pods?labelSelector=${selector}`);
    for (const { metadata } of body.items ?? [])
      await this.kube.call(
        'DELETE',
        `/api/v1/namespaces/${metadata?.namespace}/pods/${metadata?.name}?gracePeriodSeconds=0`,
      );
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
