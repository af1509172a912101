import { setTimeout as delay } from 'node:timers/promises';
import { commandOf, FakeBatch, FakeQueue, type Ended, type Running } from '@aloft/backend-aws-batch/testing';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import type { Action, Exchange } from '../proxy/http-proxy.js';
import type { Random } from '../random.js';
import type { JobRecord } from './evidence.js';
import { batchVerdicts, type Fate } from './fates.js';
import type { Errand, Part } from './part.js';
import { idOf } from './propeller.js';

/** Milliseconds until a job that was submitted is listed, and until the backend counts on it. */
const listedMs = { after: 700, settled: 1_200 };

interface Work {
  attempt: string;
  fate: Fate;
  runMs: number;
}

/** Our Batch, whose containers are this process's own promises; with `events` it tells state changes through a queue. */
export class BatchPart implements Part {
  readonly backend = 'aws-batch';
  readonly verdicts = batchVerdicts;
  readonly jobs: JobRecord[] = [];
  /** By where it writes its outputs: what a container has of its attempt. */
  private readonly work = new Map<string, Work>();
  private readonly queue: FakeQueue | undefined;
  private queueUrl = '';
  private confused = false;
  private readonly batch: FakeBatch;
  upstream = '';
  readonly confuse: ((on: boolean) => void) | undefined;

  private constructor(
    private readonly random: Random,
    events: boolean,
  ) {
    this.queue = events ? new FakeQueue() : undefined;
    this.confuse = events ? (on) => void (this.confused = on) : undefined;
    this.batch = new FakeBatch({
      run: (container) => this.run(container),
      listedAfterMs: listedMs.after,
      onEvent: (detail) => this.tell(detail),
    });
  }

  static async start(random: Random): Promise<BatchPart> {
    const part = new BatchPart(random, random.chance(50));
    part.upstream = await part.batch.listen();
    if (part.queue) part.queueUrl = `${await part.queue.listen()}/000000000000/events`;
    return part;
  }

  config(url: string): Record<string, unknown> {
    return {
      awsBatch: {
        region: 'us-east-1',
        endpoint: url,
        queues: [{ name: 'all', onDemand: 'on-demand', spot: 'spot' }],
        pollMs: { first: 100, longest: 500 },
        callsPerSecond: { read: 200, write: 200 },
        settleMs: listedMs.settled,
        ...(this.queue ? { eventsQueue: this.queueUrl } : {}),
      },
    };
  }

  errandOf({ path }: Exchange): Errand {
    switch (path.split('/').at(-1)) {
      case 'submitjob':
        return 'submit';
      case 'terminatejob':
        return 'end';
      case 'describejobs':
      case 'listjobs':
        return 'look';
      default:
        return 'other';
    }
  }

  tellsOfEnd(bytes: Buffer): boolean {
    return bytes.includes('"SUCCEEDED"') || bytes.includes('"FAILED"');
  }

  refusal(what: 'throttle' | 'fail' | 'expired'): Action {
    const [status, type] = what === 'throttle' ? [429, 'TooManyRequestsException'] : [500, 'ServerException'];
    const headers = { 'x-amzn-errortype': type };
    return { kind: 'answer', status, headers, body: JSON.stringify({ message: 'a fault' }) };
  }

  /** Containers write themselves down when they start. */
  answered(): void {}

  prepare(launch: LaunchTask, fate: Fate, runMs: number): void {
    const attempt = idOf(launch.attempt ?? { name: '', generation: 0 });
    this.work.set(launch.outputPrefix, { attempt, fate, runMs });
  }

  async left(): Promise<string[]> {
    return [...this.batch.jobs.values()]
      .filter((job) => !['SUCCEEDED', 'FAILED'].includes(job.status()))
      .map((job) => `the job ${job.request.jobName} (${job.status()})`);
  }

  async stop(): Promise<void> {
    await this.batch.close();
    this.queue?.close();
  }

  private async run(container: Running): Promise<Ended> {
    const { signal, jobId } = container;
    const [, place = ''] = commandOf(container).words;
    const { attempt, fate, runMs } = this.work.get(place) ?? { attempt: place, fate: 'ok', runMs: 0 };
    const [job = ''] = jobId.split(':');
    const spot = this.batch.jobs.get(job)?.request.jobQueue === 'spot';
    this.jobs.push({ attempt, id: jobId, at: Date.now(), spot });
    if (fate !== 'no-image' && fate !== 'registry-away')
      await delay(runMs, undefined, { signal }).catch(() => undefined);
    return endings[fate] ?? { exitCode: 0 };
  }

  /** EventBridge delivers at least once and in no order. */
  private tell(detail: Record<string, unknown>): void {
    const { queue, random, confused } = this;
    if (!queue) return;
    if (!confused) return queue.put(detail);
    for (let copies = random.int(0, 3); copies > 0; copies--)
      setTimeout(() => queue.put(detail), random.duration(1, 5_000)).unref();
  }
}

const failed = (statusReason: string, reason?: string): Ended => ({ statusReason, ...(reason ? { reason } : {}) });

/** In Batch's words. */
const endings: Partial<Record<Fate, Ended>> = {
  recoverable: { exitCode: 1 },
  final: { exitCode: 1 },
  exit: { exitCode: 3 },
  'out-of-memory': { exitCode: 137, reason: 'OutOfMemoryError: Container killed due to memory usage' },
  reclaimed: failed('Host EC2 (instance i-0123456789abcdef0) terminated.'),
  'node-lost': failed('Task failed: agent disconnected from the cluster'),
  evicted: failed('Host EC2 (instance i-0fedcba9876543210) stopped by an operator; instance was stopped'),
  'no-image': failed(
    'Task failed to start',
    'CannotPullContainerError: pull access denied for faults, repository does not exist',
  ),
  'registry-away': failed(
    'Task failed to start',
    'CannotPullContainerError: Error response from daemon: net/http: TLS handshake timeout',
  ),
};
