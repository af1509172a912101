import type { HeldLease, IncomingMessage, Stream } from '@aloft/bus';
import type { Request } from '@aloft/engine';
import { toAloftError, type AloftError } from '@aloft/errors';
import type { StartExecution } from '@aloft/idl/aloft/v1/bus';
import type { RequestAnswered } from '@aloft/idl/aloft/v1/engine';
import { Applier, type AppliedEffects } from '../commit/applier.js';
import { CommitBatch, type Deed } from '../commit/batch.js';
import { seal, type Move } from '../commit/seal.js';
import { CommitWriter } from '../commit/writer.js';
import { topics } from '../events/outgoing.js';
import { decodeMessage, ReaderTooOld, type DecodedMessage } from '../inputs/decode.js';
import { MessageGroup, type PendingInput } from '../inputs/pending-input.js';
import { StreamSource } from '../inputs/stream-source.js';
import type { Archiver } from '../runs/archiver.js';
import { RunEntry } from '../runs/run-entry.js';
import { RunLoader } from '../runs/run-loader.js';
import { TimerService } from '../timers/timer-service.js';
import { Gate } from './gate.js';
import { CommitFailed, type Caution, type IncarnationDeps, type Requests } from './incarnation-deps.js';
import { newRun, parkedMessages } from './run-beginnings.js';

interface Partition {
  commands: StreamSource;
  reports: StreamSource;
}

const sliceInputs = 256;
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * Everything that this process holds in memory about the shards it owns, and the loop that moves it: take inputs, apply them,
 * commit, perform. One commit is on its way at a time; what arrives meanwhile is applied to memory and gathered for the next.
 * Nothing leaves before its commit. When a commit fails, memory is ahead of the truth: the whole incarnation is thrown away
 * and another begins from what the database says.
 */
