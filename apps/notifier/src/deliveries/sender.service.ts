import type { Database } from '@aloft/database';
import type { Work } from '@aloft/service';
import { readTrace, withSpan, withTrace, type Counter, type Histogram, type Logger } from '@aloft/telemetry';
import { DeliveryError, type ChannelSender } from '../channels/channel.js';
import type { NotifierConfig } from '../config.js';
import { backoff } from '../backoff.js';
import type { Channel, ClaimedDelivery, DeliveriesRepository } from './deliveries.repository.js';

const dayMs = 24 * 3600_000;

/** Sends what is due, a few at a time, and keeps what became of it. */
export class SenderService implements Work {
  readonly name = 'deliveries';
  private pruneAt = 0;

  constructor(
    private readonly database: Database,
    private readonly deliveries: DeliveriesRepository,
    private readonly channels: Readonly<Record<Channel, ChannelSender>>,
    private readonly config: Pick<NotifierConfig, 'retries' | 'timeoutMs' | 'concurrency' | 'retentionDays'>,
    private readonly logger: Logger,
    private readonly counter?: Counter<'channel' | 'outcome'>,
    private readonly delay?: Histogram<'channel'>,
  ) {}

  async run(signal: AbortSignal): Promise<number | undefined> {
    if (Date.now() >= this.pruneAt) {
      await this.deliveries.prune(this.database, this.config.retentionDays);
      this.pruneAt = Date.now() + dayMs;
    }
    await Promise.all(Array.from({ length: this.config.concurrency }, () => this.drain(signal)));
    return this.deliveries.nextDue(this.database);
  }

  private async drain(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // Longer than an attempt may take: only a dead process lets it pass.
      const delivery = await this.deliveries.claim(this.database, this.config.timeoutMs * 2);
      if (!delivery) return;
      await this.traced(delivery);
    }
  }

  /** In the trace of the run that it tells of. */
  private traced(delivery: ClaimedDelivery): Promise<void> {
    const { run, channel, source, attempts, traceparent } = delivery;
    const attributes = {
      'aloft.run': run,
      'aloft.channel': channel,
      'aloft.source': source,
      'aloft.attempt': attempts,
    };
    return withTrace(readTrace(traceparent), () =>
      withSpan('deliver notification', attributes, () => this.send(delivery), { scope: 'aloft.notifier' }),
    );
  }

  private async send(delivery: ClaimedDelivery): Promise<void> {
    const { id, channel, recipient, run, attempts } = delivery;
    const { retries, timeoutMs } = this.config;
    try {
      // A stop lets the attempt end: cutting it would leave open whether it arrived.
      await this.channels[channel].send(delivery, AbortSignal.timeout(timeoutMs));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const options = error instanceof DeliveryError ? error.options : { permanent: false };
      if (options.permanent || attempts >= retries.attempts) {
        await this.deliveries.failed(this.database, id, reason);
        this.counter?.inc({ channel, outcome: 'failed' });
        this.logger.error({ delivery: id, run, channel, recipient, attempts, reason }, 'a notification is given up');
      } else {
        const delay = options.retryAfterMs ?? backoff(attempts, retries.firstDelayMs, retries.maxDelayMs);
        await this.deliveries.retry(this.database, id, delay, reason);
        this.counter?.inc({ channel, outcome: 'retried' });
        this.logger.warn({ delivery: id, run, channel, recipient, attempts, reason }, 'a notification is tried again');
      }
      return;
    }
    await this.deliveries.sent(this.database, id);
    this.counter?.inc({ channel, outcome: 'sent' });
    if (delivery.toldAt) this.delay?.observe({ channel }, Math.max(0, Date.now() - delivery.toldAt.getTime()) / 1000);
    this.logger.info({ delivery: id, run, channel, recipient, attempts }, 'a notification was sent');
  }
}
