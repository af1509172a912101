import {
  type Asked,
  type AttemptContext,
  type Capacity,
  type Created,
  type HostView,
  type Launch,
  type PhaseReport,
  type WebApi,
} from '@aloft/backend-kit';
import { type AloftError, toAloftError } from '@aloft/errors';
import type { LaunchTask, TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import type { Logger } from '@aloft/telemetry';
import { BatchCalls } from './client/batch-calls.js';
import { asArrayItem } from './arrays/item-template.js';
import { JobEvents } from './events/job-events.js';
import { isDependable, lacksDependency } from './jobs/dependencies.js';
import { Describer } from './jobs/describer.js';
import { decodeJob, encodeJob, jobIdOf, type BatchJob } from './jobs/handle.js';
import { InputPlacer } from './jobs/input-placer.js';
import { JobFinder } from './jobs/job-finder.js';
import { JobReader } from './jobs/job-reader.js';
import { logLinks } from './jobs/log-links.js';
import { OutputTail } from './jobs/output-tail.js';
import { allQueues } from './jobs/queue-choice.js';
import { NoPlace } from './jobs/no-place.js';
import { awsBatchType, submissionOf } from './jobs/submission.js';
import { Submitter } from './jobs/submitter.js';
import { Terminator } from './jobs/terminator.js';
import { neverBegan, underWay } from './jobs/verdict.js';
import type { AwsBatchOptions } from './options.js';
import { QueueCheck } from './queue-check.js';

/** AWS Batch as a service with jobs (C-186, U-23): any container or python task, items of arrays as array jobs. */
export class BatchApi implements WebApi<BatchJob> {
  readonly name = 'aws-batch';
  readonly calls: BatchCalls;
  readonly queues: QueueCheck;
  private readonly submitter: Submitter;
  private readonly finder: JobFinder;
  private readonly terminator: Terminator;
  private readonly reader: JobReader;
  private readonly output: OutputTail;
  private readonly inputs = new InputPlacer();
  private readonly describer: Describer;
  private events: JobEvents | undefined;

  constructor(
    private readonly options: AwsBatchOptions,
    private readonly logger: Logger,
  ) {
    const calls = new BatchCalls(options, logger);
    const names = allQueues(options.queues);
    const describer = new Describer(calls);
    this.calls = calls;
    this.describer = describer;
    this.queues = new QueueCheck(calls, names, logger);
    this.submitter = new Submitter({ calls, options });
    this.finder = new JobFinder(calls, { queues: names, settleMs: options.settleMs });
    this.terminator = new Terminator({ calls, describer, endMs: options.endMs });
    this.output = new OutputTail(options, logger);
    this.reader = new JobReader({ calls, describer, options, output: this.output });
  }

  capacity(): Capacity {
    return { slots: this.options.slots };
  }

  taskTypes(): readonly string[] {
    return [awsBatchType];
  }

  refuse(launch: LaunchTask): string | undefined {
    const submission = submissionOf(launch as Launch, this.options);
    return typeof submission === 'string' ? submission : undefined;
  }

  noPlace(launch: LaunchTask): string | undefined {
    const submission = submissionOf(launch as Launch, this.options);
    if (submission instanceof NoPlace) return submission.reason;
    return typeof submission === 'string' ? undefined : this.queues.wrongWith(submission.input.jobQueue ?? '');
  }

  namesOf(job: BatchJob): readonly string[] {
    return job.child === undefined ? [job.id] : [job.id, jobIdOf(job)];
  }

  listen(changed: (name: string) => boolean): void {
    const { eventsQueue: queueUrl } = this.options;
    if (queueUrl === undefined) return;
    const { options, logger, describer } = this;
    this.events = new JobEvents({
      options: { ...options, queueUrl },
      logger,
      onChange: (job) => {
        const isMine = changed(job.jobId ?? '');
        // Whoever is to ask for it now does so in a moment. Of other people's jobs nothing is kept.
        if (isMine) describer.heard(job);
        return isMine;
      },
    });
  }

  async start(host?: HostView): Promise<void> {
    await this.queues.start(() => host?.placesChanged());
    this.events?.start();
  }

  async stop(): Promise<void> {
    await this.events?.stop();
    this.queues.stop();
    this.submitter.stop();
    this.output.stop();
    this.calls.stop();
  }

  async create(launch: Launch, context: AttemptContext, signal: AbortSignal): Promise<Created<BatchJob>> {
    await this.inputs.place(launch, context.blob);
    const item = this.options.arrays.enabled && launch.attempt.index !== undefined ? asArrayItem(launch) : undefined;
    try {
      const job = item
        ? await this.submitter.submitItem(launch, item, context, signal)
        : await this.submitter.submit(launch, context);
      const report = { ...underWay({ status: 'SUBMITTED' }), logs: logLinks({ job }, this.options) };
      return { handle: job, report: isDependable(launch) ? { ...report, job: jobIdOf(job) } : report };
    } catch (error) {
      if (await this.lacksDependency(launch, error)) return { end: neverBegan({}) };
      if (toAloftError(error).code !== 'RESOURCE_EXHAUSTED') this.finder.distrust(launch.attempt.executionUid);
      throw error;
    }
  }

  /** Batch refuses a job that depends on one which it does not know (any more). */
  private async lacksDependency({ dependsOn }: Launch, error: unknown): Promise<boolean> {
    if (dependsOn.length === 0 || toAloftError(error).code !== 'INVALID_ARGUMENT') return false;
    return lacksDependency(dependsOn, this.describer);
  }

  find(attempt: TaskAttempt, createdBefore: number): Promise<BatchJob | undefined> {
    return this.finder.find(attempt, createdBefore);
  }

  get(asked: readonly Asked<BatchJob>[]): Promise<(PhaseReport | AloftError)[]> {
    return this.reader.read(asked);
  }

  delete(job: BatchJob, reason: string): Promise<void> {
    return this.terminator.end(job, reason);
  }

  encode(job: BatchJob): Uint8Array {
    return encodeJob(job);
  }

  decode(bytes: Uint8Array): BatchJob {
    return decodeJob(bytes);
  }
}