export class Incarnation implements AppliedEffects {
  private readonly entries = new Map<string, RunEntry>();
  private readonly partitions = new Map<number, Partition>();
  private readonly groups = new Set<MessageGroup>();
  private readonly inbox: PendingInput[] = [];
  private readonly resumed: RunEntry[] = [];
  /** Keys being released, and how many of their messages are still to be applied. */
  private readonly releasing = new Map<string, number>();
  private readonly applier: Applier;
  private readonly loader: RunLoader;
  private readonly timers: TimerService;
  private readonly requests: Requests;
  private readonly archiver: Archiver;
  private readonly writer: CommitWriter;
  private readonly work = new Gate();
  private readonly sweeper: NodeJS.Timeout;
  private open = new CommitBatch();
  private committing: Promise<void> | undefined;
  /** Reservations changed: their rows go with the next commit. */
  private dirty = false;
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
    this.applier = new Applier(deps, this);
    this.loader = new RunLoader(deps, (entry, error) => this.loaded(entry, error));
    this.timers = new TimerService(
      { ...deps, now: () => deps.clock.now(), horizonMs: deps.timerHorizonMs, windowSize: 10_000 },
      () => this.shards(),
      () => this.work.open(),
    );
    this.requests = deps.requests(
      (entry, request, answer) => this.answered(entry, request, answer),
      () => {
        this.dirty = true;
        this.work.open();
      },
    );
    this.archiver = deps.archiver((uid) => {
      this.entries.delete(uid);
      this.requests.forget(uid);
    });
    this.sweeper = setInterval(() => this.sweep(), Math.max(deps.limits.idleMs / 4, 1000));
    this.sweeper.unref();
  }

  begin(): void {
    this.loopEnded = this.loop().catch((error: unknown) => this.fail(error));
  }

  get held(): number[] {
    return [...this.partitions.keys()];
  }

  /** Runs in memory. */
  get size(): number {
    return this.entries.size;
  }

  /** Begins to own partitions: reads on from their stored positions, and takes up what was left undone. */
  async adopt(leases: readonly { commands: HeldLease; reports: HeldLease }[]): Promise<void> {
    if (leases.length === 0 || this.stopped) return;
    const { database, positions, bus, repository, limits } = this.deps;
    const streams = leases.flatMap(({ commands, reports }) => [commands.stream, reports.stream]);
    const stored = await database.transaction((tx) => positions.load(tx, streams));
    const shards = this.shards(leases.map(({ commands }) => commands.stream.partition));
    const undone = await repository.needingAttention(database, shards);
    const reservations = await repository.reservations(database, shards);
    const aborts = await repository.childAborts(database, shards);
    if (this.stopped) return;
    const source = (lease: HeldLease, position: bigint, acceptDelivered: boolean) =>
      new StreamSource(bus, lease, position, { acceptDelivered, maxBuffered: limits.maxBatchInputs * 2 }, () =>
        this.work.open(),
      );
    for (const [i, { commands, reports }] of leases.entries()) {
      this.partitions.set(commands.stream.partition, {
        commands: source(commands, stored[2 * i]!, false),
        reports: source(reports, stored[2 * i + 1]!, true),
      });
    }
    await this.keep();
    for (const { uid } of undone) this.entry(uid);
    this.requests.resume(reservations);
    this.requests.resumeChildAborts(aborts);
    await this.timers.refresh();
  }

  /** What the bus may forget, as far as we are concerned. */
  keep(): Promise<void> {
    const sources = [...this.partitions.values()].flatMap(({ commands, reports }) => [commands, reports]);
    return this.deps.bus.keep(
      this.deps.group,
      sources.map(({ stream, durable }) => ({ stream, position: durable })),
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
      for (const entry of this.entries.values()) if (entry.partition === partition) this.entries.delete(entry.uid);
      for (const group of this.groups) if (group.partition === partition) group.reject(error);
    }
  }

  /** Resolves when everything applied so far is durable. */
  async settled(): Promise<void> {
    while (!this.stopped && (this.committing || !this.open.empty)) {
      this.work.open();
      await (this.committing ?? nextTurn());
    }
  }

  /** Stops taking inputs, commits what was applied, and lets go. */
  async stop(): Promise<void> {
    this.paused = true;
    await this.settled();
    this.shut(undefined);
    await this.loopEnded;
  }

  /** Ends at once, as a crash would, but for what is with the database already. */
  kill(error: unknown): void {
    this.shut(error);
  }

  /**
   * Applies the parked messages of a key again, in order, and with them what comes meanwhile. Returns how many there were; they
   * are taken out of the parking place in the commit that applies the last of them.
   */
  async release(key: string): Promise<number> {
    if (this.releasing.has(key)) return 0;
    this.releasing.set(key, Infinity);
    // What is being parked now has to be there before the list is read.
    await this.settled();
    const messages = await parkedMessages(this.deps, key);
    if (this.stopped || messages.length === 0) {
      this.releasing.delete(key);
      return 0;
    }
    this.releasing.set(key, messages.length);
    for (const message of messages) this.again(message);
    this.work.open();
    return messages.length;
  }

  releaseSettled({ envelope: { key }, stream }: IncomingMessage): void {
    const remaining = (this.releasing.get(key) ?? 1) - 1;
    this.releasing.set(key, remaining);
    if (remaining > 0) return;
    this.open.released.push(key);
    this.open.partitions.add(stream.partition);
  }

  timerSet(entry: RunEntry, timer: bigint, at: number): void {
    this.timers.set(entry.uid, timer, at);
  }

  timerCancelled(entry: RunEntry, timer: bigint): void {
    this.timers.cancel(entry.uid, timer);
  }

  quarantined(): void {
    this.deps.metrics.quarantined.inc();
  }

  startEarly(entry: RunEntry, request: Request): boolean {
    if (!this.requests.mayStartEarly(request.ask)) return false;
    entry.asked.add(request.request);
    this.requests.perform(entry, request);
    return true;
  }

  private shards(partitions: readonly number[] = this.held): number[] {
    const count = this.deps.bus.partitions(topics.commands);
    const shards: number[] = [];
    for (let shard = 0; shard < 1024; shard += 1) if (partitions.includes(shard % count)) shards.push(shard);
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
      await nextTurn();
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
    const { maxBatchInputs, maxBatchBytes } = this.deps.limits;
    return this.open.inputs >= maxBatchInputs || this.open.bytes >= maxBatchBytes;
  }

  private hasWork(): boolean {
    if (!this.committing && !this.open.empty) return true;
    if (this.full) return false;
    if (this.dirty) return true;
    if (this.inbox.length > 0 || this.resumed.length > 0) return true;
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
    const before = this.open.inputs;
    let limit = this.caution.oneByOne ? 1 : sliceInputs;
    while (limit > 0 && this.resumed.length > 0) this.resume(this.resumed.shift()!);
    while (limit > 0 && this.inbox.length > 0 && !this.full) {
      this.feed(this.inbox.shift()!);
      limit -= 1;
    }
    if (this.paused) return;
    for (const { uid, timer } of limit > 0 ? this.timers.due(limit) : []) this.fire(uid, timer);
    for (const { commands, reports } of this.partitions.values()) {
      for (const source of [commands, reports]) {
        if (limit <= 0 || this.full || !this.readable(source)) continue;
        const batch = source.take(limit);
        if (!batch) continue;
        limit -= batch.messages.length;
        const group = new MessageGroup(batch, source.stream.partition, () => this.groups.delete(group));
        this.groups.add(group);
        for (const message of batch.messages) this.receive(source, message, group);
      }
    }
    const applied = this.open.inputs - before;
    if (applied > 0) {
      this.deps.metrics.applied.inc(applied);
      this.deps.metrics.applyTime.observe(Number(process.hrtime.bigint() - started) / 1e9);
    }
  }

  private receive(source: StreamSource, message: IncomingMessage, group: MessageGroup): void {
    const { position } = message;
    if (position !== null && source.tracker.seen(position)) {
      this.open.settled.push(group);
      return;
    }
    const applied = position === null ? () => undefined : source.tracker.take(position);
    const origin = { kind: 'message', message, group, applied } as const;
    const { key } = message.envelope;
    let decoded: DecodedMessage;
    try {
      decoded = decodeMessage(message);
    } catch (error) {
      if (error instanceof ReaderTooOld) throw error;
      this.parkMessage({ uid: '', input: { input: undefined }, origin }, `malformed: ${toAloftError(error).message}`);
      return;
    }
    const pending: PendingInput = { uid: decoded.uid, input: decoded.input, encoded: decoded.encoded, origin };
    if (this.deps.parking.isParked(key) && !this.releasing.has(key)) {
      this.parkMessage(pending, 'an earlier message of its key is parked');
      return;
    }
    this.feed(pending, decoded.start);
  }

  /** A parked message gets another chance; its run is loaded anew. */
  private again(message: IncomingMessage): void {
    const origin = { kind: 'released', message } as const;
    try {
      const { uid, input, encoded, start } = decodeMessage(message);
      const entry = this.entries.get(uid);
      if (entry?.state === 'quarantined') this.entries.delete(uid);
      this.entry(uid).releasing = true;
      this.feed({ uid, input, encoded, origin }, start);
    } catch (error) {
      const pending: PendingInput = { uid: '', input: { input: undefined }, origin };
      this.parkMessage(pending, `malformed: ${toAloftError(error).message}`);
    }
  }

  private feed(pending: PendingInput, start?: StartExecution): void {
    const { uid, origin } = pending;
    const known = this.entries.get(uid);
    if (origin.kind === 'answer') {
      if (known?.open.has(origin.request)) this.feedEntry(known, pending);
      return;
    }
    if (!known && start && origin.kind === 'message' && !this.caution.checkStarts) {
      this.beginRun(new RunEntry(uid), pending, start, origin.message);
      return;
    }
    this.feedEntry(this.entry(uid), pending);
  }

  private feedEntry(entry: RunEntry, pending: PendingInput): void {
    switch (entry.state) {
      case 'loading':
        entry.queue.push(pending);
        return;
      case 'ready':
        this.applyTo(entry, pending);
        return;
      case 'quarantined':
        this.parkMessage(pending, entry.quarantine ?? 'its run is quarantined');
        return;
      case 'ended':
        // The tombstone: what comes late changes nothing.
        this.applier.settle(pending, this.open);
        this.touch(pending);
        return;
      case 'unknown':
        if (pending.input.input?.$case === 'started' && 'message' in pending.origin) {
          this.beginRun(entry, pending, pending.input.input.value, pending.origin.message);
        } else this.parkMessage(pending, `there is no run ${entry.uid}: its start has never been seen`);
    }
  }

  private applyTo(entry: RunEntry, pending: PendingInput): void {
    const condemned = this.caution.condemned.get(entry.uid);
    if (condemned !== undefined) {
      this.applier.quarantine(entry, pending, new Error(condemned), this.open);
      return;
    }
    // The start of a run that is here has been applied before.
    if (pending.input.input?.$case === 'started' && entry.nextSeq > 1n) {
      this.applier.settle(pending, this.open);
      this.touch(pending);
      return;
    }
    const missing = this.applier.missingGraph(entry, pending.input);
    if (missing) {
      entry.state = 'loading';
      entry.queue.push(pending);
      void this.loader.graph(entry, missing);
      return;
    }
    this.applier.apply(entry, pending, this.open);
  }

  private beginRun(entry: RunEntry, pending: PendingInput, start: StartExecution, message: IncomingMessage): void {
    newRun(entry, start, message.envelope, this.deps.engine);
    entry.partition = message.stream.partition;
    this.entries.set(entry.uid, entry);
    if (this.caution.condemned.has(entry.uid)) {
      this.entries.delete(entry.uid);
      this.parkMessage(pending, this.caution.condemned.get(entry.uid)!);
      return;
    }
    this.open.change(entry).created = true;
    this.applyTo(entry, pending);
  }

  private parkMessage(pending: PendingInput, reason: string): void {
    // Timers and answers are not messages: a released run finds the former in their rows and asks for the latter again.
    if (!('message' in pending.origin)) return;
    this.deps.logger.warn({ run: pending.uid, reason }, 'message parked');
    this.deps.metrics.parked.inc();
    this.applier.park(pending, reason, this.open);
    this.touch(pending);
  }

  /** The position of a message that changes no run moves all the same. */
  private touch({ origin }: PendingInput): void {
    if (origin.kind === 'message' && origin.message.position !== null) {
      this.open.partitions.add(origin.message.stream.partition);
    }
  }

  private fire(uid: string, timer: bigint): void {
    const pending: PendingInput = {
      uid,
      input: { input: { $case: 'timerFired', value: { timer } } },
      origin: { kind: 'timer', timer },
    };
    this.feedEntry(this.entry(uid), pending);
  }

  private answered(entry: RunEntry, request: bigint, answer: RequestAnswered['answer']): void {
    if (this.stopped || this.entries.get(entry.uid) !== entry || !entry.open.has(request)) return;
    this.inbox.push({
      uid: entry.uid,
      input: { input: { $case: 'answered', value: { request, answer } } },
      origin: { kind: 'answer', request },
    });
    this.work.open();
  }

  /** The entry of a run, being loaded if it is not here. */
  private entry(uid: string): RunEntry {
    const known = this.entries.get(uid);
    if (known) return known;
    const entry = new RunEntry(uid);
    this.entries.set(uid, entry);
    this.loader.request(entry);
    return entry;
  }

  private loaded(entry: RunEntry, error?: AloftError): void {
    if (this.stopped || this.entries.get(entry.uid) !== entry) return;
    entry.failure = error;
    this.resumed.push(entry);
    this.work.open();
  }

  /** A run came into memory: what waited for it is applied, what it waits for is asked again. */
  private resume(entry: RunEntry): void {
    if (this.entries.get(entry.uid) !== entry) return;
    const queue = entry.queue.splice(0);
    if (entry.failure) {
      this.unloadable(entry, queue, entry.failure);
      return;
    }
    if (entry.state === 'loading') entry.state = 'ready';
    if (entry.identity) entry.partition = this.partitionOf(entry.identity.shard);
    if (entry.identity && !this.partitions.has(entry.partition)) {
      this.entries.delete(entry.uid);
      return;
    }
    if (entry.state === 'ready' && entry.releasing) this.unquarantine(entry);
    if (entry.state === 'ready' && entry.fresh) this.takeUp(entry);
    for (const pending of queue) this.feedEntry(entry, pending);
    // A tombstone is looked up again if it is needed again.
    if (entry.state === 'ended' || entry.state === 'unknown') this.entries.delete(entry.uid);
  }

  /** What a run just restored waits for is asked again; what it left undone is done. */
  private takeUp(entry: RunEntry): void {
    entry.fresh = false;
    for (const [request, ask] of entry.open) {
      entry.asked.add(request);
      this.requests.perform(entry, { kind: 'request', request, ask });
    }
    if (entry.run!.finished) this.archive(entry);
  }

  private unquarantine(entry: RunEntry): void {
    entry.releasing = false;
    if (entry.quarantine === undefined) return;
    entry.quarantine = undefined;
    this.applier.released(entry, this.open);
    void this.deps.repository.timersOf(this.deps.database, entry.uid).then(
      (timers) => timers.forEach(({ timer, at }) => this.timers.set(entry.uid, timer, at)),
      (error: unknown) => this.fail(error),
    );
  }

  /** Its data is lost or not understood: its messages wait with the reason. */
  private unloadable(entry: RunEntry, queue: PendingInput[], error: AloftError): void {
    entry.failure = undefined;
    const [first, ...others] = queue;
    if (entry.identity && first) this.applier.quarantine(entry, first, error, this.open);
    else {
      this.entries.delete(entry.uid);
      this.deps.logger.error({ err: error, run: entry.uid }, 'run cannot be loaded');
      if (first) this.parkMessage(first, `its run cannot be loaded: ${error.message}`);
    }
    for (const pending of others) this.parkMessage(pending, `its run cannot be loaded: ${error.message}`);
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
    this.committing = this.writer
      .write(sealed, batch)
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

  /** Every partition that the commit touches, with the epoch it is held under; streams move as far as they are applied. */
  private moves(batch: CommitBatch): Move[] {
    const moves: Move[] = [];
    for (const number of [...batch.partitions].sort((a, b) => a - b)) {
      const partition = this.partitions.get(number);
      if (!partition) throw new Error(`partition ${number} is not held`);
      for (const source of [partition.commands, partition.reports]) {
        const to = source.tracker.applied;
        if (to === source.stored && source !== partition.commands) continue;
        moves.push({ stream: source.stream, from: source.stored, to, epoch: source.epoch });
        source.stored = to;
      }
    }
    return moves;
  }

  private committed(batch: CommitBatch, moves: readonly Move[]): void {
    for (const { stream, to } of moves) this.sourceOf(stream).durable = to;
    for (const key of batch.released) this.releasing.delete(key);
    for (const group of batch.settled) group.settle();
    for (const [entry, change] of batch.changes) {
      entry.uncommitted -= 1;
      if (change.pageOut && entry.idle && entry.lastUsed <= change.pagedOutAt) this.entries.delete(entry.uid);
    }
    for (const deed of batch.deeds) this.perform(deed);
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
    this.archiver.add({ uid: entry.uid, id: entry.identity!.id });
  }

  /** Lets runs go that nothing has happened to for a while, oldest first. */
  private sweep(): void {
    if (this.stopped || this.paused) return;
    const { maxIdleRuns, idleMs } = this.deps.limits;
    const now = this.deps.clock.now();
    const idle = [...this.entries.values()].filter((entry) => entry.idle);
    idle.sort((a, b) => a.lastUsed - b.lastUsed);
    for (const [i, entry] of idle.entries()) {
      if (i >= idle.length - maxIdleRuns && now - entry.lastUsed < idleMs) break;
      if (entry.state !== 'ready' || (entry.logBytes === 0 && !entry.attention)) this.entries.delete(entry.uid);
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
    clearInterval(this.sweeper);
    this.timers.stop();
    this.loader.stop();
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
