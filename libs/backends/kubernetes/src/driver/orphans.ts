import type { HostView } from '@aloft/backend-kit';
import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import type { Logger } from '@aloft/telemetry';
import type { ClusterObject } from '../cluster/resource.js';
import type { ObjectKind } from '../kind.js';
import type { Cluster } from './cluster.js';
import { isHeld } from './finalizer.js';
import { attemptOf } from './identity.js';
import type { Remover } from './remover.js';

export interface OrphansOptions {
  everyMs: number;
  afterMs: number;
  clusters: readonly Cluster[];
  host: HostView;
  isFollowed: (attempt: TaskAttempt) => boolean;
  remover: Remover;
  logger: Logger;
}

interface Suspect {
  cluster: Cluster;
  kind: ObjectKind;
  object: ClusterObject;
  attempt: TaskAttempt;
}

/** How many are asked about at once. */
const together = 1_000;

/**
 * Deletes objects of this installation that no host of the backend has an attempt for. It looks at what the watches have told: only
 * what it suspects is asked about, and only what was nobody's at two looks is deleted, if it is still the same object.
 */
export class Orphans {
  private timer: NodeJS.Timeout | undefined;
  private before = new Set<string>();

  constructor(private readonly options: OrphansOptions) {}

  start(): void {
    this.timer = setInterval(() => void this.look(), this.options.everyMs).unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    const { host, remover, logger } = this.options;
    const suspects = this.suspects();
    const nobodys = new Set<string>();
    try {
      for (let at = 0; at < suspects.length; at += together) {
        const some = suspects.slice(at, at + together);
        const held = new Set(await host.held(some.map(({ attempt }) => attempt)));
        for (const suspect of some.filter(({ attempt }) => !held.has(attempt))) {
          const { cluster, kind, object, attempt } = suspect;
          const uid = object.metadata?.uid ?? '';
          if (!this.before.has(uid)) {
            nobodys.add(uid);
            continue;
          }
          logger.warn(
            { cluster: cluster.name, kind: kind.resource.kind, attempt: attempt.name },
            'an object that no attempt knows is deleted',
          );
          void remover.settle(cluster, kind, object, kind.endedWell(object));
        }
      }
    } catch (error) {
      logger.warn({ err: error }, 'objects without an attempt could not be looked for');
    }
    this.before = nobodys;
  }

  private suspects(): Suspect[] {
    const { clusters, afterMs, isFollowed, remover } = this.options;
    const before = Date.now() - afterMs;
    const found: Suspect[] = [];
    for (const cluster of clusters)
      for (const { kind, object } of cluster.objects()) {
        const attempt = attemptOf(object);
        const { creationTimestamp, deletionTimestamp } = object.metadata ?? {};
        // What is being deleted goes by itself, unless it waits for us.
        const held = isHeld(object);
        if (!attempt || isFollowed(attempt) || (deletionTimestamp && !held)) continue;
        if (new Date(creationTimestamp ?? Date.now()).getTime() > before) continue;
        // Kept on purpose.
        if (!held && remover.keeps(kind, object, kind.endedWell(object))) continue;
        found.push({ cluster, kind, object, attempt });
      }
    return found;
  }
}
