import type { JobDetail } from '@aws-sdk/client-batch';
import { itemsVariable } from '../arrays/item-template.js';
import { describedAtOnce, type BatchCalls } from '../client/batch-calls.js';
import type { EndedJob } from './verdict.js';

/** What is kept of a job's description. */
export interface Described extends EndedJob {
  jobId: string;
  /** When it was asked for, of `performance.now()`. */
  at: number;
  vcpu: number;
  memoryMiB: number;
  logStreamName: string | undefined;
  array: { size: number; counts: Readonly<Record<string, number>>; items: string } | undefined;
}

interface Gathering {
  ids: Set<string>;
  done: Promise<void>;
  found: Map<string, Described>;
}

/** A description serves whoever asks within this time; one of a job that has ended for as long as it is kept, since nothing changes any more. */
const freshMs = 1_000;
const keptMs = 30_000;
const gatherMs = 20;

/** DescribeJobs for everybody who asks at about the same time: up to 100 jobs a call, and each job once. */
export class Describer {
  /** The longest known first. */
  private readonly known = new Map<string, Described>();
  private gathering: Gathering | undefined;

  constructor(private readonly calls: Pick<BatchCalls, 'describe'>) {}

  /** Those that Batch does not know are left out. */
  async describe(ids: Iterable<string>): Promise<Map<string, Described>> {
    const result = new Map<string, Described>();
    const wanted: string[] = [];
    for (const id of ids) {
      const known = this.peek(id);
      if (known) result.set(id, known);
      else wanted.push(id);
    }
    if (wanted.length === 0) return result;
    const gathering = (this.gathering ??= this.gather());
    for (const id of wanted) gathering.ids.add(id);
    await gathering.done;
    for (const id of wanted) {
      const found = gathering.found.get(id);
      if (found) result.set(id, found);
    }
    return result;
  }

  /** Descriptions that are kept. */
  get size(): number {
    return this.known.size;
  }

  /** What is known of a job without asking, if it was said just now. */
  peek(id: string): Described | undefined {
    const known = this.known.get(id);
    const age = performance.now() - (known?.at ?? 0);
    return known && age <= (isEnd(known.status) ? keptMs : freshMs) ? known : undefined;
  }

  /** Batch said by itself how a job is. An end is never taken back by something that comes late. */
  heard(job: JobDetail): void {
    const described = slim(job, performance.now());
    const known = this.peek(described.jobId);
    if (known && isEnd(known.status) && !isEnd(described.status)) return;
    this.keep(described);
  }

  /** What was known of it may be no more. */
  forget(id: string): void {
    this.known.delete(id);
  }

  /** The oldest come first, and go: also where nothing is ever asked for, because events tell it all. */
  private keep(described: Described): void {
    this.known.delete(described.jobId);
    this.known.set(described.jobId, described);
    const oldest = performance.now() - keptMs;
    for (const [id, { at }] of this.known) {
      if (at >= oldest) break;
      this.known.delete(id);
    }
  }

  private gather(): Gathering {
    const gathering: Gathering = { ids: new Set(), found: new Map(), done: Promise.resolve() };
    gathering.done = new Promise((resolve) => setTimeout(resolve, gatherMs)).then(() => {
      this.gathering = undefined;
      return this.ask(gathering);
    });
    return gathering;
  }

  private async ask({ ids, found }: Gathering): Promise<void> {
    const all = [...ids];
    const parts = Array.from({ length: Math.ceil(all.length / describedAtOnce) }, (_, i) =>
      all.slice(i * describedAtOnce, (i + 1) * describedAtOnce),
    );
    await Promise.all(
      parts.map(async (part) => {
        const at = performance.now();
        for (const job of await this.calls.describe(part)) {
          const described = slim(job, at);
          found.set(described.jobId, described);
          this.keep(described);
        }
      }),
    );
  }
}

const isEnd = (status: string | undefined): boolean => status === 'SUCCEEDED' || status === 'FAILED';

/** DescribeJobs, and events, say a job in the same words. */
export function slim(job: JobDetail, at: number): Described {
  const { container, arrayProperties } = job;
  const resource = (type: string) => container?.resourceRequirements?.find((each) => each.type === type)?.value;
  return {
    jobId: job.jobId ?? '',
    at,
    status: job.status,
    statusReason: job.statusReason,
    isTerminated: job.isTerminated,
    isCancelled: job.isCancelled,
    startedAt: job.startedAt,
    stoppedAt: job.stoppedAt,
    container: { exitCode: container?.exitCode, reason: container?.reason },
    vcpu: Number(resource('VCPU') ?? container?.vcpus ?? 0),
    memoryMiB: Number(resource('MEMORY') ?? container?.memory ?? 0),
    logStreamName: container?.logStreamName,
    array:
      arrayProperties?.size === undefined
        ? undefined
        : {
            size: arrayProperties.size,
            counts: arrayProperties.statusSummary ?? {},
            items: container?.environment?.find(({ name }) => name === itemsVariable)?.value ?? '',
          },
  };
}
