import type { Logger } from '@aloft/telemetry';
import PQueue from 'p-queue';
import { Backoff } from '../cluster/backoff.js';
import { ClusterClient } from '../cluster/client.js';
import { type ClusterAccess, Credentials } from '../cluster/credentials.js';
import { Informer } from '../cluster/informer.js';
import type { ClusterObject } from '../cluster/resource.js';
import type { ObjectKind } from '../kind.js';
import { finalizer, isHeld } from './finalizer.js';
import { labels } from './identity.js';
import { Cleaning } from './cleaning.js';
import type { Target } from './placement.js';

export interface ClusterOptions extends Target {
  access: ClusterAccess;
  /** The only namespaces that are watched; empty: all, by one watch. */
  namespaces: readonly string[];
}

/** Milliseconds beyond its grace in which a node has to confirm that what ran there has ended. */
const lostMs = 300_000;

/** What goes first where requests wait for each other; what is over is behind all of them ({@link Cluster.clean}). */
export const urgency = { create: 1, abort: 0 } as const;

const cleaning = { quietMs: 1_000, perSecond: 5, most: 10_000 };

export interface ClusterListener {
  changed(cluster: Cluster, kind: ObjectKind, object: ClusterObject): void;
  gone(cluster: Cluster, kind: ObjectKind, object: ClusterObject): void;
}

/** One cluster: its API, what of ours is in it, and the order of writes. */
export class Cluster {
  private readonly informers = new Map<ObjectKind, Informer[]>();
  private readonly writes: PQueue;
  private readonly cleaning: Cleaning;
  private readonly waiters = new Map<string, Set<() => void>>();

  private constructor(
    readonly target: ClusterOptions,
    readonly client: ClusterClient,
    kinds: readonly ObjectKind[],
    owner: string,
    listener: ClusterListener,
    private readonly logger: Logger,
  ) {
    const { connections } = target.access;
    this.writes = new PQueue({ concurrency: connections });
    this.cleaning = new Cleaning(this.writes, { ...cleaning, concurrency: Math.ceil(connections / 2) });
    for (const kind of kinds)
      this.informers.set(
        kind,
        this.scopes.map(
          (namespace) =>
            new Informer({
              client,
              resource: kind.resource,
              namespace,
              labelSelector: `${labels.owner}=${owner}`,
              logger,
              slim: (object) => kind.slim(object),
              onChanged: (object) => {
                // What a deletion changes is no work that goes on: each would hold up the next one.
                if (!object.metadata?.deletionTimestamp) this.cleaning.hold();
                listener.changed(this, kind, object);
              },
              onGone: (object) => {
                this.tellGone(kind, object);
                listener.gone(this, kind, object);
              },
            }),
        ),
      );
  }

  static async open(
    target: ClusterOptions,
    kinds: readonly ObjectKind[],
    owner: string,
    listener: ClusterListener,
    logger: Logger,
  ): Promise<Cluster> {
    const client = new ClusterClient(target.name, await Credentials.load(target.access));
    return new Cluster(target, client, kinds, owner, listener, logger);
  }

  /** Namespaces that are looked at; `undefined`: all. */
  get scopes(): readonly (string | undefined)[] {
    const { namespaces } = this.target;
    return namespaces.length > 0 ? namespaces : [undefined];
  }

  get name(): string {
    return this.target.name;
  }

  start(): void {
    for (const informer of this.everyInformer()) informer.start();
  }

  /** Resolves when all of ours that is there was seen once. */
  async synced(): Promise<void> {
    await Promise.all([...this.everyInformer()].map((informer) => informer.synced()));
  }

  get isSynced(): boolean {
    return [...this.everyInformer()].every((informer) => informer.isSynced);
  }

  /** Milliseconds for which it could not be watched; `undefined` while it can. */
  get troubleMs(): number | undefined {
    const trouble = [...this.everyInformer()].flatMap(({ troubleMs }) => (troubleMs === undefined ? [] : [troubleMs]));
    return trouble.length > 0 ? Math.max(...trouble) : undefined;
  }

