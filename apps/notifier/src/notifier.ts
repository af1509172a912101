import { observeLag, type Bus, type Consumer } from '@aloft/bus';
import type { Database } from '@aloft/database';
import { WorkLoop } from '@aloft/service';
import { runFields, withTrace, type Logger, type Metrics } from '@aloft/telemetry';
import { EmailSender } from './channels/email.sender.js';
import { SlackSender } from './channels/slack.sender.js';
import type { NotifierConfig } from './config.js';
import { DeliveriesRepository } from './deliveries/deliveries.repository.js';
import { SenderService } from './deliveries/sender.service.js';
import { EndedRunsRepository } from './runs/ended-runs.repository.js';
import { ExpansionService, type ExecutionReader } from './runs/expansion.service.js';
import { readableEnds, runEndsOf } from './runs/run-ends.js';

export interface NotifierDependencies {
  /** On the notifier's own schema, migrated with `notifierMigrations` and the bus's consumer tables. */
  database: Database;
  bus: Bus;
  /** `createClient(AdminServiceClient, …)`. */
  admin: ExecutionReader;
  config: NotifierConfig;
  logger: Logger;
  metrics?: Metrics;
}

/**
 * Tells people how runs ended. Whom to tell is asked of admin, and stored as deliveries before the consumer's position passes the end; where admin
 * does not answer, the end itself is stored and asked about later. Each delivery is there once, and is sent, with retries, until it is accepted or
 * given up. So none is lost by a restart, and at most the one being sent is repeated.
 */
export class Notifier {
  private readonly runs = new EndedRunsRepository();
  private readonly expander: ExpansionService;
  private readonly expansion: WorkLoop;
  private readonly sending: WorkLoop;
  private consumer: Consumer | undefined;
  private readonly stopping = new AbortController();
  private unobserve: () => void = () => undefined;

  constructor(private readonly dependencies: NotifierDependencies) {
    const { database, admin, config, logger, metrics } = dependencies;
    const deliveries = new DeliveriesRepository();
    const counter = metrics?.counter({
      name: 'aloft_notifier_deliveries_total',
      help: 'Attempts at deliveries by channel and outcome',
      labels: ['channel', 'outcome'],
    });
    const delay = metrics?.histogram({
      name: 'aloft_notifier_delivery_delay_seconds',
      help: "From the commit of a run's end until its notification was accepted, by channel",
      labels: ['channel'],
      buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600],
    });
    const channels = { slack: new SlackSender(config.slack.webhooks), email: new EmailSender(config) };
    this.sending = new WorkLoop(new SenderService(database, deliveries, channels, config, logger, counter, delay), {
      logger,
    });
    // Woken by an event of a run, but no part of its trace.
    const planned = () => withTrace(undefined, () => this.sending.wake());
    const postponed = () => withTrace(undefined, () => this.expansion.wake());
    this.expander = new ExpansionService(database, this.runs, deliveries, admin, config, logger, planned, postponed);
    this.expansion = new WorkLoop(this.expander, { logger });
  }

  /** Begins where the last process ended. */
  async start(): Promise<void> {
    const { bus, database, logger, metrics } = this.dependencies;
    const { signal } = this.stopping;
    this.consumer = bus.consume({
      topic: 'executions.events',
      group: 'notifier',
      database,
      mode: 'leased',
      // Nearly all events end no run, and of nearly all ends nobody wants to hear: those cost no commit of their own.
      handleRepeatable: (messages) => {
        const { count, ends } = readableEnds(messages);
        if (count === 0 || (ends.length > 0 && this.expander.full)) return undefined;
        return { count, done: ends.length > 0 ? this.expander.take(ends, signal) : Promise.resolve() };
      },
      gatherMs: 50,
      // What is left cannot be read, was released from its parking place, or came while admin was slow.
      handle: async (messages, tx) => {
        const ends = runEndsOf(messages);
        if (ends.length === 0 || !tx) return;
        await this.runs.add(tx, ends);
        tx.afterCommit(() => withTrace(undefined, () => this.expansion.wake()));
      },
      onParked: ({ message: { envelope }, reason }) =>
        logger.error(
          { key: envelope.key, id: envelope.id, ...runFields(envelope.execution, envelope.executionUid), reason },
          'the notifier parked a message',
        ),
    });
    this.unobserve = observeLag(metrics, 'notifier', 'executions.events', () => this.consumer?.status() ?? []);
    this.expansion.wake();
    this.sending.wake();
  }

  /** Resolves when all events published before the call are taken note of (not yet: told). */
  async caughtUp(): Promise<void> {
    await this.consumer?.caughtUp();
  }

  /** Stops consuming; lets the attempts under way end. */
  async stop(): Promise<void> {
    this.unobserve();
    this.stopping.abort();
    await this.consumer?.close();
    this.consumer = undefined;
    await this.expansion.stop();
    await this.sending.stop();
  }
}
