import { WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { failedPrecondition, unavailable } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { Backoff } from '../cluster/backoff.js';
import { Refusal } from '../cluster/refusal.js';
import { type ClusterObject, pods } from '../cluster/resource.js';
import { type Cluster, urgency } from './cluster.js';
import { finalizer, isHeld } from './finalizer.js';
import type { Followed } from './followed.js';
import { attemptAnnotation, identityOf, isOf } from './identity.js';

/** Milliseconds of pauses while a quota or the server's own limits are in the way; room that is seen to come ends them earlier. */
const pausesMs = { first: 500, longest: 30_000 };
/** Milliseconds for which something that is missing may be on its way: accounts are made a moment after their namespace. */
const settlingMs = 10_000;

/** Makes the objects of attempts, each once whoever asks, and waits where the cluster has no room for them. */
export class Creations {
  /** Of one namespace, in the order of arrival. */
  private readonly waiting = new Map<string, Set<() => void>>();

  constructor(
    private readonly options: { owner: string; finalizers: boolean },
    private readonly logger: Logger,
  ) {}

  /** Something ended there: whoever has waited longest tries again. */
  roomIn(cluster: Cluster, namespace: string): void {
    const [first] = this.waiting.get(`${cluster.name}/${namespace}`) ?? [];
    first?.();
  }

  /**
   * The attempt's object, `seen` or made now; `undefined` if nobody wants it any more.
   * @throws Refusal whose obstacle is `missing` or `beyond`, where the run's routing says that what has no place fails
   */
  async create(
    followed: Followed,
    seen: ClusterObject | undefined,
    signal: AbortSignal,
  ): Promise<ClusterObject | undefined> {
    const { cluster, kind, namespace, name, launch } = followed;
    if (seen) return this.adopted(followed, seen);
    const object = this.marked(await kind.build(launch, { client: cluster.client, namespace, name }), followed);
    const settledAt = performance.now() + settlingMs;
    const pauses = new Backoff(pausesMs.first, pausesMs.longest);
    while (!signal.aborted) {
      try {
        const made = await cluster.write(
          async () => (signal.aborted ? undefined : cluster.client.create(kind.resource, namespace, object)),
          urgency.create,
        );
        return made && kind.slim(made);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        if (error.code === 'ALREADY_EXISTS') {
          const there = await cluster.lookFor(kind, namespace, name);
          if (there) return this.adopted(followed, there);
        } else if (!launch.route?.waits && isPlaceless(error, settledAt)) throw error;
        else if (error.obstacle) await this.room(followed, error, pauses.next(), signal);
        else throw error;
      }
    }
    return undefined;
  }

  private marked(object: ClusterObject, { kind, namespace, name, launch }: Followed): ClusterObject {
    const { apiVersion, kind: type } = kind.resource;
    const { metadata } = object;
    return {
      ...object,
      apiVersion,
      kind: type,
      metadata: {
        ...metadata,
        name,
        namespace,
        ...(this.options.finalizers && kind.resource === pods
          ? { finalizers: [...(metadata?.finalizers ?? []), finalizer] }
          : {}),
        labels: { ...metadata?.labels, ...identityOf(launch.attempt, this.options.owner) },
        annotations: {
          ...metadata?.annotations,
          [attemptAnnotation]: JSON.stringify(TaskAttempt.toJSON(launch.attempt)),
        },
      },
    };
  }

  /** It is there already: of this very attempt, or else of another that left it behind. */
  private adopted({ launch, cluster, kind, namespace, name }: Followed, object: ClusterObject): ClusterObject {
    const { deletionTimestamp, labels = {} } = object.metadata ?? {};
    if (isOf(object, launch.attempt, this.options.owner)) {
      // What waits for us tells how it ended.
      if (deletionTimestamp && !isHeld(object))
        throw unavailable(`the earlier ${kind.resource.kind} ${namespace}/${name} is still being deleted`);
      return object;
    }
    const has = Object.entries(identityOf(launch.attempt, this.options.owner)).map(
      ([label]) => `${label}=${labels[label] ?? ''}`,
    );
    throw failedPrecondition(
      `the cluster "${cluster.name}" has a ${kind.resource.kind} ${namespace}/${name} that is not this attempt's (${has.join(', ')}): delete it, or give this installation a namespace of its own`,
    );
  }

  private async room(followed: Followed, refusal: Refusal, pauseMs: number, signal: AbortSignal): Promise<void> {
    const { cluster, namespace, context } = followed;
    const quota = refusal.obstacle === 'quota' || refusal.obstacle === 'beyond';
    const place = refusal.obstacle === 'missing' || refusal.obstacle === 'beyond';
    const ms = Math.max(pauseMs, refusal.retryAfterMs ?? 0);
    context.logger.debug({ err: refusal, pause: Math.round(ms) }, 'the cluster has no room for an attempt');
    followed.tell({
      phase: Phase.WAITING_FOR_RESOURCES,
      waitsFor: quota ? WaitReason_Kind.QUOTA : place ? WaitReason_Kind.CAPACITY : WaitReason_Kind.BACKOFF,
      reason: place ? `Waiting for a place: ${refusal.message}` : refusal.message,
    });
    const key = `${cluster.name}/${namespace}`;
    const waiting = this.waiting.get(key) ?? new Set();
    this.waiting.set(key, waiting);
    await new Promise<void>((resolve) => {
      const go = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', go);
        waiting.delete(go);
        if (waiting.size === 0) this.waiting.delete(key);
        resolve();
      };
      const timer = setTimeout(go, ms);
      signal.addEventListener('abort', go, { once: true });
      if (quota) waiting.add(go);
    });
  }
}

/** Whether it has no place as things are. */
const isPlaceless = ({ obstacle }: Refusal, settledAt: number): boolean =>
  obstacle === 'beyond' || (obstacle === 'missing' && performance.now() > settledAt);
