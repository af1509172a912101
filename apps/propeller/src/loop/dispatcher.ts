import type { IncomingMessage } from '@aloft/bus';
import type { ReleaseReservation, Request } from '@aloft/engine';
import { toAloftError, type AloftError } from '@aloft/errors';
import type { StartExecution } from '@aloft/idl/aloft/v1/bus';
import type { RequestAnswered } from '@aloft/idl/aloft/v1/engine';
import { runFields } from '@aloft/telemetry';
import { Applier, type AppliedEffects } from '../commit/applier.js';
import type { CommitBatch } from '../commit/batch.js';
import { decodeMessage, ReaderTooOld, type DecodedMessage } from '../inputs/decode.js';
import type { MessageGroup, PendingInput } from '../inputs/pending-input.js';
import type { StreamSource } from '../inputs/stream-source.js';
import { RunEntry } from '../runs/run-entry.js';
import { RunLoader } from '../runs/run-loader.js';
import type { TimerService } from '../timers/timer-service.js';
import type { Caution, IncarnationDeps, Requests } from './incarnation-deps.js';
import { newRun, parkedMessages } from './run-beginnings.js';

/** What surrounds the dispatcher: the loop that commits what it applies. */
export interface DispatcherHost {
  /** The batch being filled. */
  batch(): CommitBatch;
  caution(): Caution;
  readonly timers: TimerService;
  readonly requests: Requests;
  partitionOf(shard: number): number;
  holds(partition: number): boolean;
  archive(entry: RunEntry): void;
  /** Something is to be done. */
  wake(): void;
  /** Resolves when everything applied so far is durable. */
  settled(): Promise<void>;
  fail(error: unknown): void;
  stopped(): boolean;
}

/**
 * Finds the run that an input is for, in memory or not, and gives it to the engine, parks it, or lets it wait until its run is here.
 * Never waits itself.
 */
export class Dispatcher implements AppliedEffects {
  readonly entries = new Map<string, RunEntry>();
  private readonly inbox: { entry: RunEntry; request: bigint; pending: PendingInput }[] = [];
  private readonly resumed: RunEntry[] = [];
  /** Keys being released, and how many of their messages are still to be applied. */
  private readonly releasing = new Map<string, number>();
  private readonly applier: Applier;
  private readonly loader: RunLoader;

  constructor(
    private readonly deps: IncarnationDeps,
    private readonly host: DispatcherHost,
  ) {
    this.applier = new Applier(deps, this);
    this.loader = new RunLoader(deps, (entry, error) => this.loaded(entry, error));
  }

  stop(): void {
    this.loader.stop();
  }

  /** Answers, and runs that came into memory, wait to be dealt with. */
  get hasWork(): boolean {
    return this.inbox.length > 0 || this.resumed.length > 0;
  }

  /** Deals with them until it is `enough`, at most `limit` answers; returns how many were left of the limit. */
  work(limit: number, enough: () => boolean): number {
    while (limit > 0 && this.resumed.length > 0 && !enough()) this.resume(this.resumed.shift()!);
    let left = limit;
    while (left > 0 && this.inbox.length > 0 && !enough()) {
      const { entry, request, pending } = this.inbox.shift()!;
      if (this.isAwaited(entry, request)) this.feedEntry(entry, pending);
      left -= 1;
    }
    return left;
  }

  /** Drops the runs of a partition that is another's now. */
  drop(partition: number): void {
    for (const entry of this.entries.values()) if (entry.partition === partition) this.entries.delete(entry.uid);
  }

  /** The parked messages of these keys are out of their place, durably. */
  releasedFor(keys: readonly string[]): void {
    for (const key of keys) this.releasing.delete(key);
  }

  /**
   * Applies the parked messages of a key again, in order, and with them what comes meanwhile. Returns how many there were; they
   * are taken out of the parking place in the commit that applies the last of them.
   */
  async release(key: string): Promise<number> {
    if (this.releasing.has(key)) return 0;
    this.releasing.set(key, Infinity);
    // What is being parked now has to be there before the list is read.
    await this.host.settled();
    const messages = await parkedMessages(this.deps, key);
    if (this.host.stopped() || messages.length === 0) {
      this.releasing.delete(key);
      return 0;
    }
    this.releasing.set(key, messages.length);
    for (const message of messages) this.again(message);
    this.host.wake();
    return messages.length;
  }

