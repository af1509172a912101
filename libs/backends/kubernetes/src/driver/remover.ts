import type { Logger } from '@aloft/telemetry';
import { Backoff } from '../cluster/backoff.js';
import type { ClusterObject } from '../cluster/resource.js';
import type { ObjectKind } from '../kind.js';
import type { Cluster } from './cluster.js';
import { isHeld } from './finalizer.js';
import type { Followed } from './followed.js';

export interface RemoverOptions {
  remove: 'always' | 'on-success' | 'never';
  graceSeconds: number;
}

/** Deletes the objects of attempts that are over, as the policy says; repeated until the cluster has taken it. */
export class Remover {
  private stopped = false;
  /** Objects that are being deleted or let go of, by uid: each once, however long that takes. */
  private readonly settling = new Set<string>();
  private readonly pauses = new Set<() => void>();

  constructor(
    private readonly options: RemoverOptions,
    private readonly logger: Logger,
  ) {}

  /** Whether the object of an ended attempt stays. What still runs never does. */
  keeps(kind: ObjectKind, object: ClusterObject, succeeded: boolean): boolean {
    if (kind.lingers(object)) return false;
    return this.options.remove === 'never' || (this.options.remove === 'on-success' && !succeeded);
  }

  over({ cluster, kind, object, succeeded }: Followed): void {
    if (object) void this.settle(cluster, kind, object, succeeded);
  }

  stop(): void {
    this.stopped = true;
    for (const over of this.pauses) over();
  }

  /** Deletes it, or lets go of what stays. */
  async settle(cluster: Cluster, kind: ObjectKind, object: ClusterObject, succeeded: boolean): Promise<void> {
    const { namespace = '', name = '', uid = '' } = object.metadata ?? {};
    const keeps = this.keeps(kind, object, succeeded);
    if (this.settling.has(uid) || (keeps && !isHeld(object))) return;
    this.settling.add(uid);
    const { graceSeconds } = this.options;
    try {
      await this.repeatedly(() =>
        cluster.clean<unknown>(() =>
          keeps ? cluster.release(kind, object) : cluster.delete(kind, namespace, name, { uid, graceSeconds }),
        ),
      );
    } finally {
      this.settling.delete(uid);
    }
  }

  private async repeatedly(work: () => Promise<unknown>): Promise<void> {
    const pauses = new Backoff(500, 60_000);
    while (!this.stopped) {
      try {
        await work();
        return;
      } catch (error) {
        if (this.stopped) return;
        const ms = pauses.next();
        this.logger.warn({ err: error, pause: Math.round(ms) }, 'the object of an ended attempt is not deleted yet');
        await new Promise<void>((resolve) => {
          const timer = setTimeout(() => over(), ms);
          const over = () => {
            clearTimeout(timer);
            this.pauses.delete(over);
            resolve();
          };
          this.pauses.add(over);
        });
      }
    }
  }
}
