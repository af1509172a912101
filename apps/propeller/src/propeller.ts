import {
  observeLag,
  type Bus,
  type HeldLease,
  type LoadedParkingStore,
  type OwnedStreamLeases,
  type ParkedMessage,
} from '@aloft/bus';
import type { BlobStore } from '@aloft/blob';
import type { Database } from '@aloft/database';
import { type AloftError, type ErrorCode, errorMapping, failedPrecondition, toAloftError } from '@aloft/errors';
import type { LogEntry } from '@aloft/idl/aloft/v1/engine';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { Metrics, type Logger } from '@aloft/telemetry';
import type { Probe } from './commit/writer.js';
import { LiteralStore } from './commit/literal-store.js';
import { CompilerThread, maxOnLoopBytes } from './compile/compiler-thread.js';
import type { PropellerConfig } from './config.js';
import { topics } from './events/outgoing.js';
import { LaunchBuilder } from './launch/launch-builder.js';
import { currentRouting, type HostsHere } from './launch/routing.js';
import { CommitFailed, type Caution, type IncarnationDeps } from './loop/incarnation-deps.js';
import { Incarnation } from './loop/incarnation.js';
import { propellerMetrics } from './metrics.js';
import { pairs, surplus } from './ownership/share.js';
import { Archiver } from './runs/archiver.js';
import { LogClock } from './runs/clock.js';
import { pureEngine, type Engine } from './runs/engine.js';
import { GraphCache } from './runs/graph-cache.js';
import { HistoryReader } from './runs/history-reader.js';
import { systemTiming, type Alarm, type Timing } from './runs/timing.js';
import { CatalogRequests, type CatalogClient } from './requests/catalog-requests.js';
import { ChildRequests, type AdminClient } from './requests/child-requests.js';
import { DynamicRequests } from './requests/dynamic-requests.js';
import { HeldReservations } from './requests/held-reservations.js';
import { LiteralRequests } from './requests/literal-requests.js';
import { RecoveryRequests } from './requests/recovery-requests.js';
import { RequestPerformer, type InTrace } from './requests/request-performer.js';
import { postgresStorage, type PropellerStorage } from './storage.js';

/** Consumer group of the propeller on `executions.commands` and `tasks.reports`. */
export const propellerGroup = 'propeller';

export interface PropellerDeps {
  /** Opened on the schema `propeller`, with `propellerMigrations` and `busMigrations` run. */
  database: Database;
  bus: Bus;
  blob: BlobStore;
  /** Clients may be made when they are first used: the servers start after us. */
  catalog: () => CatalogClient;
  admin: () => AdminClient;
  config: PropellerConfig;
  logger: Logger;
  metrics?: Metrics;
  engine?: Engine;
  /** Wall clock in milliseconds since the epoch; default: that of `timing`. */
  now?: () => number;
  /** Clock, timers, turns and chance; default: the system's. */
  timing?: Timing;
  /** How requests know their trace; default: by Node's async context, which makes every promise of the process dearer. */
  inTrace?: InTrace;
  /** Default: in `database`. */
  storage?: PropellerStorage;
  /** Where backend hosts are in this process. */
  hosts?: HostsHere;
  /** Called at each await, for tests that stop the process there. */
  probe?: Probe;
}

export interface PropellerStatus {
  running: boolean;
  partitions: number[];
  runsInMemory: number;
  /** Why nothing is consumed, if so. */
  halted?: string;
}

const careless: Caution = { oneByOne: false, checkStarts: false, condemned: new Map() };
/** Codes with which a stream ends: what is on the bus is newer than this binary, or no longer there. */
const unreadable: ReadonlySet<ErrorCode> = new Set(['FAILED_PRECONDITION', 'OUT_OF_RANGE', 'DATA_LOSS']);
/** Commits that have to succeed before an incarnation made careful by a failure is careless again. */
const calmMs = 5_000;

