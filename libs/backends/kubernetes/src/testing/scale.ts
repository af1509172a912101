import { fork } from 'node:child_process';
import { BackendHost } from '@aloft/backend-kit';
import { launchOf, MemoryBus, MemoryWorkStore } from '@aloft/backend-kit/testing';
import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import { notFound } from '@aloft/errors';
import { Envelope, TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { createLogger } from '@aloft/telemetry';
import type { V1Pod } from '@kubernetes/client-node';
import { ClusterClient } from '../cluster/client.js';
import { Credentials } from '../cluster/credentials.js';
import { Informer } from '../cluster/informer.js';
import { pods } from '../cluster/resource.js';
import { createKubernetesBackend, kubernetesConfigSchema } from '../index.js';
import { attemptAnnotation, identityOf } from '../driver/identity.js';
import { podOf } from '../pod/build-pod.js';
import { slimPod } from '../pod/pod-kind.js';
import type { PodOptions } from '../pod/pod-options.js';

export interface Figures {
  seconds: number;
  /** Of the process itself, ms a pod. */
  cpuMs: number;
  /** Largest resident memory of the process. */
  rssMb: number;
}

export interface Load {
  kubeconfig: string;
  tasks: number;
  inFlight: number;
  /** Requests at once. */
  connections: number;
}

const logger = createLogger('scale', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' });

/** The least that could be done: so many of the very pods that the host makes created, so many at once, each until the watch says that it ended. */
export async function bareLoop({ kubeconfig, tasks, inFlight, connections }: Load, run: string): Promise<Figures> {
  const client = new ClusterClient('bare', await Credentials.load({ kubeconfig, connections }));
  await client.apply('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: run } });
  const ends = new Map<string, () => void>();
  const informer = new Informer({
    client,
    resource: pods,
    labelSelector: `bare=${run}`,
    logger,
    slim: (object) => slimPod(object as V1Pod),
    onChanged: ({ metadata, status }) => {
      if ((status as V1Pod['status'])?.phase === 'Succeeded') ends.get(metadata?.name ?? '')?.();
    },
    onGone: () => undefined,
  });
  informer.start();
  await informer.synced();
  const { pods: podOptions } = configOf(kubeconfig, connections, run, inFlight);
  const began = performance.now();
  let next = 0;
  const creating = gate(connections);
  const worker = async () => {
    while (next < tasks) {
      const launch = launchOf({ name: nameOf(next++) });
      const { name } = launch.attempt;
      const ended = new Promise<void>((resolve) => ends.set(name, resolve));
      const pod = podOf(launch, podOptions as PodOptions);
      await creating(() =>
        client.create(pods, run, {
          ...pod,
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: {
            ...pod.metadata,
            name,
            labels: { ...pod.metadata?.labels, ...identityOf(launch.attempt, run), bare: run },
            annotations: {
              ...pod.metadata?.annotations,
              [attemptAnnotation]: JSON.stringify(TaskAttempt.toJSON(launch.attempt)),
            },
          },
        }),
      );
      await ended;
      ends.delete(name);
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, tasks) }, worker));
  const seconds = (performance.now() - began) / 1000;
  const cpuMs = cpu(tasks);
  await informer.stop();
  client.close();
  return { seconds, cpuMs, rssMb: largest() };
}

function configOf(kubeconfig: string, connections: number, run: string, slots: number) {
  return kubernetesConfigSchema.parse({
    clusters: [{ name: 'test', kubeconfig, connections }],
    owner: run,
    namespaceTemplate: `${run}-{{ project }}-{{ domain }}`,
    slots,
    pods: { nodeSelector: { type: 'kwok' } },
  });
}

/** Storage that takes everything and has nothing: it is the cluster that is measured, not a disk. */
const emptyStorage = {
  put: async (uri: string) => ({ uri, size: 0, etag: '', lastModified: new Date(), metadata: {} }),
  get: async (uri: string) => {
    throw notFound(`${uri} is not there`);
  },
  head: async () => undefined,
  list: async function* () {},
} as unknown as BlobStore;

const nothing = Envelope.fromPartial({});

/** The rows' commands are a database's, not this process's. */
class ElsewhereStore extends MemoryWorkStore {
  override add(...[tx, holder, rows]: Parameters<MemoryWorkStore['add']>) {
    return super.add(
      tx,
      holder,
      rows.map((row) => ({ ...row, command: nothing })),
    );
  }
}

/** Commands in one batch, as a bus brings them. */
const together = 500;

async function giveAll(bus: MemoryBus, tasks: number): Promise<void> {
  for (let from = 0; from < tasks; from += together) {
    const count = Math.min(together, tasks - from);
    await bus.command(...Array.from({ length: count }, (_, i) => ({ launch: launchOf({ name: nameOf(from + i) }) })));
  }
}

/** The same pods as attempts of a backend host, from the command to the acknowledged end. */
export async function throughHost({ kubeconfig, tasks, inFlight, connections }: Load, run: string): Promise<Figures> {
  const config = configOf(kubeconfig, connections, run, inFlight);
  const bus = new MemoryBus();
  const host = new BackendHost({
    plugin: createKubernetesBackend(config, { storage: () => ({}) }, logger),
    bus,
    database: undefined as unknown as Database,
    store: new ElsewhereStore(),
    blob: emptyStorage,
    logger,
    name: 'host-1',
  });
  await host.start();
  const began = performance.now();
  void giveAll(bus, tasks);
  let ended = 0;
  await bus.until(() => {
    // Reports are looked at once: this is not to be what is measured.
    for (const { outcome } of bus.reports.splice(0)) if (outcome) ended++;
    return ended >= tasks ? true : undefined;
  });
  const seconds = (performance.now() - began) / 1000;
  const [rssMb, cpuMs] = [largest(), cpu(tasks)];
  await host.stop();
  return { seconds, cpuMs, rssMb };
}

const nameOf = (task: number): string => `run1-n${task}-0`;

function cpu(tasks: number): number {
  const { user, system } = process.cpuUsage();
  return Number(((user + system) / 1000 / tasks).toFixed(2));
}

const largest = () => Math.round(process.resourceUsage().maxRSS / 1024);

function gate(atOnce: number) {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    running++;
    try {
      return await work();
    } finally {
      running--;
      waiting.shift()?.();
    }
  };
}

