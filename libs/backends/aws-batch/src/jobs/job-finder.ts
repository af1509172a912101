import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { arrayOf, arrayVariable, itemsVariable } from '../arrays/item-template.js';
import { childOfIndex } from '../arrays/item-ranges.js';
import { describedAtOnce, type BatchCalls } from '../client/batch-calls.js';
import type { BatchJob } from './handle.js';
import { arraySuffix, jobName, runPrefix } from './names.js';

interface Listing {
  /** Ids by name; of several the youngest. */
  jobs: Map<string, string>;
  arrays: { id: string; of: string; items: string }[];
}

interface Kept {
  /** When Batch was asked, of `performance.now()`; in no time yet before that. */
  at: number;
  listing: Promise<Listing>;
}

/** Runs whose listings are kept, and milliseconds for which. */
const keptRuns = 200;
const keptMs = 60_000;
/** Attempts of one run that are looked for within this time share a listing. */
const gatherMs = 20;

/**
 * Finds jobs that were created and not written down (by a process that died, or where an answer was lost) by their names. All jobs of a run are
 * listed together: after a death many of its attempts are looked for.
 */
export class JobFinder {
  private readonly listings = new Map<string, Kept>();
  /** When all that was under way before is there to be listed: since this process began, and since the last lost answer. */
  private settledAt: number;

  constructor(
    private readonly calls: Pick<BatchCalls, 'list' | 'describe'>,
    private readonly options: { queues: readonly string[]; settleMs: number },
  ) {
    this.settledAt = performance.now() + options.settleMs;
  }

  /** Of a job that was created before `createdBefore`, by whatever host: an older listing does not have it. */
  async find(attempt: TaskAttempt, createdBefore: number): Promise<BatchJob | undefined> {
    const { jobs, arrays } = await this.ofRun(attempt.executionUid, createdBefore);
    const id = jobs.get(jobName(attempt));
    if (id !== undefined || attempt.index === undefined) return id === undefined ? undefined : { id };
    const of = arrayOf({ attempt });
    for (const array of arrays) {
      const child = array.of === of ? childOfIndex(array.items, attempt.index) : undefined;
      if (child !== undefined) return { id: array.id, child };
    }
    return undefined;
  }

  /** There may be jobs of this run that no listing has seen. */
  distrust(executionUid: string): void {
    this.settledAt = performance.now() + this.options.settleMs;
    this.listings.delete(executionUid);
  }

  private ofRun(executionUid: string, createdBefore: number): Promise<Listing> {
    const now = performance.now();
    const known = this.listings.get(executionUid);
    if (known && known.at >= createdBefore && now - known.at < keptMs) return known.listing;
    const kept: Kept = {
      at: Infinity,
      listing: this.settled().then(() => {
        kept.at = performance.now();
        return this.list(executionUid);
      }),
    };
    this.listings.delete(executionUid);
    this.listings.set(executionUid, kept);
    kept.listing.catch(() => {
      if (this.listings.get(executionUid) === kept) this.listings.delete(executionUid);
    });
    for (const [uid, { at }] of this.listings) {
      if (this.listings.size <= keptRuns && now - at < keptMs) break;
      this.listings.delete(uid);
    }
    return kept.listing;
  }

  private async settled(): Promise<void> {
    const pause = Math.max(gatherMs, this.settledAt - performance.now());
    await new Promise((resolve) => setTimeout(resolve, pause));
  }

  private async list(executionUid: string): Promise<Listing> {
    const filters = [{ name: 'JOB_NAME', values: [`${runPrefix(executionUid)}*`] }];
    const found = (
      await Promise.all(this.options.queues.map((jobQueue) => this.calls.list({ jobQueue, filters })))
    ).flat();
    found.sort((a, b) => (a.createdAt ?? 0) - (b.createdAt ?? 0));
    const jobs = new Map<string, string>();
    const arrayIds: string[] = [];
    for (const { jobId = '', jobName: name = '' } of found) {
      // Children bear their parent's name.
      if (jobId.includes(':')) continue;
      if (name.endsWith(arraySuffix)) arrayIds.push(jobId);
      else jobs.set(name, jobId);
    }
    const arrays: Listing['arrays'] = [];
    for (let at = 0; at < arrayIds.length; at += describedAtOnce)
      for (const { jobId = '', container } of await this.calls.describe(arrayIds.slice(at, at + describedAtOnce))) {
        const valueOf = (name: string) => container?.environment?.find((each) => each.name === name)?.value ?? '';
        arrays.push({ id: jobId, of: valueOf(arrayVariable), items: valueOf(itemsVariable) });
      }
    return { jobs, arrays };
  }
}
