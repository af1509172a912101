import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackendHost, type BackendHostOptions, type BackendPlugin } from '@aloft/backend-kit';
import { launchOf, type LaunchOptions, MemoryBus, MemoryWorkStore } from '@aloft/backend-kit/testing';
import { createLocalBlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import type { V1Pod } from '@kubernetes/client-node';
import { createKubernetesBackend, kubernetesConfigSchema } from '../index.js';
import { FaultyProxy } from './faulty-proxy.js';
import type { Kube } from './kube.js';
import { testLogger } from './pod-world.js';

let worlds = 0;

/** One host after another over one table and bus, with pods on nodes that only pretend, through a proxy that may fail. */
export class FakeWorld {
  readonly name = `k${++worlds}-${process.pid}`;
  readonly bus = new MemoryBus();
  readonly store = new MemoryWorkStore();
  readonly dir = mkdtempSync(join(tmpdir(), 'aloft-kwok-'));
  readonly blob = createLocalBlobStore({ dir: join(this.dir, 'blob'), durable: false });
  readonly namespace = `${this.name}-flytesnacks-development`;
  host: BackendHost | undefined;
  private plugin: BackendPlugin | undefined;

  private constructor(
    readonly kube: Kube,
    readonly proxy: FaultyProxy,
  ) {}

  static async open(kube: Kube): Promise<FakeWorld> {
    const dir = mkdtempSync(join(tmpdir(), 'aloft-proxy-'));
    return new FakeWorld(kube, await FaultyProxy.open(kube, dir));
  }

  /** A new process: its own plugin over the same clusters. */
  async start(config: Record<string, unknown> = {}, host: Partial<BackendHostOptions> = {}): Promise<void> {
    const { pods, ...rest } = config as { pods?: object };
    const parsed = kubernetesConfigSchema.parse({
      clusters: [{ name: 'test', kubeconfig: this.proxy.kubeconfig }],
      owner: this.name,
      namespaceTemplate: `${this.name}-{{ project }}-{{ domain }}`,
      graceSeconds: 1,
      ...rest,
      pods: { nodeSelector: { type: 'kwok' }, ...pods },
    });
    this.plugin = createKubernetesBackend(parsed, { storage: () => ({}) }, testLogger);
    this.host = new BackendHost({
      plugin: this.plugin,
      bus: this.bus,
      database: undefined as unknown as Database,
      store: this.store,
      blob: this.blob,
      logger: testLogger,
      name: 'host-1',
      relaunchMs: { first: 20, longest: 200 },
      reports: { backoffMs: { first: 5, longest: 50 }, timeoutMs: 1_000, coalesceMs: 5 },
      ...host,
    });
    await this.host.start();
  }

  /** The process dies: nothing of it is called in an orderly way, and nothing of it hears anything any more. */
  async kill(): Promise<void> {
    this.bus.detach();
    this.host?.vanish();
    await this.plugin?.stop();
    this.host = this.plugin = undefined;
  }

  /** `behaviour`, `waiting`, `run-for`: what its node does with it (tools/infra/kwok/stages.yaml). */
  launch(name: string, annotations: Record<string, string> = {}, more: Partial<LaunchOptions> = {}) {
    const launch = launchOf({ name, ...more });
    launch.annotations = Object.fromEntries(
      Object.entries(annotations).map(([key, value]) => [`test.aloft.dev/${key}`, value]),
    );
    return launch;
  }

  async pods(): Promise<V1Pod[]> {
    const selector = encodeURIComponent(`aloft.dev/owner=${this.name}`);
    return (await this.kube.call('GET', `/api/v1/pods?labelSelector=${selector}`)).body.items ?? [];
  }

  /** Looks until it is as wanted; for what has no event here. */
  async until<T>(look: () => Promise<T | undefined | false>): Promise<T> {
    for (;;) {
      const found = await look();
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async close(): Promise<void> {
    this.proxy.fate = () => 'pass';
    await this.host?.stop();
    await this.kill();
    for (const { metadata } of await this.pods())
      await this.kube.call(
        'DELETE',
        `/api/v1/namespaces/${metadata?.namespace}/pods/${metadata?.name}?gracePeriodSeconds=0`,
      );
    await this.proxy.close();
    await rm(this.dir, { recursive: true, force: true, maxRetries: 5 });
  }
}
