import type { HeldLease, StoredPosition, Stream } from '@aloft/bus';
import { toAloftError } from '@aloft/errors';
import { isTracing, withLinkedSpan } from '@aloft/telemetry';
import { CommitBatch, type Deed, type RunChange } from '../commit/batch.js';
import { seal, type Move, type SealedCommit } from '../commit/seal.js';
import { CommitWriter } from '../commit/writer.js';
import { topics } from '../events/outgoing.js';
import type { RunIdentity } from '../events/run-identity.js';
import { MessageGroup } from '../inputs/pending-input.js';
import { StreamSource } from '../inputs/stream-source.js';
import type { Archiver } from '../runs/archiver.js';
import type { RunEntry } from '../runs/run-entry.js';
import type { Alarm } from '../runs/timing.js';
import { countEnds, logEnds, traceEnds } from '../trace/tell-ends.js';
import { TimerService } from '../timers/timer-service.js';
import { Dispatcher } from './dispatcher.js';
import { Gate } from './gate.js';
import { CommitFailed, type Caution, type IncarnationDeps, type Requests } from './incarnation-deps.js';

interface Partition {
  commands: StreamSource;
  reports: StreamSource;
}

/** What is applied before everything else of the process gets its turn: inputs, and what they make runs want. */
const sliceInputs = 512;
const sliceEffects = 8192;
/** Messages taken at once: one, then twice as many each time, until they make runs want so much more than most do. */
const maxPortion = 64;
const usualEffects = 64;
/** Milliseconds between looks for idle runs when there are too many in memory; and how many leave it in one commit at most. */
const crowdedSweepMs = 1000;
const pagedAtOnce = 2000;

/**
 * Everything that this process holds in memory about the shards it owns, and the loop that moves it: take inputs, apply them,
 * commit, perform. One commit is on its way at a time; what arrives meanwhile is applied to memory and gathered for the next.
 * Nothing leaves before its commit. When a commit fails, memory is ahead of the truth: the whole incarnation is thrown away
 * and another begins from what the database says.
 */
export class Incarnation {
  private readonly dispatcher: Dispatcher;
  private readonly partitions = new Map<number, Partition>();
  private readonly groups = new Set<MessageGroup>();
  private readonly timers: TimerService;
  private readonly requests: Requests;
  private readonly archiver: Archiver;
  private readonly writer: CommitWriter;
  private readonly work = new Gate();
  private readonly sweeper: Alarm;
  private open = new CommitBatch();
  private committing: Promise<void> | undefined;
  /** Reservations changed: their rows go with the next commit. */
  private dirty = false;
  private sweptAt = 0;
  private paused = false;
  private stopped = false;
  private loopEnded: Promise<void> = Promise.resolve();

  constructor(
    private readonly deps: IncarnationDeps,
    private caution: Caution,
    /** Called once; nothing of this incarnation does anything any more. */
    private readonly failed: (error: unknown) => void,
  ) {
    this.writer = new CommitWriter(deps);
    this.timers = new TimerService(
      { ...deps, now: () => deps.clock.now(), horizonMs: deps.timerHorizonMs, windowSize: 10_000 },
      () => this.shards(),
      () => this.work.open(),
    );
    this.requests = deps.requests(
      (entry, request, answer) => this.dispatcher.answered(entry, request, answer),
      () => {
        this.dirty = true;
        this.work.open();
      },
    );
    this.archiver = deps.archiver((uid) => {
      this.dispatcher.entries.delete(uid);
      this.requests.forget(uid);
    });
    this.dispatcher = new Dispatcher(deps, {
      batch: () => this.open,
      caution: () => this.caution,
      timers: this.timers,
      requests: this.requests,
      partitionOf: (shard) => this.partitionOf(shard),
      holds: (partition) => this.partitions.has(partition),
      archive: (entry) => this.archive(entry),
      wake: () => this.work.open(),
      settled: () => this.settled(),
      fail: (error) => this.fail(error),
      stopped: () => this.stopped,
    });
    this.sweeper = deps.timing.every(Math.max(deps.limits.idleMs / 4, 1000), () => this.sweep());
  }

  begin(): void {
    this.loopEnded = this.loop().catch((error: unknown) => this.fail(error));
  }

  get held(): number[] {
    return [...this.partitions.keys()];
  }