  releaseSettled({ envelope: { key }, stream }: IncomingMessage): void {
    const remaining = (this.releasing.get(key) ?? 1) - 1;
    this.releasing.set(key, remaining);
    if (remaining > 0) return;
    this.host.batch().released.push(key);
    this.host.batch().partitions.add(stream.partition);
  }

  timerSet(entry: RunEntry, timer: bigint, at: number): void {
    this.host.timers.set(entry.uid, timer, at);
  }

  timerCancelled(entry: RunEntry, timer: bigint): void {
    this.host.timers.cancel(entry.uid, timer);
  }

  quarantined(): void {
    this.deps.metrics.quarantined.inc();
  }

  reservationOver(effect: ReleaseReservation): void {
    this.host.requests.reservationOver(effect);
  }

  startEarly(entry: RunEntry, request: Request): boolean {
    if (!this.host.requests.mayStartEarly(request.ask)) return false;
    entry.asked.add(request.request);
    this.host.requests.perform(entry, request);
    return true;
  }

  /** A run that was stopped while it asked for a reservation keeps none: nobody would ever give it back. */
  unwanted(entry: RunEntry, ask: Request['ask']): void {
    if (ask.kind !== 'cache-lookup' || !ask.reserve) return;
    const { template, inputs, settings, attempt } = ask;
    this.host.requests.releaseReservation(entry, { kind: 'release-reservation', template, inputs, settings, attempt });
  }

