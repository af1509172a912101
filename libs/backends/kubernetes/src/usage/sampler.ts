import type { Logger } from '@aloft/telemetry';
import type { V1Pod } from '@kubernetes/client-node';
import type { Cluster } from '../driver/cluster.js';
import type { Followed } from '../driver/followed.js';
import { labels } from '../driver/identity.js';
import { pathOf, pods } from '../cluster/resource.js';
import { statusOf, timeOf } from '../pod/containers.js';
import type { UsageSource } from './sources.js';

export interface SamplerOptions {
  source: UsageSource;
  everyMs: number;
  owner: string;
  clusters: readonly Cluster[];
  /** Attempts of a cluster that are looked after. */
  followedOn: (cluster: Cluster) => Iterable<Followed>;
  logger: Logger;
}

/** Milliseconds until a cluster is asked again that has no such figures, or does not give them to us. */
const withoutMs = 600_000;

/** Pods that an operator made of an object of ours. */
const operatorsPods = `${labels.attempt},!${labels.owner}`;

interface Running {
  followed: Followed;
  pod: V1Pod;
}

/** Looks now and then at what the running pods of attempts use. Nobody is asked while none runs; a cluster that has no figures has none. */
export class UsageSampler {
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private readonly notBefore = new Map<string, number>();

  constructor(private readonly options: SamplerOptions) {}

  start(): void {
    this.timer = setTimeout(() => void this.lookAndGoOn(), this.options.everyMs).unref();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private async lookAndGoOn(): Promise<void> {
    await Promise.all(this.options.clusters.map((cluster) => this.look(cluster)));
    if (!this.stopped) this.start();
  }

  private async look(cluster: Cluster): Promise<void> {
    const { source, logger, owner } = this.options;
    if ((this.notBefore.get(cluster.name) ?? 0) > performance.now()) return;
    try {
      const { running, selectors } = await this.runningOn(cluster);
      if (running.size === 0) return;
      const nodes = new Set([...running.values()].flatMap(({ pod }) => pod.spec?.nodeName ?? []));
      const own = `${labels.owner}=${owner}`;
      const { scopes: namespaces } = cluster;
      for (const sample of await source.read(cluster.client, { selectors: [own, ...selectors], namespaces, nodes })) {
        const found = running.get(`${sample.namespace}/${sample.pod}`);
        if (found) found.followed.use.add(sample, startOf(found.pod, sample.container));
      }
    } catch (error) {
      const about = { err: error, cluster: cluster.name, source: source.name };
      if (!['NOT_FOUND', 'PERMISSION_DENIED'].includes((error as { code?: string }).code ?? ''))
        return void logger.debug(about, 'what pods use could not be looked at');
      this.notBefore.set(cluster.name, performance.now() + withoutMs);
      logger.info(about, 'the cluster does not tell what pods use: what they requested counts');
    }
  }

  /** By namespace and name. */
  private async runningOn(cluster: Cluster) {
    const running = new Map<string, Running>();
    const jobs = new Map<string, Followed>();
    for (const followed of this.options.followedOn(cluster)) {
      const { kind, object, namespace, name, launch } = followed;
      if (!object || followed.state !== 'live') continue;
      if (kind.resource !== pods) jobs.set(`${namespace}/${launch.attempt.name}`, followed);
      else if (runs(object as V1Pod)) running.set(`${namespace}/${name}`, { followed, pod: object as V1Pod });
    }
    if (jobs.size === 0) return { running, selectors: [] };
    for (const namespace of new Set([...jobs.values()].map((followed) => followed.namespace))) {
      const query = { labelSelector: operatorsPods, fieldSelector: 'status.phase=Running' };
      for await (const object of cluster.client.every(pathOf(pods, namespace), query)) {
        const pod = object as V1Pod;
        const followed = jobs.get(`${namespace}/${pod.metadata?.labels?.[labels.attempt]}`);
        if (followed) running.set(`${namespace}/${pod.metadata?.name}`, { followed, pod });
      }
    }
    return { running, selectors: [operatorsPods] };
  }
}

const runs = ({ status }: V1Pod): boolean => status?.phase === 'Running';

const startOf = (pod: V1Pod, container: string): number | undefined =>
  timeOf(statusOf(pod, container)?.state?.running?.startedAt);
