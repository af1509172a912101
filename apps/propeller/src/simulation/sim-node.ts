import { MemoryBus, type MemoryBroker } from '@aloft/bus/testing';
import { Metrics, type Counter, type Gauge, type Histogram, type Logger, type MetricOptions } from '@aloft/telemetry';
import type { PropellerConfig } from '../config.js';
import { Propeller } from '../propeller.js';
import { memoryBlob, type Blobs } from './memory-blob.js';
import { MemoryDatabase } from './memory-database.js';
import { MemoryStorage, type LeaseNews } from './memory-storage.js';
import type { MemoryTables } from './memory-tables.js';
import type { Random } from './random.js';
import type { Scheduler } from './scheduler.js';
import type { SimAdmin } from './sim-admin.js';
import type { SimCatalog } from './sim-catalog.js';
import { SimProcess, type Weather } from './sim-process.js';

export interface NodeSurroundings {
  scheduler: Scheduler;
  broker: MemoryBroker;
  tables: MemoryTables;
  news: LeaseNews;
  blobs: Blobs;
  catalog: SimCatalog;
  admin: SimAdmin;
  config: PropellerConfig;
  logger: Logger;
  weather(kind: string): Weather;
}

/** Its reads of what it keeps cost a query, which may fail. */
class SimBus extends MemoryBus {
  constructor(
    private readonly process: SimProcess,
    ...rest: ConstructorParameters<typeof MemoryBus>
  ) {
    super(...rest);
  }

  override keep(): Promise<void> {
    return this.process.call('database', 'keep', () => undefined);
  }
}

const series = new Metrics();

/** What all propellers of all worlds count together, as nobody reads it; making their metrics would cost more than starting them. */
class UnreadMetrics extends Metrics {
  override counter<L extends string = never>(options: MetricOptions<L>): Counter<L> {
    return series.counter(options);
  }

  override histogram<L extends string = never>(options: MetricOptions<L>): Histogram<L> {
    return series.histogram(options);
  }

  /** Without what it collects from, which would stay in memory with its world. */
  override gauge<L extends string = never>({ name, help, labels = [] }: MetricOptions<L>): Gauge<L> {
    return series.gauge({ name, help, labels });
  }
}

/** A machine that runs one propeller after the other: when one dies, the next one starts. */
export class SimNode {
  process!: SimProcess;
  bus!: MemoryBus;
  propeller!: Propeller;
  /** Whether its propeller takes part. */
  up = false;
  private lives = 0;

  constructor(
    readonly name: string,
    private readonly around: NodeSurroundings,
    private readonly random: Random,
  ) {}

  start(): void {
    const { scheduler, broker, tables, news, blobs, catalog, admin, config, logger, weather } = this.around;
    this.lives += 1;
    const process = new SimProcess(`${this.name}.${this.lives}`, scheduler, this.random, weather);
    this.process = process;
    this.bus = new SimBus(process, broker, {
      // Now and then nobody is told, and finds out at the next look.
      later: (work) => {
        const delay = this.random.chance(0.02) ? this.random.between(0, 3000) : this.random.next() * 2;
        scheduler.after(delay, 'bus', work, process);
      },
      logger,
    });
    process.whenDead(() => this.bus.vanish());
    const catalogClient = catalog.client(process);
    const adminClient = admin.client(process);
    const propeller = new Propeller({
      database: new MemoryDatabase(process),
      storage: new MemoryStorage(tables, process, config.leaseMs, news),
      bus: this.bus,
      blob: memoryBlob(blobs, process),
      catalog: () => catalogClient,
      admin: () => adminClient,
      config,
      logger,
      // Its own: what observes it would keep every world in memory.
      metrics: new UnreadMetrics(),
      timing: process.timing,
      // Nobody here looks at traces.
      inTrace: (_trace, work) => work(),
    });
    this.propeller = propeller;
    scheduler.note(`${process.name} starts`);
    scheduler.after(
      0,
      'start',
      () =>
        void propeller.start().then(
          () => (this.up = true),
          // As a process whose start failed: it ends, and is started again.
          () => this.crash(1000),
        ),
      process,
    );
  }

  /** The world is over; it may not have started yet. */
  end(): void {
    if (this.lives > 0) this.process.die();
  }

  /** Ends at once, wherever it is, and comes again after a while. */
  crash(downMs: number): void {
    if (!this.process.alive) return;
    this.around.scheduler.note(`${this.process.name} dies`);
    this.process.die();
    this.up = false;
    this.around.scheduler.after(downMs, 'restart', () => this.start());
  }

  /** Stops as it should, and comes again. */
  restart(downMs: number): void {
    if (!this.process.alive || !this.up) return;
    const { scheduler } = this.around;
    const { process } = this;
    scheduler.note(`${process.name} stops`);
    this.up = false;
    const over = () => this.crash(downMs);
    scheduler.after(0, 'stop', () => void this.propeller.stop().then(over, over), process);
    // Who does not come to an end is killed.
    scheduler.after(30_000, 'kill', () => process === this.process && over());
  }

  pause(ms: number): void {
    this.around.scheduler.note(`${this.process.name} stands still for ${Math.round(ms)} ms`);
    this.process.pausedUntil = this.around.scheduler.time + ms;
  }
}
