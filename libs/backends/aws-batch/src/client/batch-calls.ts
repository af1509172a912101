import {
  BatchClient,
  DescribeJobDefinitionsCommand,
  DescribeJobQueuesCommand,
  DescribeJobsCommand,
  ListJobsCommand,
  RegisterJobDefinitionCommand,
  SubmitJobCommand,
  TerminateJobCommand,
  type JobDefinition,
  type JobDetail,
  type JobQueueDetail,
  type JobSummary,
  type ListJobsCommandInput,
  type RegisterJobDefinitionCommandInput,
  type SubmitJobCommandInput,
} from '@aws-sdk/client-batch';
import { AloftError, internal } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import type { AwsBatchOptions } from '../options.js';
import { batchError, isThrottling } from './batch-errors.js';
import { Pace } from './pace.js';

/** Most jobs of one DescribeJobs. */
export const describedAtOnce = 100;

/** What gets no answer within this time counts as not answered; the number of sockets bounds what is under way at once. */
const requestHandler = {
  connectionTimeout: 5_000,
  requestTimeout: 30_000,
  throwOnRequestTimeout: true,
  httpAgent: { maxSockets: 50 },
  httpsAgent: { maxSockets: 50 },
  socketAcquisitionWarningTimeout: 60_000,
};

/** For how long a throttled call is repeated, in milliseconds, before whoever asked hears of it. */
const throttledMs = 60_000;

/**
 * The calls to Batch that this backend makes, at a bounded rate. What is throttled did nothing and is repeated, ever more slowly; nothing else is:
 * whoever asked knows whether a second time is harmless.
 */
export class BatchCalls {
  /** Calls begun, by name. */
  readonly counts = new Map<string, number>();
  private readonly client: BatchClient;
  private readonly reads: Pace;
  private readonly writes: Pace;
  private stopped = false;

  constructor(
    { region, endpoint, credentials, callsPerSecond }: AwsBatchOptions,
    private readonly logger: Logger,
  ) {
    this.client = new BatchClient({
      region,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(credentials ? { credentials } : {}),
      maxAttempts: 1,
      requestHandler,
    });
    this.reads = new Pace({ perSecond: callsPerSecond.read });
    this.writes = new Pace({ perSecond: callsPerSecond.write });
  }

  async submit(input: SubmitJobCommandInput): Promise<string> {
    const doing = `SubmitJob of ${input.jobName} to ${input.jobQueue}`;
    const { jobId } = await this.call('SubmitJob', this.writes, doing, () =>
      this.client.send(new SubmitJobCommand(input)),
    );
    if (jobId === undefined) throw internal(`AWS Batch: ${doing}: the answer names no job`);
    return jobId;
  }

  /** Jobs that Batch does not know are left out. At most {@link describedAtOnce}. */
  async describe(ids: readonly string[]): Promise<JobDetail[]> {
    const { jobs = [] } = await this.call('DescribeJobs', this.reads, `DescribeJobs of ${ids.length}`, () =>
      this.client.send(new DescribeJobsCommand({ jobs: [...ids] })),
    );
    return jobs;
  }

  /** Of all pages. */
  async list(input: ListJobsCommandInput): Promise<JobSummary[]> {
    const found: JobSummary[] = [];
    let nextToken: string | undefined;
    do {
      const page = await this.call('ListJobs', this.reads, 'ListJobs', () =>
        this.client.send(new ListJobsCommand({ maxResults: 100, ...input, ...(nextToken ? { nextToken } : {}) })),
      );
      found.push(...(page.jobSummaryList ?? []));
      nextToken = page.nextToken;
    } while (nextToken !== undefined && nextToken !== '');
    return found;
  }

  async terminate(jobId: string, reason: string): Promise<void> {
    await this.call('TerminateJob', this.writes, `TerminateJob of ${jobId}`, () =>
      // Batch wants at least one character, and takes 1,024.
      this.client.send(new TerminateJobCommand({ jobId, reason: reason.slice(0, 1_000) || 'no longer needed' })),
    );
  }

  /** Active revisions of a definition. */
  async definitions(jobDefinitionName: string): Promise<JobDefinition[]> {
    const doing = `DescribeJobDefinitions of ${jobDefinitionName}`;
    const { jobDefinitions = [] } = await this.call('DescribeJobDefinitions', this.reads, doing, () =>
      this.client.send(new DescribeJobDefinitionsCommand({ jobDefinitionName, status: 'ACTIVE' })),
    );
    return jobDefinitions;
  }

  async register(input: RegisterJobDefinitionCommandInput): Promise<string> {
    const doing = `RegisterJobDefinition of ${input.jobDefinitionName}`;
    const { jobDefinitionArn } = await this.call('RegisterJobDefinition', this.writes, doing, () =>
      this.client.send(new RegisterJobDefinitionCommand(input)),
    );
    if (jobDefinitionArn === undefined) throw internal(`AWS Batch: ${doing}: the answer names no definition`);
    return jobDefinitionArn;
  }

  async queues(names: readonly string[]): Promise<JobQueueDetail[]> {
    const { jobQueues = [] } = await this.call('DescribeJobQueues', this.reads, 'DescribeJobQueues', () =>
      this.client.send(new DescribeJobQueuesCommand({ jobQueues: [...names] })),
    );
    return jobQueues;
  }

  stop(): void {
    this.stopped = true;
    this.client.destroy();
  }

  private async call<T>(name: string, pace: Pace, doing: string, send: () => Promise<T>): Promise<T> {
    const until = performance.now() + throttledMs;
    for (let pause = 0; ; pause = Math.min(100 + pause * 2, 8_000) * (0.5 + Math.random())) {
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      const turn = await pace.turn();
      if (this.stopped) throw new AloftError('UNAVAILABLE', 'this host stops: it asks AWS Batch no more');
      this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
      try {
        const answer = await send();
        pace.wentWell();
        return answer;
      } catch (error) {
        if (!isThrottling(error) || performance.now() > until) throw batchError(error, doing);
        pace.slowDown(turn);
        this.logger.debug(
          { call: name, perSecond: pace.perSecond },
          'AWS Batch throttles; its calls are made more slowly',
        );
      }
    }
  }
}
