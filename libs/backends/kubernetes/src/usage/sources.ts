import { parseQuantity } from '@aloft/backend-kit';
import PQueue from 'p-queue';
import type { ClusterClient } from '../cluster/client.js';
import type { Sample } from './measured-use.js';

/** What is looked at. */
export interface Wanted {
  /** Pods by label, in these namespaces (`undefined`: all). */
  selectors: readonly string[];
  namespaces: readonly (string | undefined)[];
  /** Names of nodes that have such pods. */
  nodes: ReadonlySet<string>;
}

/** Where the figures of running containers come from. */
export interface UsageSource {
  readonly name: string;
  read(client: ClusterClient, wanted: Wanted): Promise<Sample[]>;
}

interface PodMetrics {
  metadata: { namespace: string; name: string };
  timestamp: string;
  containers: { name: string; usage: { cpu?: string; memory?: string } }[];
}

/** The metrics API of a cluster that has a metrics server: one request a look, however many pods. */
export const metricsApi: UsageSource = {
  name: 'metrics.k8s.io',
  async read(client, { selectors, namespaces }) {
    const samples: Sample[] = [];
    for (const namespace of namespaces)
      for (const labelSelector of selectors) {
        const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
        const { items } = await client.list(`/apis/metrics.k8s.io/v1beta1${scope}/pods`, { labelSelector });
        for (const item of items as unknown as PodMetrics[]) samples.push(...samplesOf(item));
      }
    return samples;
  },
};

function samplesOf({ metadata: { namespace, name: pod }, timestamp, containers }: PodMetrics): Sample[] {
  const at = new Date(timestamp).getTime();
  return containers.map(({ name: container, usage: { cpu = '0', memory = '0' } }) => ({
    namespace,
    pod,
    container,
    at,
    cpuCores: parseQuantity(cpu),
    memoryBytes: parseQuantity(memory),
  }));
}

/** Nodes asked at once. */
const together = 4;

/** Each node's own figures (`/metrics/resource`, which metrics servers read too), through the API server: one request a node. */
export const kubelets: UsageSource = {
  name: 'kubelet',
  async read(client, { nodes }) {
    const asked = new PQueue({ concurrency: together });
    const tried = await Promise.allSettled(
      [...nodes].map((node) =>
        asked.add(() => client.text(`/api/v1/nodes/${encodeURIComponent(node)}/proxy/metrics/resource`)),
      ),
    );
    const texts = tried.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const [failed] = tried.filter((each) => each.status === 'rejected');
    if (failed && texts.length === 0) throw failed.reason;
    return texts.flatMap(samplesIn);
  },
};

const series =
  /^container_(cpu_usage_seconds_total|memory_working_set_bytes|start_time_seconds)\{([^}]*)\} (\S+)(?: (\d+))?$/;

/** Samples in the text that Prometheus reads. */
export function samplesIn(text: string): Sample[] {
  const found = new Map<string, Partial<Sample>>();
  for (const line of text.split('\n')) {
    const [, what, labels = '', value, at] = series.exec(line) ?? [];
    if (!what) continue;
    const sample = found.get(labels) ?? {};
    found.set(labels, sample);
    const number = Number(value);
    if (what === 'cpu_usage_seconds_total') Object.assign(sample, { cpuSeconds: number, at: Number(at) });
    else if (what === 'memory_working_set_bytes') sample.memoryBytes = number;
    else sample.startedAt = Math.round(number * 1000);
  }
  return [...found].flatMap(([labels, { at, cpuSeconds, memoryBytes = 0, startedAt }]) => {
    const { namespace, pod, container } = Object.fromEntries(
      [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
    ) as Record<string, string>;
    if (!namespace || !pod || !container || cpuSeconds === undefined || !at) return [];
    return [{ namespace, pod, container, at, cpuSeconds, memoryBytes, startedAt }];
  });
}
