import { unavailable } from '@aloft/errors';
import type { BatchCalls } from '../client/batch-calls.js';
import type { Described, Describer } from './describer.js';
import { jobIdOf, type BatchJob } from './handle.js';

interface Wanted {
  job: BatchJob;
  reason: string;
  done(): void;
  failed(error: unknown): void;
}

export interface TerminatorOptions {
  calls: Pick<BatchCalls, 'terminate'>;
  describer: Describer;
  /** Milliseconds that an ended job has until nothing of it runs. */
  endMs: number;
}

/** Ends of children of one array that come within this time are looked at together. */
const gatherMs = 100;
const firstLookMs = 100;
const longestLookMs = 5_000;

/**
 * Ends jobs, and says so when nothing of them runs any more. Where all that is left of an array job is to end, that is one call.
 */
export class Terminator {
  private readonly gathering = new Map<string, Wanted[]>();

  constructor(private readonly options: TerminatorOptions) {}

  /** @throws UNAVAILABLE where the job still ran after `endMs` */
  async end(job: BatchJob, reason: string): Promise<void> {
    if (job.child === undefined) await this.options.calls.terminate(job.id, reason);
    else await new Promise<void>((resolve, reject) => this.gather({ job, reason, done: resolve, failed: reject }));
    await this.gone(jobIdOf(job));
  }

  private gather(wanted: Wanted): void {
    const { id } = wanted.job;
    const known = this.gathering.get(id);
    if (known) {
      known.push(wanted);
      return;
    }
    const all = [wanted];
    this.gathering.set(id, all);
    setTimeout(() => {
      this.gathering.delete(id);
      void this.endChildren(id, all);
    }, gatherMs);
  }

  private async endChildren(id: string, all: readonly Wanted[]): Promise<void> {
    try {
      if (await this.isRest(id, all)) {
        await this.options.calls.terminate(id, all[0]?.reason ?? '');
        for (const { done } of all) done();
        return;
      }
    } catch (error) {
      for (const { failed } of all) failed(error);
      return;
    }
    await Promise.all(
      all.map(({ job, reason, done, failed }) => this.options.calls.terminate(jobIdOf(job), reason).then(done, failed)),
    );
  }

  /** Whether these are all children that have not ended: others may be attempts that go on, perhaps of another host. */
  private async isRest(id: string, all: readonly Wanted[]): Promise<boolean> {
    const { describer } = this.options;
    const children = new Map(all.map(({ job }) => [jobIdOf(job), job]));
    if (children.size < 2) return false;
    const parent = (await describer.describe([id])).get(id);
    if (!parent?.array) return false;
    const { size, counts } = parent.array;
    if (children.size >= size) return true;
    const left = size - (counts['SUCCEEDED'] ?? 0) - (counts['FAILED'] ?? 0);
    if (children.size < left) return false;
    const described = await describer.describe(children.keys());
    return [...described.values()].filter((child) => !hasEnded(child)).length >= left;
  }

  private async gone(id: string): Promise<void> {
    const { describer, endMs } = this.options;
    const until = performance.now() + endMs;
    for (let pause = firstLookMs; ; pause = Math.min(pause * 1.5, longestLookMs)) {
      describer.forget(id);
      const job = (await describer.describe([id])).get(id);
      if (!job || hasEnded(job)) return;
      if (performance.now() > until)
        throw unavailable(
          `AWS Batch has not ended the job ${id} within ${Math.round(endMs / 1000)} s of being told to`,
        );
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

export const hasEnded = ({ status }: Pick<Described, 'status'>): boolean =>
  status === 'SUCCEEDED' || status === 'FAILED';