  async stop(): Promise<void> {
    this.writes.clear();
    this.cleaning.stop();
    await Promise.all([...this.everyInformer()].map((informer) => informer.stop()));
    this.client.close();
  }

  find(kind: ObjectKind, namespace: string, name: string): ClusterObject | undefined {
    for (const informer of this.informers.get(kind) ?? []) {
      const found = informer.get(namespace, name);
      if (found) return found;
    }
    return undefined;
  }

  *objects(): IterableIterator<{ kind: ObjectKind; object: ClusterObject }> {
    for (const [kind, informers] of this.informers)
      for (const informer of informers) for (const object of informer.all()) yield { kind, object };
  }

  write<T>(work: () => Promise<T>, priority: number): Promise<T> {
    return this.writes.add(work, { priority });
  }

  /** For what nobody waits for. */
  clean<T>(work: () => Promise<T>): Promise<T> {
    return this.cleaning.add(work);
  }

  /**
   * Deletes it; resolves when it is there no more, and with it whatever it ran. The watch tells; it is asked for, ever less often,
   * where the watch does not. A node that has not confirmed it in five minutes is lost: it ends its pods itself if it ever comes back.
   */
  async remove(
    kind: ObjectKind,
    namespace: string,
    name: string,
    options: { graceSeconds: number; uid?: string | undefined; priority: number },
  ): Promise<void> {
    const { graceSeconds, uid, priority } = options;
    const key = `${kind.resource.kind} ${namespace}/${name}`;
    let told!: () => void;
    const gone = new Promise<boolean>((resolve) => (told = () => resolve(true)));
    const waiting = this.waiters.get(key) ?? new Set();
    this.waiters.set(key, waiting.add(told));
    try {
      const there = await this.write(() => this.delete(kind, namespace, name, { graceSeconds, uid }), priority);
      if (!there) return;
      const pauses = new Backoff(2_000 + graceSeconds * 1_000, 30_000);
      const lostAt = performance.now() + graceSeconds * 1_000 + lostMs;
      while (performance.now() < lostAt) {
        if (await Promise.race([gone, after(pauses.next())])) return;
        const now = await this.lookFor(kind, namespace, name);
        if (!now || (uid !== undefined && now.metadata?.uid !== uid)) return;
      }
      this.logger.warn(
        { cluster: this.name, object: key },
        'its node does not confirm the end of an object; it counts as ended',
      );
    } finally {
      waiting.delete(told);
      if (waiting.size === 0) this.waiters.delete(key);
    }
  }

  /** Asks for its deletion, and lets go of it; resolves `false` if there was none (any more). Whoever waits for requests in order calls this. */
  async delete(
    kind: ObjectKind,
    namespace: string,
    name: string,
    options: { graceSeconds: number; uid?: string | undefined },
  ): Promise<boolean> {
    const left = await this.client.delete(kind.resource, namespace, name, options);
    if (left && isHeld(left)) await this.release(kind, left);
    return left !== undefined;
  }

  /** Whoever deletes it, or has deleted it, need not wait for us any more. */
  release({ resource }: ObjectKind, object: ClusterObject): Promise<void> {
    return this.client.release(resource, finalizer, object);
  }

  /** Asks for it; `undefined` if there is none. */
  async lookFor(kind: ObjectKind, namespace: string, name: string): Promise<ClusterObject | undefined> {
    try {
      return kind.slim(await this.client.get(kind.resource, namespace, name));
    } catch (error) {
      if ((error as { code?: string }).code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  private tellGone({ resource }: ObjectKind, { metadata }: ClusterObject): void {
    const key = `${resource.kind} ${metadata?.namespace}/${metadata?.name}`;
    for (const tell of this.waiters.get(key) ?? []) tell();
  }

  private *everyInformer(): IterableIterator<Informer> {
    for (const informers of this.informers.values()) yield* informers;
  }
}

function after(ms: number): Promise<false> {
  return new Promise((resolve) => setTimeout(() => resolve(false), ms).unref());
}
