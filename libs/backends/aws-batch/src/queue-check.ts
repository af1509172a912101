import type { Logger } from '@aloft/telemetry';
import type { BatchCalls } from './client/batch-calls.js';

/** Milliseconds between two looks; fewer while something is wrong, since somebody may mend it. */
const againMs = 300_000;
const soonerMs = 30_000;

/** Which of the configured queues can take jobs, looked at when the backend starts and every five minutes, or every half one while some can't. */
export class QueueCheck {
  /** What is wrong, by the queue's configured name. */
  private wrong = new Map<string, string>();
  private timer: NodeJS.Timeout | undefined;
  private onMended: (() => void) | undefined;

  constructor(
    private readonly calls: Pick<BatchCalls, 'queues'>,
    private readonly names: readonly string[],
    private readonly logger: Logger,
  ) {}

  /** Does not throw: while Batch cannot be asked, jobs are submitted all the same. */
  async start(onMended: () => void): Promise<void> {
    await this.look();
    this.onMended = onMended;
    this.again();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.onMended = undefined;
  }

  /** Looks now. */
  async review(): Promise<void> {
    clearTimeout(this.timer);
    await this.look();
    if (this.onMended) this.again();
  }

  private again(): void {
    this.timer = setTimeout(() => void this.review(), this.wrong.size > 0 ? soonerMs : againMs).unref();
  }

  wrongWith(queue: string): string | undefined {
    return this.wrong.get(queue);
  }

  private async look(): Promise<void> {
    try {
      const found = await this.calls.queues(this.names);
      const wrong = new Map<string, string>();
      for (const name of this.names) {
        const queue = found.find(({ jobQueueName, jobQueueArn }) => jobQueueName === name || jobQueueArn === name);
        if (!queue)
          wrong.set(name, `AWS Batch has no job queue "${name}": make it, or change backends.awsBatch.queues.`);
        else if (queue.state === 'DISABLED')
          wrong.set(name, `The job queue "${name}" of AWS Batch is disabled: enable it.`);
        else if (queue.status === 'INVALID')
          wrong.set(
            name,
            `The job queue "${name}" of AWS Batch is invalid: ${queue.statusReason ?? 'no reason given'}.`,
          );
      }
      for (const [queue, why] of wrong) if (!this.wrong.has(queue)) this.logger.error({ queue }, why);
      const mended = [...this.wrong.keys()].some((queue) => !wrong.has(queue));
      this.wrong = wrong;
      if (mended) this.onMended?.();
    } catch (error) {
      this.logger.warn(
        { err: error },
        'the job queues of AWS Batch cannot be looked at; jobs are submitted all the same',
      );
    }
  }
}