  /** Streams of a topic that this process owns. */
  status(topic: string) {
    const sources = [...this.partitions.values()].flatMap(({ commands, reports }) => [commands, reports]);
    return sources.map(({ status }) => status).filter(({ stream }) => stream.topic === topic);
  }

  /** Runs in memory. */
  get size(): number {
    return this.dispatcher.entries.size;
  }

  /** Begins to own partitions: reads on from their stored positions, and takes up what was left undone. */
  async adopt(leases: readonly { commands: HeldLease; reports: HeldLease }[]): Promise<void> {
    if (leases.length === 0 || this.stopped) return;
    const { database, positions, bus, repository, limits } = this.deps;
    const streams = leases.flatMap(({ commands, reports }) => [commands.stream, reports.stream]);
    const stored = await database.transaction((tx) => positions.restore(tx, streams));
    const shards = this.shards(leases.map(({ commands }) => commands.stream.partition));
    const undone = await repository.needingAttention(database, shards);
    const reservations = await repository.reservations(database, shards);
    const aborts = await repository.childAborts(database, shards);
    if (this.stopped) return;
    const source = (lease: HeldLease, position: StoredPosition, acceptDelivered: boolean) =>
      new StreamSource(bus, lease, position, { acceptDelivered, maxBuffered: limits.maxBatchInputs * 2 }, () =>
        this.work.open(),
      );
    for (const [i, { commands, reports }] of leases.entries()) {
      this.partitions.set(commands.stream.partition, {
        commands: source(commands, stored[2 * i]!, false),
        reports: source(reports, stored[2 * i + 1]!, true),
      });
    }
    // At once, with the partitions: what fails after this is not begun again.
    for (const { uid } of undone) this.dispatcher.entry(uid);
    this.requests.resume(reservations);
    this.requests.resumeChildAborts(aborts);
    await Promise.all([this.timers.refresh(), this.keep()]);
  }

  /** What the bus may forget, as far as we are concerned. */
  keep(): Promise<void> {
    const sources = [...this.partitions.values()].flatMap(({ commands, reports }) => [commands, reports]);
    return this.deps.bus.keep(
      this.deps.group,
      sources.map(({ stream, reached }) => ({ stream, position: reached })),
    );
  }

  /** The commit that failed is behind us. */
  relax(): void {
    this.caution = { ...this.caution, oneByOne: false };
  }

  /** Gives partitions up: what was taken of them is committed first, then their memory is dropped. */
  async give(partitions: readonly number[]): Promise<void> {
    const given = partitions.flatMap((partition) => {
      const owned = this.partitions.get(partition);
      return owned ? [{ partition, owned }] : [];
    });
    await Promise.all(given.flatMap(({ owned }) => [owned.commands.close(), owned.reports.close()]));
    await this.settled();
    const error = new Error('the partition has another owner now');
    for (const { partition } of given) {
      this.partitions.delete(partition);
      this.dispatcher.drop(partition);
      this.requests.drop(partition);
      for (const group of this.groups) if (group.partition === partition) group.reject(error);
    }
  }

  /** Resolves when everything applied so far is durable. */
  async settled(): Promise<void> {
    while (!this.stopped && (this.committing || !this.open.empty)) {
      this.work.open();
      await (this.committing ?? this.deps.timing.nextTurn());
    }
  }

  /** Stops taking inputs, commits what was applied, and lets go. */
  async stop(): Promise<void> {
    this.paused = true;
    await this.settled();
    this.shut(undefined);
    await this.loopEnded;
  }

  /** Applies the parked messages of a key again. Returns how many there were. */
  release(key: string): Promise<number> {
    return this.dispatcher.release(key);
  }

  /** Ends at once, as a crash would, but for what is with the database already. */
  kill(error: unknown): void {
    this.shut(error);
  }

  private shards(partitions: readonly number[] = this.held): number[] {
    const count = this.deps.bus.partitions(topics.commands);
    const shards: number[] = [];
    for (const partition of partitions) for (let shard = partition; shard < 1024; shard += count) shards.push(shard);
    return shards;
  }

  private partitionOf(shard: number): number {
    return shard % this.deps.bus.partitions(topics.commands);
  }

  private async loop(): Promise<void> {
    while (!this.stopped) {
      if (!this.hasWork()) {
        this.work.close();
        await this.work.passed();
      }
      // What arrives in the same turn belongs to the same commit.
      await this.deps.timing.nextTurn();
      if (this.stopped) return;
      if (!this.full) this.collect();
      if (this.dirty) {
        this.dirty = false;
        this.requests.takeReservations(this.open);
      }
      if (!this.committing && !this.open.empty) this.commit();
    }
  }