/**
 * The propeller of one process: takes its share of the shards, and keeps one {@link Incarnation} of what it knows of them. After a failed
 * commit the next one begins from the database.
 */
export class Propeller {
  private readonly leases: OwnedStreamLeases;
  private readonly members: ReturnType<PropellerStorage['members']>;
  private readonly parking: LoadedParkingStore;
  private readonly graphs: GraphCache;
  private readonly compiler: CompilerThread;
  private readonly histories: HistoryReader;
  private readonly incarnationDeps: IncarnationDeps;
  private incarnation: Incarnation | undefined;
  private caution: Caution = careless;
  private readonly timing: Timing;
  private calm: Alarm | undefined;
  private renewal: Alarm | undefined;
  /** Each ends the lag of a topic in the metrics. */
  private observed: (() => void)[] = [];
  private halted: AloftError | undefined;
  private restarts = 0;
  private stopped = true;
  private waking = false;
  /** Changes of what is owned happen one after the other. */
  private changing: Promise<unknown> = Promise.resolve();
  private readonly waiters = new Set<() => void>();

  constructor(private readonly deps: PropellerDeps) {
    const { database, bus, blob, config, logger } = deps;
    const engine = deps.engine ?? pureEngine;
    const timing = deps.timing ?? systemTiming;
    this.timing = timing;
    const { leaseMs } = config;
    const storage = deps.storage ?? postgresStorage(database, { group: propellerGroup, leaseMs, logger });
    this.leases = storage.leases(() => this.wake());
    this.members = storage.members(this.leases.owner);
    this.parking = storage.parking;
    const { repository } = storage;
    this.compiler = new CompilerThread(engine);
    this.graphs = new GraphCache({
      blob,
      engine,
      compiler: this.compiler,
      largeBytes: maxOnLoopBytes,
      maxBytes: config.memory.graphBytes,
      maxClosureBytes: config.limits.closureBytes,
    });
    const { graphs, compiler } = this;
    this.histories = new HistoryReader({
      database,
      blob,
      repository,
      engine,
      graphs,
      maxHistoryBytes: config.limits.historyBytes,
    });
    const clock = new LogClock(deps.now ?? (() => timing.now()), () => timing.steady());
    const now = () => clock.now();
    const literals = new LiteralStore(blob, config.limits.literalsBytes);
    const metrics = propellerMetrics(deps.metrics ?? new Metrics());
    deps.metrics?.gauge({
      name: 'aloft_propeller_runs_in_memory',
      help: 'Runs that this process holds in memory',
      collect: (gauge) => gauge.set(this.incarnation?.size ?? 0),
    });
    const dynamics = new DynamicRequests({
      blob,
      admin: deps.admin,
      compiler,
      maxFuturesBytes: config.limits.futuresBytes,
      maxFetched: 10_000,
    });
    const { enabled, minMiB, maxMiB } = config.literalOffload;
    const literalOffload = enabled ? { min: minMiB * 1024 * 1024, max: maxMiB * 1024 * 1024 } : undefined;
    const literalRequests = new LiteralRequests(literals, literalOffload);
    const recovery = new RecoveryRequests(this.histories, literalRequests);
    const routing = currentRouting(config, deps.hosts);
    this.incarnationDeps = {
      database,
      bus,
      positions: storage.positions,
      parking: this.parking,
      repository,
      engine,
      graphs,
      launches: new LaunchBuilder({
        routing,
        hosts: deps.hosts && (() => deps.hosts!.names()),
        defaultEnvs: Object.entries(config.defaultEnvs).map(([key, value]) => ({ key, value })),
        consoleUrl: config.consoleUrl,
        namespaceTemplate: config.namespaceTemplate,
        offloadEnvs: enabled
          ? [
              { key: '_F_L_MIN_SIZE_MB', value: String(minMiB) },
              { key: '_F_L_MAX_SIZE_MB', value: String(maxMiB) },
            ]
          : [],
      }),
      literals,
      clock,
      timing,
      logger,
      metrics,
      limits: {
        maxBatchInputs: config.commit.maxInputs,
        maxBatchEffects: config.commit.maxEffects,
        maxBatchBytes: config.commit.maxLogBytes,
        maxWaiting: config.commit.maxWaiting,
        maxIdleRuns: config.memory.maxIdleRuns,
        idleMs: config.memory.idleMs,
        snapshotMinLogBytes: config.commit.snapshotMinLogBytes,
      },
      timerHorizonMs: config.timerHorizonMs,
      group: propellerGroup,
      probe: deps.probe,
      requests: (answered, changed) => {
        const reservations = new HeldReservations(
          { client: deps.catalog, logger, heartbeatMs: config.cache.heartbeatMs, timing },
          changed,
        );
        const catalog = new CatalogRequests({
          client: deps.catalog,
          literals,
          reservations,
          logger,
          now,
          timing,
          maxAgeMs: config.cache.maxAgeMs,
          reservedRetryMs: config.cache.reservedRetryMs,
        });
        return new RequestPerformer(
          {
            catalog,
            children: new ChildRequests({ admin: deps.admin, literals, timing }),
            dynamics,
            literals: literalRequests,
            recovery,
            reservations,
            childAborted: (abort) => repository.forgetAbort(database, abort),
            partitionOf: (shard) => shard % bus.partitions(topics.commands),
            metrics,
            logger,
            now,
            timing,
            probe: deps.probe,
            inTrace: deps.inTrace,
            concurrency: config.concurrency,
          },
          answered,
        );
      },
      archiver: (trimmed) => new Archiver({ database, blob, repository, logger, timing }, trimmed),
    };
  }

