import type { BlobStore } from '@aloft/blob';
import { unavailable } from '@aloft/errors';
import type { BatchCalls } from '../client/batch-calls.js';
import type { Described } from '../jobs/describer.js';
import type { EndedJob } from '../jobs/verdict.js';
import { readRanges } from './item-ranges.js';
import type { WrittenFiles, WrittenFilesReader, WrittenItem } from './written-files.js';

/** How one child of an array job is, as far as it can be told without asking for the child. */
export type ChildState =
  | { ended: false }
  /** `written`: what lies in its folder, where that was listed. */
  | { ended: true; job: EndedJob; written: WrittenItem | undefined };

/** How a child is. */
export type ArrayStateOf = (child: number) => ChildState;

interface Known {
  counts: string;
  states: ArrayState;
}

interface ArrayState {
  failed: Map<number, EndedJob>;
  succeeded: Set<number>;
  files: WrittenFiles | undefined;
}

export interface ArrayStatesOptions {
  calls: Pick<BatchCalls, 'list'>;
  files: WrittenFilesReader;
}

/** Array jobs of which states are kept; others are worked out again. */
const kept = 64;

/**
 * Tells which children of an array job have ended from the parent's summary alone (how many succeeded, how many failed), a listing of what they
 * wrote, and, only where some failed, a listing of those.
 */
export class ArrayStates {
  private readonly known = new Map<string, Promise<Known>>();

  constructor(private readonly options: ArrayStatesOptions) {}

  /** `folder`: where the items' own folders `<index>/<item attempt>` lie. */
  async of(
    parent: Described,
    blob: BlobStore,
    { folder, itemAttempt }: { folder: string; itemAttempt: string },
  ): Promise<ArrayStateOf> {
    const counts: Readonly<Record<string, number>> = parent.array?.counts ?? {};
    const key = `${parent.status}/${counts['SUCCEEDED'] ?? 0}/${counts['FAILED'] ?? 0}`;
    const indices = readRanges(parent.array?.items ?? '');
    const itemOf = (child: number) => `${indices[child]}/${itemAttempt}`;
    const workOut = async (before?: ArrayState): Promise<Known> => ({
      counts: key,
      states: await this.workOut(parent, () => this.options.files.list(blob, folder, parent.at), itemOf, before),
    });
    const before = this.known.get(parent.jobId);
    const now = before
      ? before.then(
          (known) => (known.counts === key ? known : workOut(known.states)),
          () => workOut(),
        )
      : workOut();
    this.known.delete(parent.jobId);
    this.known.set(parent.jobId, now);
    for (const oldest of this.known.keys()) {
      if (this.known.size <= kept) break;
      this.known.delete(oldest);
    }
    const { states } = await now;
    return (child) => {
      const failed = states.failed.get(child);
      const written = states.files?.items.get(itemOf(child));
      if (failed) return { ended: true, job: failed, written };
      if (!states.succeeded.has(child)) return { ended: false };
      return { ended: true, job: { status: 'SUCCEEDED', stoppedAt: written?.endedAt ?? parent.stoppedAt }, written };
    };
  }

  private async workOut(
    parent: Described,
    list: () => Promise<WrittenFiles>,
    itemOf: (child: number) => string,
    before: ArrayState | undefined,
  ): Promise<ArrayState> {
    const { size, counts } = parent.array ?? { size: 0, counts: {} as Readonly<Record<string, number>> };
    const [succeededCount, failedCount] = [counts['SUCCEEDED'] ?? 0, counts['FAILED'] ?? 0];
    const over = parent.status === 'SUCCEEDED' || parent.status === 'FAILED';
    const failed =
      failedCount === 0 ? new Map<number, EndedJob>() : await this.failedOf(parent.jobId, failedCount, before?.failed);
    const files = succeededCount === 0 && failedCount === 0 && !over ? undefined : await list();
    const states = { failed, succeeded: new Set<number>(), files };
    const children = Array.from({ length: size }, (_, child) => child).filter((child) => !failed.has(child));
    if (over) for (const child of children) states.succeeded.add(child);
    else for (const child of firstEnded(children, succeededCount, files, itemOf)) states.succeeded.add(child);
    return states;
  }

  /** @throws UNAVAILABLE while not all of them are listed */
  private async failedOf(
    arrayJobId: string,
    count: number,
    before: ReadonlyMap<number, EndedJob> | undefined,
  ): Promise<Map<number, EndedJob>> {
    if (before && before.size >= count) return new Map(before);
    const failed = new Map<number, EndedJob>();
    for (const job of await this.options.calls.list({ arrayJobId, jobStatus: 'FAILED' })) {
      const child = job.arrayProperties?.index ?? Number(job.jobId?.split(':')[1]);
      if (Number.isInteger(child))
        failed.set(child, {
          jobId: job.jobId,
          status: 'FAILED',
          statusReason: job.statusReason,
          startedAt: job.startedAt,
          stoppedAt: job.stoppedAt,
          container: job.container,
        });
    }
    // A listing is behind: who is not in it yet may have failed all the same.
    if (failed.size < count)
      throw unavailable(
        `AWS Batch lists ${failed.size} of ${count} failed children of the array job ${arrayJobId} so far`,
      );
    return failed;
  }
}

/**
 * Of the children that have written how they ended, as many as the summary says succeeded, those that wrote it first: the others are about to
 * exit, and may yet fail.
 */
function firstEnded(
  children: readonly number[],
  count: number,
  files: WrittenFiles | undefined,
  itemOf: (child: number) => string,
): number[] {
  const written = children.flatMap((child) => {
    const endedAt = files?.items.get(itemOf(child))?.endedAt;
    return endedAt === undefined ? [] : [{ child, endedAt }];
  });
  if (written.length > count) written.sort((a, b) => a.endedAt - b.endedAt).length = count;
  return written.map(({ child }) => child);
}
