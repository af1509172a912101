import type { Logger } from '@aloft/telemetry';
import { Backoff } from '../cluster/backoff.js';
import type { ClusterObject } from '../cluster/resource.js';
import type { ObjectKind } from '../kind.js';
import type { Cluster } from './cluster.js';
import type { Followed } from './followed.js';

export interface RemoverOptions {
  remove: 'always' | 'on-success' | 'never';
  graceSeconds: number;
}

/** Deletes the objects of attempts that are over, as the policy says; repeated until the cluster has taken it. */
export class Remover {
  private stopped = false;
  /** Objects that are being deleted, by uid: each once, however long that takes. */
  private readonly deleting = new Set<string>();
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
    if (object && !this.keeps(kind, object, succeeded)) void this.delete(cluster, kind, object);
  }

  stop(): void {
    this.stopped = true;
    for (const over of this.pauses) over();
  }

  async delete(cluster: Cluster, kind: ObjectKind, object: ClusterObject): Promise<void> {
    const uid = object.metadata?.uid ?? '';
    if (this.deleting.has(uid)) return;
    this.deleting.add(uid);
    try {
      await this.repeatedly(cluster, kind, object);
    } finally {
      this.deleting.delete(uid);
    }
  }

  private async repeatedly(cluster: Cluster, kind: ObjectKind, { metadata }: ClusterObject): Promise<void> {
    const { namespace = '', name = '', uid } = metadata ?? {};
    const pauses = new Backoff(500, 60_000);
    const options = { uid, graceSeconds: this.options.graceSeconds };
    while (!this.stopped) {
      try {
        await cluster.clean(() => cluster.client.delete(kind.resource, namespace, name, options));
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