  /** Takes shards and begins; resolves when this process owns what is free. */
  async start(): Promise<void> {
    const { bus } = this.deps;
    const partitions = bus.partitions(topics.commands);
    if (bus.partitions(topics.reports) !== partitions) {
      throw failedPrecondition(
        `${topics.commands} has ${partitions} partitions and ${topics.reports} has ${bus.partitions(topics.reports)}: ` +
          'they have to be the same, so that one process owns a run with its reports',
      );
    }
    this.stopped = false;
    this.observed = [topics.commands, topics.reports].map((topic) =>
      observeLag(this.deps.metrics, propellerGroup, topic, () => this.incarnation?.status(topic) ?? []),
    );
    this.begin();
    await this.balance();
    // Those that hold more than their share now that we are here make room at once.
    await this.leases.announce();
    this.renewal = this.timing.every(
      this.deps.config.leaseMs / 3,
      () => void this.balance().catch((error: unknown) => this.trouble(error)),
    );
  }

  /** Commits what was taken, gives the shards to others, and lets go. */
  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.quiet();
    await this.changing.catch(() => undefined);
    await this.incarnation?.stop();
    // First the member, then its shards: who hears of them counts itself as one of the others only.
    await this.members.leave();
    if (this.leases.held.length > 0) await this.leases.release(this.leases.held.map(({ stream }) => stream));
    else await this.leases.announce(); // Nothing to take, but one less to share with.
    await this.leases.close();
    await this.compiler.stop();
    this.notify();
  }

  /** Ends as a crash would: nothing is committed, given back or said. For tests. */
  async kill(): Promise<void> {
    this.stopped = true;
    this.quiet();
    this.incarnation?.kill(new Error('killed'));
    await this.leases.close();
    await this.compiler.stop();
  }

  private quiet(): void {
    this.renewal?.cancel();
    this.calm?.cancel();
    for (const end of this.observed.splice(0)) end();
  }

  status(): PropellerStatus {
    return {
      running: !this.stopped && !this.halted,
      partitions: this.incarnation?.held ?? [],
      runsInMemory: this.incarnation?.size ?? 0,
      ...(this.halted ? { halted: this.halted.message } : {}),
    };
  }

  /** Throws while nothing can be consumed: for the readiness check. */
  check(): void {
    if (this.halted) throw this.halted;
  }

  /** Resolves when what is owned changed, or an incarnation began. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.waiters.add(resolve));
  }

  /** Messages set aside, oldest first. */
  parked(limit: number): Promise<ParkedMessage[]> {
    return this.parking.list(limit);
  }

  /** Applies a parked key's messages again, in order; what fails again stays parked. Returns how many there were. */
  async release(key: string): Promise<number> {
    return (await this.incarnation?.release(key)) ?? 0;
  }

  /** A run's log, from its first entry on. NOT_FOUND when nothing is known of it. */
  history(uid: string, id: WorkflowExecutionIdentifier): Promise<LogEntry[]> {
    return this.histories.entries(uid, id);
  }

  private streams(partitions: readonly number[]) {
    return partitions.flatMap((partition) => [
      { topic: topics.commands, partition },
      { topic: topics.reports, partition },
    ]);
  }

  private begin(): void {
    const incarnation = new Incarnation(this.incarnationDeps, this.caution, (error) => this.failed(incarnation, error));
    this.incarnation = incarnation;
    incarnation.begin();
  }

  /** Another process gave shards up, came or went: however often that is heard meanwhile, one look is enough. */
  private wake(): void {
    if (this.waking || this.stopped) return;
    this.waking = true;
    void this.changing.then(() => this.balance()).catch((error: unknown) => this.trouble(error));
  }

  /** Renews leases, drops what was lost, takes or gives shards until this process holds its share. */
  private balance(): Promise<void> {
    this.waking = false;
    const next = this.changing.then(() => this.balanceNow());
    this.changing = next.catch(() => undefined);
    return next;
  }

  private async balanceNow(): Promise<void> {
    const { incarnation } = this;
    if (this.stopped || this.halted || !incarnation) return;
    const { bus } = this.deps;
    const all = Array.from({ length: bus.partitions(topics.commands) }, (_, partition) => partition);
    const renewed = pairs(await this.leases.renew());
    const lost = incarnation.held.filter((partition) => !renewed.has(partition));
    if (lost.length > 0) {
      this.deps.logger.warn({ partitions: lost }, 'shards have another owner now');
      await incarnation.give(lost);
    }
    // Reports follow commands. Where another process got a partition's commands alone (a session ended between the renewal
    // of the two), each would wait for the other's half.
    await this.letGo(({ stream }) => stream.topic === topics.reports && !renewed.has(stream.partition));
    await incarnation.keep();
    const { most: share } = await this.members.share(all.length, await this.leases.session());
    const given = surplus(incarnation.held, share);
    if (given.length > 0) {
      await incarnation.give(given);
      await this.leases.release(this.streams(given));
    }
    const begun = new Set(this.leases.held.map(({ stream }) => stream.partition));
    const free = all
      .filter((partition) => !incarnation.held.includes(partition) && !given.includes(partition))
      .sort((a, b) => Number(begun.has(b)) - Number(begun.has(a)));
    await this.take(incarnation, free, Math.max(share - incarnation.held.length, 0));
    await this.letGoOfUnused(incarnation, share);
    this.notify();
  }

  /** What is leased and not worked on keeps others from it: only what there is room for waits for its other half. */
  private async letGoOfUnused(incarnation: Incarnation, share: number): Promise<void> {
    if (this.incarnation !== incarnation) return;
    const used = new Set(incarnation.held);
    const unused = this.leases.held.map(({ stream }) => stream.partition).filter((partition) => !used.has(partition));
    const kept = new Set([...new Set(unused)].slice(0, Math.max(share - used.size, 0)));
    await this.letGo(({ stream }) => !used.has(stream.partition) && !kept.has(stream.partition));
  }

  private async letGo(these: (lease: HeldLease) => boolean): Promise<void> {
    const streams = this.leases.held.filter(these).map(({ stream }) => stream);
    if (streams.length > 0) await this.leases.release(streams);
  }

  private async take(incarnation: Incarnation, free: readonly number[], wanted: number): Promise<void> {
    const taken: { commands: HeldLease; reports: HeldLease }[] = [];
    for (const partition of free) {
      if (taken.length >= wanted) break;
      // The commands' lease decides; the reports' follows it.
      const [commands] = (await this.leases.acquire([{ topic: topics.commands, partition }])).filter(
        ({ stream }) => stream.topic === topics.commands && stream.partition === partition,
      );
      if (!commands) continue;
      const reports = (await this.leases.acquire([{ topic: topics.reports, partition }])).find(
        ({ stream }) => stream.topic === topics.reports && stream.partition === partition,
      );
      if (reports) taken.push({ commands, reports });
    }
    if (taken.length === 0 || this.incarnation !== incarnation) return;
    await this.parking.load(taken.flatMap(({ commands, reports }) => [commands.stream, reports.stream]));
    await incarnation.adopt(taken);
  }

  /** An incarnation is over: find out what kind of failure it was, and begin the next one. */
  private failed(incarnation: Incarnation, thrown: unknown): void {
    if (this.incarnation !== incarnation || this.stopped) return;
    const error = toAloftError(thrown instanceof CommitFailed ? thrown.error : thrown);
    const held = incarnation.held;
    this.caution = nextCaution(this.caution, thrown, error);
    if (!(thrown instanceof CommitFailed) && unreadable.has(error.code)) {
      this.halted = error;
      this.deps.logger.fatal({ err: error }, 'the propeller has stopped consuming');
      this.notify();
      return;
    }
    this.restarts += 1;
    const pause = Math.min(50 * 2 ** Math.min(this.restarts - 1, 7), 5_000);
    this.deps.logger.error(
      { err: error, partitions: held, pauseMs: pause },
      'commit failed: memory dropped, starting from the log',
    );
    this.calm?.cancel();
    this.changing = this.changing.then(() => this.again(pause)).catch((failure: unknown) => this.trouble(failure));
  }

  private async again(pauseMs: number): Promise<void> {
    await this.timing.pause(pauseMs);
    if (this.stopped) return;
    this.begin();
    const incarnation = this.incarnation!;
    const held = pairs(await this.leases.renew());
    await this.parking.load([...held.values()].flatMap(({ commands, reports }) => [commands.stream, reports.stream]));
    await incarnation.adopt([...held.values()]);
    this.calm = this.timing.after(calmMs, () => {
      this.restarts = 0;
      if (this.caution.oneByOne) this.relax(incarnation);
    });
    this.notify();
  }

  /** The commit that failed is behind us: commit many at once again. */
  private relax(incarnation: Incarnation): void {
    this.caution = careless;
    incarnation.relax();
  }

  private trouble(error: unknown): void {
    if (!this.stopped) this.deps.logger.error({ err: error }, 'shards could not be balanced');
  }

  private notify(): void {
    const waiters = [...this.waiters];
    this.waiters.clear();
    for (const waiter of waiters) waiter();
  }
}

/** What the next incarnation has to look out for. */
function nextCaution(before: Caution, thrown: unknown, error: AloftError): Caution {
  if (!(thrown instanceof CommitFailed)) return before;
  // A run was begun that exists: its start was read again after a crash.
  if (error.code === 'ALREADY_EXISTS') return { ...before, checkStarts: true };
  if (errorMapping[error.code].bus === 'retry' && error.code !== 'RESOURCE_EXHAUSTED')
    return { ...before, checkStarts: true };
  const [run] = thrown.runs;
  if (!before.oneByOne || thrown.runs.length !== 1 || run === undefined) {
    return { ...before, checkStarts: true, oneByOne: true };
  }
  return {
    oneByOne: true,
    checkStarts: true,
    condemned: new Map([...before.condemned, [run, `its commit is refused: ${error.message}`]]),
  };
}