  receive(source: StreamSource, message: IncomingMessage, group: MessageGroup): void {
    const { position } = message;
    if (position !== null && source.tracker.seen(position)) {
      this.host.batch().settled.push(group);
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

  feed(pending: PendingInput, start?: StartExecution): void {
    const { uid, origin } = pending;
    const known = this.entries.get(uid);
    if (!known && start && origin.kind === 'message' && !this.host.caution().checkStarts) {
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
        this.applier.settle(pending, this.host.batch());
        this.touch(pending);
        return;
      case 'unknown':
        if (pending.input.input?.$case === 'started' && 'message' in pending.origin) {
          this.beginRun(entry, pending, pending.input.input.value, pending.origin.message);
        } else this.parkMessage(pending, `there is no run ${entry.uid}: its start has never been seen`);
    }
  }

  private applyTo(entry: RunEntry, pending: PendingInput): void {
    const condemned = this.host.caution().condemned.get(entry.uid);
    if (condemned !== undefined) {
      this.applier.quarantine(entry, pending, new Error(condemned), this.host.batch());
      return;
    }
    // The start of a run that is here has been applied before.
    if (pending.input.input?.$case === 'started' && entry.nextSeq > 1n) {
      this.applier.settle(pending, this.host.batch());
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
    this.applier.apply(entry, pending, this.host.batch());
  }

  private beginRun(entry: RunEntry, pending: PendingInput, start: StartExecution, message: IncomingMessage): void {
    newRun(entry, start, message.envelope, this.deps.engine);
    entry.partition = message.stream.partition;
    this.entries.set(entry.uid, entry);
    if (this.host.caution().condemned.has(entry.uid)) {
      this.entries.delete(entry.uid);
      this.parkMessage(pending, this.host.caution().condemned.get(entry.uid)!);
      return;
    }
    entry.begun = true;
    this.applyTo(entry, pending);
  }

  private parkMessage(pending: PendingInput, reason: string): void {
    // Timers and answers are not messages: a released run finds the former in their rows and asks for the latter again.
    if (!('message' in pending.origin)) return;
    const { execution } = pending.origin.message.envelope;
    this.deps.logger.warn({ ...runFields(execution, pending.uid), reason }, 'message parked');
    this.deps.metrics.parked.inc();
    this.applier.park(pending, reason, this.host.batch());
    this.touch(pending);
  }

  /** The position of a message that changes no run moves all the same. */
  private touch({ origin }: PendingInput): void {
    if (origin.kind === 'message' && origin.message.position !== null) {
      this.host.batch().partitions.add(origin.message.stream.partition);
    }
  }

  fire(uid: string, timer: bigint): void {
    const pending: PendingInput = {
      uid,
      input: { input: { $case: 'timerFired', value: { timer } } },
      origin: { kind: 'timer', timer },
    };
    this.feedEntry(this.entry(uid), pending);
  }

  answered(entry: RunEntry, request: bigint, answer: RequestAnswered['answer']): void {
    if (this.host.stopped() || !this.isAwaited(entry, request)) return;
    const input = { input: { $case: 'answered', value: { request, answer } } } as const;
    this.inbox.push({ entry, request, pending: { uid: entry.uid, input, origin: { kind: 'answer', request } } });
    this.host.wake();
  }

  /** Whether its run is here, and still has that question. */
  private isAwaited(entry: RunEntry, request: bigint): boolean {
    const ask = entry.open.get(request);
    if (!ask) return false;
    if (this.entries.get(entry.uid) === entry) return true;
    if (entry.archiving) this.unwanted(entry, ask);
    return false;
  }

  /** The entry of a run, being loaded if it is not here. */
  entry(uid: string): RunEntry {
    const known = this.entries.get(uid);
    if (known) return known;
    const entry = new RunEntry(uid);
    this.entries.set(uid, entry);
    this.loader.request(entry);
    return entry;
  }

  loaded(entry: RunEntry, error?: AloftError): void {
    if (this.host.stopped() || this.entries.get(entry.uid) !== entry) return;
    entry.failure = error;
    this.resumed.push(entry);
    this.host.wake();
  }

  /** A run came into memory: what waited for it is applied, what it waits for is asked again. */
  resume(entry: RunEntry): void {
    if (this.entries.get(entry.uid) !== entry) return;
    const queue = entry.queue.splice(0);
    // Known from its row also where the rest could not be read: what is said of it goes with its partition.
    if (entry.identity) entry.partition = this.host.partitionOf(entry.identity.shard);
    if (entry.identity && !this.host.holds(entry.partition)) {
      this.entries.delete(entry.uid);
      return;
    }
    if (entry.failure) {
      this.unloadable(entry, queue, entry.failure);
      return;
    }
    if (entry.state === 'loading') entry.state = 'ready';
    if (entry.state === 'ready' && entry.releasing) this.unquarantine(entry);
    if (entry.state === 'ready' && entry.fresh) this.takeUp(entry);
    for (const pending of queue) this.feedEntry(entry, pending);
    // A tombstone is looked up again if it is needed again.
    if ((entry.state === 'ended' && !entry.archiving) || entry.state === 'unknown') this.entries.delete(entry.uid);
  }

  /** What a run just restored waits for is asked again; what it left undone is done. */
  private takeUp(entry: RunEntry): void {
    entry.fresh = false;
    for (const [request, ask] of entry.open) {
      entry.asked.add(request);
      this.host.requests.perform(entry, { kind: 'request', request, ask });
    }
    if (entry.run!.finished) this.host.archive(entry);
  }

  private unquarantine(entry: RunEntry): void {
    entry.releasing = false;
    if (entry.quarantine === undefined) return;
    entry.quarantine = undefined;
    this.applier.released(entry, this.host.batch());
    void this.deps.repository.timersOf(this.deps.database, entry.uid).then(
      (timers) => timers.forEach(({ timer, at }) => this.host.timers.set(entry.uid, timer, at)),
      (error: unknown) => this.host.fail(error),
    );
  }

  /** Its data is lost or not understood: its messages wait with the reason. */
  private unloadable(entry: RunEntry, queue: PendingInput[], error: AloftError): void {
    entry.failure = undefined;
    const [first, ...others] = queue;
    if (entry.identity && first) this.applier.quarantine(entry, first, error, this.host.batch());
    else {
      this.entries.delete(entry.uid);
      this.deps.logger.error({ err: error, ...runFields(entry.identity?.id, entry.uid) }, 'run cannot be loaded');
      if (first) this.parkMessage(first, `its run cannot be loaded: ${error.message}`);
    }
    for (const pending of others) this.parkMessage(pending, `its run cannot be loaded: ${error.message}`);
  }
}