  private get full(): boolean {
    if (this.caution.oneByOne && (this.committing || !this.open.empty)) return true;
    // Inputs that changed nothing are not committed, so no commit would ever make room again.
    if (this.open.empty) return false;
    const { maxBatchInputs, maxBatchEffects, maxBatchBytes } = this.deps.limits;
    const { inputs, effects, bytes } = this.open;
    return inputs >= maxBatchInputs || effects >= maxBatchEffects || bytes >= maxBatchBytes;
  }

  private hasWork(): boolean {
    if (!this.committing && !this.open.empty) return true;
    if (this.full) return false;
    if (this.dirty) return true;
    if (this.dispatcher.hasWork) return true;
    if (this.paused) return false;
    if (this.timers.ready) return true;
    return [...this.partitions.values()].some(
      ({ commands, reports }) => this.readable(commands) || this.readable(reports),
    );
  }

  private readable(source: StreamSource): boolean {
    return source.readable && source.tracker.waiting < this.deps.limits.maxWaiting;
  }

  /** Applies a slice of what is there: a long one would keep the answer of the commit on its way waiting. */
  private collect(): void {
    const started = process.hrtime.bigint();
    const { inputs: before, effects } = this.open;
    const enough = () => this.full || this.open.effects - effects >= sliceEffects;
    let limit = this.dispatcher.work(this.caution.oneByOne ? 1 : sliceInputs, enough);
    if (this.paused) return;
    for (const { uid, timer } of limit > 0 && !enough() ? this.timers.due(limit) : []) this.dispatcher.fire(uid, timer);
    for (const { commands, reports } of this.partitions.values())
      for (const source of [commands, reports]) limit -= this.receive(source, limit, enough);
    const applied = this.open.inputs - before;
    if (applied > 0) {
      this.deps.metrics.applied.inc(applied);
      this.deps.metrics.applyTime.observe(Number(process.hrtime.bigint() - started) / 1e9);
    }
  }

  /** Takes and applies messages of a stream until it is empty or it is `enough`, at most `limit`; returns how many. */
  private receive(source: StreamSource, limit: number, enough: () => boolean): number {
    let received = 0;
    while (received < limit && !enough() && this.readable(source)) {
      const { effects } = this.open;
      const batch = source.take(Math.min(source.portion, limit - received));
      if (!batch) break;
      const { length } = batch.messages;
      received += length;
      const group = new MessageGroup(batch, source.stream.partition, () => this.groups.delete(group));
      this.groups.add(group);
      for (const message of batch.messages) this.dispatcher.receive(source, message, group);
      source.portion =
        this.open.effects - effects > length * usualEffects ? 1 : Math.min(2 * source.portion, maxPortion);
    }
    return received;
  }

  private commit(): void {
    const batch = this.open;
    this.open = new CommitBatch();
    const started = process.hrtime.bigint();
    let sealed: ReturnType<typeof seal>;
    try {
      sealed = seal(batch, this.moves(batch), this.deps.clock.now(), {
        minLogBytes: this.deps.limits.snapshotMinLogBytes,
      });
    } catch (error) {
      this.fail(error);
      return;
    }
    this.committing = this.write(batch, sealed)
      .then(
        () => {
          if (this.stopped) return;
          this.committing = undefined;
          this.deps.metrics.commitTime.observe(Number(process.hrtime.bigint() - started) / 1e9);
          this.deps.metrics.batchSize.observe(batch.inputs);
          this.committed(batch, sealed.moves);
        },
        (error: unknown) =>
          this.fail(
            new CommitFailed(
              toAloftError(error),
              [...batch.changes.keys()].map(({ uid }) => uid),
            ),
          ),
      )
      .finally(() => this.work.open());
  }

  private write(batch: CommitBatch, sealed: SealedCommit): Promise<void> {
    if (!isTracing()) return this.writer.write(sealed, batch);
    const traces = [...batch.changes.keys()].flatMap(({ identity }) => (identity ? [identity.trace] : []));
    const attributes = { 'aloft.inputs': batch.inputs, 'aloft.runs': batch.changes.size };
    return withLinkedSpan(traces, 'commit', attributes, () => this.writer.write(sealed, batch), {
      scope: 'aloft.propeller',
    });
  }

