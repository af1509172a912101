import {
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  ReceiveMessageCommand,
  SQSClient,
  type Message,
} from '@aws-sdk/client-sqs';
import type { JobDetail } from '@aws-sdk/client-batch';
import type { Logger } from '@aloft/telemetry';
import type { AwsBatchOptions } from '../options.js';

export interface JobEventsOptions {
  options: Pick<AwsBatchOptions, 'region' | 'credentials'> & { queueUrl: string };
  logger: Logger;
  /** A job changed; whether it is one of this host's. */
  onChange(job: JobDetail): boolean;
}

/** Requests for messages under way at once. */
const receivers = 2;
/** An event that so many hosts (or this one so often) had no use for is nobody's: of a job that has ended, or not of Aloft. */
const mostReceives = 20;
/** Seconds until another host may see an event that is not of this one. */
const passOnSeconds = 1;

/**
 * State changes of jobs, as EventBridge puts them into an SQS queue. Several hosts may read one queue: what is not of this one is left to the others. Lost
 * or late events change nothing but how soon something is known.
 */
export class JobEvents {
  private readonly client: SQSClient;
  private readonly stopping = new AbortController();
  private running: Promise<void>[] = [];

  constructor(private readonly deps: JobEventsOptions) {
    const { region, credentials, queueUrl } = deps.options;
    // The queue's URL says where SQS is.
    const endpoint = new URL(queueUrl).origin;
    this.client = new SQSClient({ region, endpoint, ...(credentials ? { credentials } : {}) });
  }

  start(): void {
    this.running = Array.from({ length: receivers }, () => this.receive());
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await Promise.all(this.running);
    this.client.destroy();
  }

  private async receive(): Promise<void> {
    const { signal } = this.stopping;
    const { queueUrl } = this.deps.options;
    for (let failures = 0; !signal.aborted;) {
      try {
        const { Messages = [] } = await this.client.send(
          new ReceiveMessageCommand({
            QueueUrl: queueUrl,
            MaxNumberOfMessages: 10,
            WaitTimeSeconds: 20,
            MessageSystemAttributeNames: ['ApproximateReceiveCount'],
          }),
          { abortSignal: signal },
        );
        await this.take(Messages);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        failures += 1;
        this.deps.logger.warn(
          { err: error, queueUrl },
          'events of AWS Batch cannot be read; its jobs are asked for meanwhile',
        );
        await new Promise((resolve) => setTimeout(resolve, Math.min(30_000, 500 * 2 ** failures)).unref());
      }
    }
  }

  private async take(messages: readonly Message[]): Promise<void> {
    const { queueUrl } = this.deps.options;
    const done: Message[] = [];
    const others: Message[] = [];
    for (const message of messages) {
      const mine = this.isDone(message);
      const receives = Number(message.Attributes?.ApproximateReceiveCount ?? 1);
      (mine || receives >= mostReceives ? done : others).push(message);
    }
    const passOn = others.map(({ ReceiptHandle }) =>
      this.client.send(
        new ChangeMessageVisibilityCommand({ QueueUrl: queueUrl, ReceiptHandle, VisibilityTimeout: passOnSeconds }),
      ),
    );
    if (done.length > 0)
      await this.client.send(
        new DeleteMessageBatchCommand({
          QueueUrl: queueUrl,
          Entries: done.map(({ ReceiptHandle }, i) => ({ Id: String(i), ReceiptHandle })),
        }),
      );
    await Promise.all(passOn);
  }

  /** Whether nobody else needs it: it is of this host, or of no use to anybody. One that cannot be read must not come again and again with all beside it. */
  private isDone({ Body, MessageId }: Message): boolean {
    const job = jobIn(Body);
    if (!job) return true;
    try {
      return this.deps.onChange(job);
    } catch (error) {
      this.deps.logger.warn(
        { err: error, messageId: MessageId, jobId: job.jobId },
        'an event of AWS Batch cannot be read; it is left out',
      );
      return true;
    }
  }
}

/** The job of a `Batch Job State Change` (or of a blocked queue); `undefined` for whatever else lies in the queue. */
export function jobIn(body: string | undefined): JobDetail | undefined {
  try {
    const { source, detail } = JSON.parse(body ?? '') as { source?: unknown; detail?: JobDetail };
    return source === 'aws.batch' && typeof detail?.jobId === 'string' ? detail : undefined;
  } catch {
    return undefined;
  }
}