/** One of them in a process of its own, so that its memory is its own. */
function apart(what: 'bare' | 'host', load: Load, run: string): Promise<Figures> {
  return new Promise((resolve, reject) => {
    const child = fork(import.meta.filename, [what, JSON.stringify(load), run]);
    child.once('message', (figures) => resolve(figures as Figures));
    child.once('exit', (code) => reject(new Error(`${what} ended with code ${code}`)));
  });
}

/**
 * `node dist/testing/scale.js <kubeconfig> [tasks] [in flight] [rounds]`: both, by turns, on a cluster with kwok's nodes; prints a line
 * of JSON a round.
 */
async function main([what = '', first = '', second = '', third = '']: string[]): Promise<void> {
  if (what === 'bare' || what === 'host') {
    const load = JSON.parse(first) as Load;
    const figures = await (what === 'bare' ? bareLoop(load, second) : throughHost(load, second));
    process.send?.(figures);
    return void setTimeout(() => process.exit(0), 100);
  }
  const load = { kubeconfig: what, tasks: Number(first || 10_000), inFlight: Number(second || 1_000), connections: 32 };
  for (let round = 0; round < Number(third || 1); round++) {
    const run = `${process.pid}-${round}`;
    const bare = await apart('bare', load, `bare-${run}`);
    const host = await apart('host', load, `host-${run}`);
    const share = Number((host.seconds / bare.seconds).toFixed(3));
    console.log(JSON.stringify({ ...load, kubeconfig: undefined, bare, host, times: share }));
  }
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