  /** Every partition that the commit touches, with the epoch it is held under; streams move as far as they are applied. */
  private moves(batch: CommitBatch): Move[] {
    const moves: Move[] = [];
    for (const number of [...batch.partitions].sort((a, b) => a - b)) {
      const partition = this.partitions.get(number);
      if (!partition) throw new Error(`partition ${number} is not held`);
      for (const source of [partition.commands, partition.reports]) {
        const to = source.tracker.applied;
        if (to === source.stored && source !== partition.commands) continue;
        moves.push({ stream: source.stream, from: source.stored, to, epoch: source.epoch, mark: source.mark(to) });
        source.stored = to;
      }
    }
    return moves;
  }

  private committed(batch: CommitBatch, moves: readonly Move[]): void {
    for (const { stream, to } of moves) this.sourceOf(stream).durable = to;
    this.dispatcher.releasedFor(batch.released);
    for (const group of batch.settled) group.settle();
    const now = this.deps.clock.now();
    for (const [entry, change] of batch.changes) {
      entry.uncommitted -= 1;
      if (entry.identity) this.observe(entry.identity, change, now);
      if (change.pageOut && entry.idle && entry.lastUsed <= change.pagedOutAt)
        this.dispatcher.entries.delete(entry.uid);
    }
    for (const deed of batch.deeds) this.perform(deed);
    // Many runs that begin and wait would be many in memory before the next look at all.
    if (this.size > 2 * this.deps.limits.maxIdleRuns && now >= this.sweptAt + crowdedSweepMs) this.sweep();
  }

  private observe(run: RunIdentity, { launches, ended }: RunChange, now: number): void {
    const { metrics } = this.deps;
    if (launches > 0) metrics.launches.inc({ project: metrics.project(run.id.project) }, launches);
    if (ended.length === 0) return;
    countEnds(metrics, run, ended, now);
    logEnds(this.deps.logger, run, ended);
    traceEnds(run, ended, now);
  }

  private sourceOf({ topic, partition }: Stream): StreamSource {
    const { commands, reports } = this.partitions.get(partition)!;
    return topic === topics.commands ? commands : reports;
  }

  private perform(deed: Deed): void {
    const { entry } = deed;
    if (deed.kind === 'archive') {
      if (entry.uncommitted === 0) this.archive(entry);
      else this.open.deeds.push(deed);
    } else if (deed.kind === 'effect') {
      if (deed.effect.kind === 'abort-child') this.requests.abortChild(entry, deed.effect);
      else this.requests.releaseReservation(entry, deed.effect);
    } else if (entry.open.has(deed.request.request) && !entry.asked.has(deed.request.request)) {
      entry.asked.add(deed.request.request);
      this.requests.perform(entry, deed.request);
    }
  }

  private archive(entry: RunEntry): void {
    entry.archiving = true;
    entry.letGo();
    this.archiver.add({ uid: entry.uid, id: entry.identity!.id });
  }

  /** Lets runs go that nothing has happened to for a while, oldest first. */
  private sweep(): void {
    if (this.stopped || this.paused) return;
    const { maxIdleRuns, idleMs } = this.deps.limits;
    const now = this.deps.clock.now();
    this.sweptAt = now;
    const idle = [...this.dispatcher.entries.values()].filter((entry) => entry.idle);
    idle.sort((a, b) => a.lastUsed - b.lastUsed);
    for (const [i, entry] of idle.slice(0, pagedAtOnce).entries()) {
      if (i >= idle.length - maxIdleRuns && now - entry.lastUsed < idleMs) break;
      if (entry.state !== 'ready' || (entry.logBytes === 0 && !entry.attention))
        this.dispatcher.entries.delete(entry.uid);
      else {
        const change = this.open.change(entry);
        change.pageOut = true;
        change.pagedOutAt = now;
      }
      if (this.full) break;
    }
    this.work.open();
  }

  private fail(error: unknown): void {
    if (this.stopped) return;
    this.shut(error);
    this.failed(error);
  }

  private shut(error: unknown): void {
    if (this.stopped) return;
    this.stopped = true;
    this.sweeper.cancel();
    this.timers.stop();
    this.dispatcher.stop();
    this.requests.stop();
    this.archiver.stop();
    for (const { commands, reports } of this.partitions.values()) {
      void commands.close();
      void reports.close();
    }
    for (const group of this.groups) group.reject(error ?? new Error('the propeller has stopped'));
    this.work.open();
  }
}
