import { toAloftError } from '@aloft/errors';
import type { Stream } from '../port.js';
import { isStale, type Cluster } from './client/cluster.js';
import { errorName } from './client/kafkajs.js';
import { streamName } from '../batch.js';

const everyMs = 3_000;
/** A position that did not move is told again after so long, before Kafka forgets it. */
const againMs = 60_000;

interface Kept {
  stream: Stream;
  position: bigint;
  keptAt: number;
  told: bigint | undefined;
  toldAt: number;
}

/** Kafka's name of one of our consumer groups. */
export const mirrorGroup = (group: string): string => `aloft.${group}`;

/**
 * Shows the groups' stored positions as committed offsets of Kafka groups that nobody is a member of, for autoscaling by
 * lag and for Kafka's own tools. Nothing is ever read back from there.
 */
export class ProgressMirror {
  readonly #groups = new Map<string, Map<string, Kept>>();
  #timer: NodeJS.Timeout | undefined;
  #telling: Promise<void> | undefined;
  #closed = false;

  constructor(readonly cluster: Cluster) {}

  keep(group: string, positions: readonly { stream: Stream; position: bigint }[]): void {
    if (this.#closed) return;
    const kept = this.#groups.get(group) ?? new Map<string, Kept>();
    this.#groups.set(group, kept);
    for (const { stream, position } of positions) {
      const name = streamName(stream);
      const known = kept.get(name);
      kept.set(name, { told: undefined, toldAt: 0, ...known, stream, position, keptAt: Date.now() });
    }
    this.#timer ??= setInterval(() => this.#tell(), everyMs).unref();
  }

  /** Tells what is new now instead of at the next round. */
  async flush(): Promise<void> {
    await this.#telling;
    this.#tell();
    await this.#telling;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#telling;
    if (!this.#closed && this.cluster.problem === undefined) await this.flush();
    this.#closed = true;
  }

  #tell(): void {
    this.#telling ??= (async () => {
      for (const [group, kept] of this.#groups) {
        const now = Date.now();
        // Another process may have a stream by now: only what was said again is repeated.
        const news = [...kept.values()].filter(
          ({ position, told, toldAt, keptAt }) => position !== told || (now - toldAt > againMs && keptAt > toldAt),
        );
        if (news.length > 0) await this.#commit(group, news);
      }
    })()
      .catch((error) => this.cluster.log.warn({ err: toAloftError(error) }, 'could not show positions; tried again'))
      .finally(() => (this.#telling = undefined));
  }

  async #commit(group: string, news: readonly Kept[]): Promise<void> {
    const groupId = mirrorGroup(group);
    const any = await this.cluster.any();
    const { errorCode, coordinator } = await any.send('GroupCoordinator', { groupId, coordinatorType: 0 });
    if (errorCode !== 0) throw new Error(`no coordinator of group ${groupId}: ${errorName(errorCode)}`);
    if (!this.cluster.hasBroker(coordinator.nodeId)) await this.cluster.refresh();
    const link = await this.cluster.link(coordinator.nodeId, 'control');
    const told = news.map(({ position }) => position);
    const { responses } = await link.send('OffsetCommit', {
      groupId,
      groupGenerationId: -1,
      memberId: '',
      topics: this.cluster.grouped(
        news.map(({ stream }) => stream),
        ({ partition }, i) => ({ partition, offset: String(told[i]) }),
      ),
    });
    const failed = responses.flatMap(({ partitions }) => partitions).find((part) => part.errorCode !== 0);
    if (failed) {
      if (isStale(failed.errorCode)) await this.cluster.refresh();
      throw new Error(`group ${groupId}: ${errorName(failed.errorCode)}`);
    }
    for (const [i, kept] of news.entries()) {
      const current = this.#groups.get(group)?.get(streamName(kept.stream));
      if (current) Object.assign(current, { told: told[i], toldAt: Date.now() });
    }
  }
}
