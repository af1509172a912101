import { setTimeout as delay } from 'node:timers/promises';
import {
  type AttemptContext,
  attemptKey,
  type BackendPlugin,
  type Capacity,
  failure,
  type HeldAttempt,
  type HostView,
  storeInputs,
} from '@aloft/backend-kit';
import { type AloftError, failedPrecondition, toAloftError, unavailable } from '@aloft/errors';
import type { LaunchTask, TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import type { Logger } from '@aloft/telemetry';
import { Refusal } from '../cluster/refusal.js';
import type { ClusterObject } from '../cluster/resource.js';
import type { Launch, ObjectKind } from '../kind.js';
import { UsageSampler } from '../usage/sampler.js';
import type { UsageSource } from '../usage/sources.js';
import { Cluster, urgency, type ClusterOptions } from './cluster.js';
import { Creations } from './creations.js';
import { Followed } from './followed.js';
import { attemptOf, identityOf, objectName } from './identity.js';
import { Orphans } from './orphans.js';
import { encodeMemory, memoryIn } from './memory.js';
import { choose, eligible } from './placement.js';
import { Remover } from './remover.js';

/** Where the objects of one project and domain are made. */
export interface Namespaces {
  /** @throws INVALID_ARGUMENT for what is no namespace's name */
  nameFor(launch: Pick<LaunchTask, 'attempt' | 'placement'>): string;
  /** Whether two projects or domains never share one. */
  readonly tellProject: boolean;
  /** Resolves when it is there, with whatever belongs into it. */
  prepare(cluster: Cluster, launch: Launch, namespace: string): Promise<void>;
}

export interface KubernetesBackendOptions {
  /** Installations of the platform that share a cluster differ in it: it is the label by which objects are found. */
  owner: string;
  clusters: readonly ClusterOptions[];
  kinds: readonly ObjectKind[];
  namespaces: Namespaces;
  /** Attempts in flight at once. */
  slots: number;
  /** Seconds between SIGTERM and SIGKILL of what is aborted. */
  graceSeconds: number;
  /** Whether objects of attempts that ended are deleted. */
  remove: 'always' | 'on-success' | 'never';
  /** Whether pods that somebody deletes stay until their end was seen. */
  finalizers: boolean;
  /** Milliseconds between two looks for objects of ours that no attempt knows, and for how long one has to have been there. */
  orphans: { everyMs: number; afterMs: number };
  /** Who is asked what running pods use, every so many milliseconds; without a source what they requested counts. */
  usage: { source?: UsageSource | undefined; everyMs: number };
}

/** Milliseconds that clusters which do not answer are waited for at the start, once another does. */
const patienceMs = 10_000;

/** The driver of the level "object and status": see README.md. */
export class KubernetesBackend implements BackendPlugin {
  readonly name = 'kubernetes';
  readonly reach = 'anywhere';
  readonly launches: 'offered' | 'stored';
  private clusters: Cluster[] = [];
  private readonly followed = new Map<string, Followed>();
  private readonly creations: Creations;
  private readonly remover: Remover;
  private orphans: Orphans | undefined;
  private sampler: UsageSampler | undefined;
  private stopped = false;

  constructor(
    private readonly options: KubernetesBackendOptions,
    private readonly logger: Logger,
  ) {
    // An object's name is the attempt's, so that it is found by whoever makes it again; where there is more than one cluster, which of them
    // has it is written down first.
    this.launches = options.clusters.length > 1 ? 'stored' : 'offered';
    this.creations = new Creations(options, logger);
    this.remover = new Remover(options, logger);
  }

  capacity(): Capacity {
    return { slots: this.options.slots };
  }

  refuse(launch: LaunchTask): string | undefined {
    const kind = this.kindOf(launch);
    if (!kind)
      return (
        `Tasks of type "${launch.template?.type}" have neither a container nor a pod that could run on Kubernetes; ` +
        `objects of these kinds can be made: ${this.options.kinds.map(({ resource }) => resource.kind).join(', ')}.`
      );
    this.options.namespaces.nameFor(launch);
    return kind.refuse(launch);
  }

  noPlace({ placement }: LaunchTask): string | undefined {
    const { clusters } = this.options;
    if (eligible(clusters, placement).length > 0) return undefined;
    const { clusterLabel = '', clusterPool = '' } = placement ?? {};
    return (
      `No cluster takes runs with the cluster label "${clusterLabel}" and pool "${clusterPool}"; there are ` +
      `${clusters.map(({ name, labels, pools }) => `${name} (labels ${labels.join(', ') || 'none'}; pools ${pools.join(', ') || 'none'})`).join('; ')}.`
    );
  }

  async start(host?: HostView): Promise<void> {
    const { clusters, kinds, owner } = this.options;
    const listener = { changed: this.changed.bind(this), gone: this.gone.bind(this) };
    this.clusters = await Promise.all(
      clusters.map((cluster) => Cluster.open(cluster, kinds, owner, listener, this.logger)),
    );
    for (const cluster of this.clusters) cluster.start();
    // With one cluster nothing can be done before it answers; of several, one that is away holds up the others for a moment only.
    const synced = this.clusters.map((cluster) => cluster.synced());
    const all = Promise.all(synced);
    if (this.clusters.length > 1) await Promise.race(synced);
    await Promise.race([all, ...(this.clusters.length > 1 ? [delay(patienceMs, undefined, { ref: false })] : [])]);
    this.sample();
    if (!host) return;
    const { remover, logger, options } = this;
    const isFollowed = (attempt: TaskAttempt) => this.followed.has(keyOf(attempt));
    this.orphans = new Orphans({ ...options.orphans, clusters: this.clusters, host, isFollowed, remover, logger });
    this.orphans.start();
  }

  private sample(): void {
    const { owner, usage } = this.options;
    if (!usage.source) return;
    const followedOn = (cluster: Cluster) => [...this.followed.values()].filter((each) => each.cluster === cluster);
    const { clusters, logger } = this;
    this.sampler = new UsageSampler({
      source: usage.source,
      everyMs: usage.everyMs,
      owner,
      clusters,
      followedOn,
      logger,
    });
    this.sampler.start();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    for (const followed of this.followed.values()) followed.close();
    this.orphans?.stop();
    this.sampler?.stop();
    this.remover.stop();
    await Promise.all(this.clusters.map((cluster) => cluster.stop()));
  }

  async launch(given: LaunchTask, context: AttemptContext): Promise<void> {
    const launch = given as Launch;
    const known = this.followed.get(keyOf(launch.attempt));
    if (known?.object || known?.creating) return;
    const followed = known ?? (await this.follow(launch, context));
    if (followed) await this.make(followed);
  }

  /** What has an object, or had one that was written down; all of them while a cluster does not say what it has. */
  async begun(attempts: readonly HeldAttempt[]): Promise<string[]> {
    if (this.clusters.some((cluster) => !cluster.isSynced)) return attempts.map(({ key }) => key);
    const there = new Set<string>();
    for (const cluster of this.clusters)
      for (const { object } of cluster.objects()) {
        const attempt = attemptOf(object);
        if (attempt) there.add(attemptKey(attempt));
      }
    return attempts.flatMap(({ key, remembered }) => (remembered || there.has(key) ? [key] : []));
  }

  async adopt(
    launches: readonly LaunchTask[],
    contextOf: (attempt: TaskAttempt) => AttemptContext,
  ): Promise<TaskAttempt[]> {
    const absent: TaskAttempt[] = [];
    for (const launch of launches as readonly Launch[]) {
      const context = contextOf(launch.attempt);
      const kind = this.kindOf(launch);
      const given = memoryIn(context.remembered).cluster;
      const cluster = given === undefined ? this.onlyCluster : this.named(given);
      if (given !== undefined && !cluster) {
        context.report(clusterGone(given));
        continue;
      }
      // Whether it exists although it was not seen is found out by its launch: it is made under the same name.
      const object = kind && cluster?.find(kind, this.namespaceOf(launch), this.nameOf(launch.attempt));
      if (!object || !kind || !cluster) absent.push(launch.attempt);
      else this.add(launch, context, kind, cluster).see(object);
    }
    return absent;
  }

  async abort(attempt: TaskAttempt, reason: string, remembered?: Uint8Array): Promise<void> {
    const key = keyOf(attempt);
    const followed = this.followed.get(key);
    followed?.tellUse();
    followed?.close();
    const { graceSeconds } = this.options;
    const priority = urgency.abort;
    const work: Promise<void>[] = [];
    if (followed) {
      const { cluster, kind, namespace, name, object } = followed;
      work.push(cluster.remove(kind, namespace, name, { graceSeconds, priority, uid: object?.metadata?.uid }));
    } else work.push(...this.removals(attempt, remembered));
    this.logger.debug({ attempt: attempt.name, reason, objects: work.length }, 'ending an attempt');
    await Promise.all(work);
    if (this.followed.get(key) === followed) this.followed.delete(key);
  }

  async forget(attempts: readonly TaskAttempt[]): Promise<void> {
    for (const attempt of attempts) {
      const key = keyOf(attempt);
      const followed = this.followed.get(key);
      this.followed.delete(key);
      if (followed?.object) this.remover.over(followed);
    }
  }

  /** Of an attempt that this process does not follow: whatever object of it there may be. */
  private removals(attempt: TaskAttempt, remembered: Uint8Array | undefined): Promise<void>[] {
    const { namespaces, kinds, graceSeconds } = this.options;
    const named = this.named(memoryIn(remembered).cluster);
    const namespace = namespaces.nameFor({ attempt, placement: undefined });
    const name = this.nameOf(attempt);
    const places = new Map<string, { cluster: Cluster; kind: ObjectKind; namespace: string }>();
    for (const cluster of named ? [named] : this.clusters)
      for (const kind of kinds) places.set(`${cluster.name} ${kind.resource.kind}`, { cluster, kind, namespace });
    for (const cluster of this.clusters)
      for (const { kind, object } of cluster.objects()) {
        const has = object.metadata?.labels ?? {};
        const ours = Object.entries(identityOf(attempt, this.options.owner)).every(
          ([key, value]) => has[key] === value,
        );
        if (ours)
          places.set(`${cluster.name} ${kind.resource.kind}`, {
            cluster,
            kind,
            namespace: object.metadata?.namespace ?? '',
          });
      }
    return [...places.values()].map((place) =>
      place.cluster.remove(place.kind, place.namespace, name, { graceSeconds, priority: urgency.abort }),
    );
  }

  /** `undefined` if its end was told: the cluster that it was given to is not known any more. */
  private async follow(launch: Launch, context: AttemptContext): Promise<Followed | undefined> {
    const kind = this.kindOf(launch);
    if (!kind) throw failedPrecondition(`nothing here runs tasks of type "${launch.template?.type}"`);
    const given = memoryIn(context.remembered).cluster;
    const cluster = given === undefined ? this.pick(launch) : this.named(given);
    if (!cluster) return void context.report(clusterGone(given ?? ''));
    if (given === undefined && this.clusters.length > 1)
      await context.remember(encodeMemory({ cluster: cluster.name }));
    return this.add(launch, context, kind, cluster);
  }

  /** One that has not answered yet is not chosen: whatever it has of this attempt was remembered. */
  private pick(launch: Launch): Cluster {
    const reachable = this.clusters.filter((cluster) => cluster.isSynced && (cluster.troubleMs ?? 0) < 30_000);
    const candidates = eligible(
      reachable.map((cluster) => ({ ...cluster.target, cluster })),
      launch.placement,
    );
    const chosen = choose(candidates, attemptKey(launch.attempt));
    if (chosen) return chosen.cluster;
    const all = eligible(this.options.clusters, launch.placement);
    const draining = all.filter((target) => target.draining).map(({ name }) => name);
    throw unavailable(
      draining.length === all.length
        ? `the clusters that may have this attempt are being drained: ${draining.join(', ')}`
        : `none of the clusters that may have this attempt can be reached: ${all.map(({ name }) => name).join(', ')}`,
    );
  }

  private add(launch: Launch, context: AttemptContext, kind: ObjectKind, cluster: Cluster): Followed {
    const key = keyOf(launch.attempt);
    this.followed.get(key)?.close();
    const followed = new Followed({
      launch,
      context,
      kind,
      cluster,
      namespace: this.namespaceOf(launch),
      name: this.nameOf(launch.attempt),
      memory: { ...memoryIn(context.remembered), cluster: cluster.name },
      graceSeconds: this.options.graceSeconds,
      reckonMs: 2 * this.options.usage.everyMs,
      onEnded: ({ namespace }) => this.creations.roomIn(cluster, namespace),
    });
    this.followed.set(key, followed);
    return followed;
  }

  private async make(followed: Followed): Promise<void> {
    const { cluster, kind, namespace, name, launch } = followed;
    const creating = new AbortController();
    followed.creating = creating;
    try {
      let seen = cluster.find(kind, namespace, name);
      // It was made before: what is not there now was deleted while nobody looked, and is not made once more.
      if (!seen && followed.made !== undefined) {
        seen = await cluster.lookFor(kind, namespace, name);
        if (!seen) return followed.missing();
      }
      await Promise.all([
        this.options.namespaces.prepare(cluster, launch, namespace),
        seen ? undefined : storeInputs(launch, followed.context.blob),
      ]);
      const object = await this.creations.create(followed, seen, creating.signal);
      if (!object || followed.state !== 'live') return;
      followed.see(followed.object ?? object);
      await this.writeDown(followed, object);
    } catch (error) {
      if (this.stopped) throw unavailable('the backend "kubernetes" was stopped');
      if (error instanceof Refusal && (error.obstacle === 'missing' || error.obstacle === 'beyond'))
        return followed.refuse(explained(error, namespace), error.obstacle);
      throw explained(error, namespace);
    } finally {
      followed.creating = undefined;
    }
  }

  /** That it was made. Whoever cannot write that down goes on all the same: as long as the object is there, it is found by its name. */
  private async writeDown(followed: Followed, { metadata }: ClusterObject): Promise<void> {
    if (followed.made === metadata?.uid) return;
    try {
      await followed.remember({ uid: metadata?.uid });
    } catch (error) {
      followed.context.logger.debug({ err: error }, 'that the object of an attempt was made is not written down');
    }
  }

  private changed(cluster: Cluster, _kind: ObjectKind, object: ClusterObject): void {
    const followed = this.followedOf(object);
    if (followed?.cluster !== cluster) return;
    this.carefully(followed, () => followed.see(object));
  }

  private gone(cluster: Cluster, _kind: ObjectKind, object: ClusterObject): void {
    this.creations.roomIn(cluster, object.metadata?.namespace ?? '');
    const followed = this.followedOf(object);
    if (followed?.cluster !== cluster) return;
    this.carefully(followed, () => followed.lose(object));
  }

  /** One object that cannot be understood is no reason to hear of no others. */
  private carefully(followed: Followed, work: () => void): void {
    try {
      work();
    } catch (error) {
      followed.context.logger.error({ err: error }, 'what the object of an attempt says was not understood');
    }
  }

  private followedOf(object: ClusterObject): Followed | undefined {
    const attempt = attemptOf(object);
    return attempt && this.followed.get(keyOf(attempt));
  }

  private kindOf(launch: LaunchTask): ObjectKind | undefined {
    return this.options.kinds.find((kind) => kind.takes(launch));
  }

  private namespaceOf(launch: Launch): string {
    return this.options.namespaces.nameFor(launch);
  }

  private named(name: string | undefined): Cluster | undefined {
    return this.clusters.find((cluster) => cluster.name === name);
  }

  /** Where there is nothing to be remembered. */
  private get onlyCluster(): Cluster | undefined {
    return this.clusters.length === 1 ? this.clusters[0] : undefined;
  }

  private nameOf(attempt: TaskAttempt): string {
    return objectName(attempt, this.options.namespaces.tellProject);
  }
}

const clusterGone = (name: string) =>
  failure({
    code: 'ClusterGone',
    message: `The attempt was given to the cluster "${name}", which is not configured any more: let a cluster drain before it is removed.`,
    kind: 'SYSTEM',
    retryable: true,
  });

const keyOf = (attempt: TaskAttempt): string => `${attemptKey(attempt)}#${attempt.generation}`;

function explained(thrown: unknown, namespace: string): AloftError {
  const error = toAloftError(thrown);
  if (!(thrown instanceof Refusal) || thrown.status !== 404) return error;
  return failedPrecondition(
    `${error.message}. Create the namespace "${namespace}", or let the platform do so (backends.kubernetes.createNamespaces)`,
    { cause: error },
  );
}
