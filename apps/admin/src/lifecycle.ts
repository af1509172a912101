import { observeLag, type Bus, type Consumer, type StreamStatus } from '@aloft/bus';
import type { Database } from '@aloft/database';
import { runFields, type Logger, type Metrics } from '@aloft/telemetry';
import { eventsTopic, isAwaited } from './projection/decode-events.js';
import { projectionGroup, type ProjectionService } from './projection/projection.service.js';
import type { LiveEvents } from './watch/live-events.js';

/** Background work of the admin service. Whoever composes the process calls {@link start} before and {@link stop} after serving. */
export class AdminLifecycle {
  private projector: Consumer | undefined;
  private unobserve: () => void = () => undefined;

  constructor(
    private readonly database: Database,
    private readonly bus: Bus,
    private readonly projection: ProjectionService,
    private readonly live: LiveEvents,
    /** Retention: what is due is done by itself. */
    private readonly work: { start(): void; stop(): Promise<void> },
    /** What the module opened itself. */
    private readonly opened: { close(): Promise<void> },
    private readonly logger: Logger,
    private readonly metrics?: Metrics,
  ) {}

  /** Begins to follow the runs. */
  async start(): Promise<void> {
    await this.live.start();
    this.projector = this.bus.consume({
      topic: eventsTopic,
      group: projectionGroup,
      database: this.database,
      mode: 'leased',
      // Live streams don't wait for it, and clients ask for what has ended: steps of one run share commits.
      gatherMs: 10,
      // Under load a node's events come together then: its rows are written once instead of three times.
      maxGatherMs: 250,
      maxBatch: 2_000,
      urgent: ({ envelope }) => isAwaited(envelope),
      handle: async (messages, tx) => {
        if (tx) await this.projection.apply(messages, tx);
      },
      onParked: ({ message: { envelope }, reason }) =>
        this.logger.error(
          { key: envelope.key, id: envelope.id, ...runFields(envelope.execution, envelope.executionUid), reason },
          'the projection parked a message',
        ),
    });
    this.work.start();
    this.unobserve = observeLag(this.metrics, projectionGroup, eventsTopic, () => this.status());
  }

  /** Resolves when all events published before the call are in the read model (as far as this process projects them). */
  async caughtUp(): Promise<void> {
    await this.projector?.caughtUp();
  }

  /** Streams projected by this process, for metrics. */
  status(): StreamStatus[] {
    return this.projector?.status() ?? [];
  }

  /** Stops consuming and ends live streams. */
  async stop(): Promise<void> {
    this.unobserve();
    await this.work.stop();
    await this.live.stop();
    await this.projector?.close();
    this.projector = undefined;
  }

  /** After {@link stop} and the servers: closes what the module opened itself. */
  async close(): Promise<void> {
    await this.opened.close();
  }
}
