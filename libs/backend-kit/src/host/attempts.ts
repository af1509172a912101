import type { BlobStore } from '@aloft/blob';
import type { Bus, OutgoingMessage } from '@aloft/bus';
import { errorMapping, toAloftError } from '@aloft/errors';
import { WaitReason_Kind } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Logger } from '@aloft/telemetry';
import { AttemptQueue } from '../capacity/attempt-queue.js';
import type { AttemptContext, BackendPlugin, PhaseReport } from '../contract.js';
import type { LogTemplate } from '../log-links/log-links.js';
import { failure, failureOf, isTerminal } from '../outcome/phases.js';
import type { AttemptEntry } from './attempt-entry.js';
import { attemptFields, traceExecution, tracedLaunch } from './attempt-trace.js';
import { EndRecorder } from './end-recorder.js';
import { Placeless } from './placeless.js';
import { MemoryKeeper } from './memory-keeper.js';
import { reportMessage } from './report-envelope.js';
import { ReportSender, type ReportSenderOptions } from './report-sender.js';
import type { Holder, WorkStore } from './work-store.js';

/** Attempts that say at once that they wait, and milliseconds until the next do. */
const newcomersTell = { atOnce: 250, pauseMs: 50 };
/** Those of an earlier process, which has mostly said so: a tenth of a core at most. */
const earlierTell = { atOnce: 25, pauseMs: 100 };

export interface AttemptsOptions {
  plugin: BackendPlugin;
  bus: Pick<Bus, 'deliver'>;
  store: WorkStore;
  blob: BlobStore;
  logger: Logger;
  /** Ends are written before they are told: whoever has the row afterwards tells the same one, and never another. */
  writesEnds: boolean;
  links?: readonly LogTemplate[] | undefined;
  patienceMs?: number | undefined;
  relaunchMs?: { first: number; longest: number } | undefined;
  reports?: Partial<Omit<ReportSenderOptions, 'bus' | 'logger'>> | undefined;
  holder: () => Holder;
  /** `running`: work starts; `draining`: it ends and is reported; `silent`: neither. */
  mode: () => 'running' | 'draining' | 'silent';
  /** Whether this host's lease is held. */
  holds: () => boolean;
  /** Something started, ended or came in. */
  onChanged: () => void;
  /** A row was not this host's. */
  onRefused: () => void;
  onForgotten: (entry: AttemptEntry) => void;
}

/**
 * The attempts that one host knows, in memory: waiting, given to the plugin, ended and not acknowledged. All decisions fall
 * in one turn of the event loop.
 */
export class Attempts {
  readonly entries = new Map<string, AttemptEntry>();
  readonly queue: AttemptQueue<AttemptEntry>;
  readonly sender: ReportSender;
  readonly recorder: EndRecorder;
  readonly memory: MemoryKeeper;
  launches = 0;
  private told = 0;
  private readonly plugin: BackendPlugin;
  private readonly logger: Logger;
  private tellTimer: NodeJS.Timeout | undefined;
  /** Came in since the last look at what fits, or have not said yet that they wait. */
  private readonly newcomers: AttemptEntry[] = [];
  /** Likewise, of an earlier process of this host. */
  private readonly earlier: AttemptEntry[] = [];
  private readonly placeless: Placeless;
  private ended: AttemptEntry[] = [];
  private finishedIds: string[] = [];
  private sweepTimer: NodeJS.Timeout | undefined;
  private sweeping: Promise<void> = Promise.resolve();

  constructor(private readonly options: AttemptsOptions) {
    const { plugin, logger, store, holder } = options;
    this.plugin = plugin;
    this.logger = logger;
    this.queue = new AttemptQueue(plugin.capacity(), { patienceMs: options.patienceMs });
    this.placeless = new Placeless({
      plugin,
      queue: this.queue,
      report: (entry, report) => this.report(entry, report),
      waits: (entry) => entry.state === 'waiting' && this.entries.get(entry.key) === entry,
    });
    this.sender = new ReportSender({ bus: options.bus, logger, ...options.reports });
    this.memory = new MemoryKeeper({ store, holder, logger });
    this.recorder = new EndRecorder({
      store,
      holder,
      logger,
      onRecorded: (entry) => {
        entry.recorded = true;
        this.sendLast(entry);
      },
      onRefused: (entry) => {
        logger.info(attemptFields(entry), 'an attempt ended that is not held here any more; its end is not told');
        this.drop(entry);
        options.onRefused();
      },
    });
  }

  get active(): AttemptEntry[] {
    return [...this.entries.values()].filter(({ state }) => state === 'active');
  }

  /** Its row is there (or will be, where launch and commit overlap): it runs as soon as there is room. `earlier`: it waited before, too. */
  offer(entry: AttemptEntry, earlier = false): void {
    if (entry.queued) return;
    if (!this.placeless.admits(entry)) return;
    entry.queued = true;
    this.queue.offer(entry);
    (earlier ? this.earlier : this.newcomers).push(entry);
  }

  /** There may be a place now for those that had none. */
  reconsider(): void {
    for (const entry of this.placeless.reconsider()) this.offer(entry);
    this.startWhatFits();
  }

  /** It runs already, or may. */
  occupy(entry: AttemptEntry): void {
    entry.state = 'active';
    this.queue.occupy(entry.request);
  }

  /** It was thought to run, and never began. */
  requeue(entry: AttemptEntry): void {
    this.queue.release(entry.request);
    entry.state = 'waiting';
    entry.queued = false;
    this.offer(entry);
  }

  startWhatFits(): void {
    if (this.options.mode() !== 'running') return;
    for (let entry = this.queue.take(); entry; entry = this.queue.take()) {
      entry.state = 'active';
      void this.launch(entry);
    }
    this.tellWaiting();
    this.options.onChanged();
  }

  /**
   * Whoever still waits says so, once (and only if it isn't started before reports go out). Not all at once: what is being done comes before
   * what a hundred thousand that were found again have to say.
   */
  private tellWaiting(): void {
    if (this.tellTimer || this.options.mode() !== 'running') return;
    const [some, { atOnce, pauseMs }] =
      this.newcomers.length > 0 ? [this.newcomers, newcomersTell] : [this.earlier, earlierTell];
    for (const entry of some.splice(0, atOnce))
      if (entry.state === 'waiting' && !entry.last)
        this.report(entry, {
          phase: TaskExecution_Phase.WAITING_FOR_RESOURCES,
          reason: `Waiting for capacity: ${this.queue.shortage(entry.request)}.`,
        });
    if (this.newcomers.length === 0 && this.earlier.length === 0) return;
    this.tellTimer = setTimeout(() => {
      this.tellTimer = undefined;
      this.tellWaiting();
    }, pauseMs);
  }

  private async launch(entry: AttemptEntry): Promise<void> {
    this.report(entry, { phase: TaskExecution_Phase.INITIALIZING });
    await entry.after;
    if (this.stateOf(entry) !== 'active' || entry.abortReason !== undefined || entry.handingOver) return;
    // Late, because this process was paused: the attempt is another host's by now, or soon.
    if (!this.options.holds() || this.options.mode() !== 'running') return;
    try {
      this.launches++;
      entry.launching = tracedLaunch(entry, this.plugin.name, () =>
        this.plugin.launch(entry.launch, this.contextOf(entry)),
      );
      await entry.launching;
    } catch (error) {
      this.launchFailed(entry, error);
    } finally {
      entry.launching = undefined;
    }
  }

  /** Resolves when no launch is under way, or `timeoutMs` have passed: what one has made is to be written down. */
  async launchesDone(timeoutMs: number): Promise<void> {
    const under = [...this.entries.values()].flatMap(({ launching }) => (launching ? [launching] : []));
    if (under.length === 0) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      Promise.allSettled(under),
      new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs))),
    ]);
    clearTimeout(timer);
  }

  private launchFailed(entry: AttemptEntry, error: unknown): void {
    // A host that stops leaves it to the next one.
    if (this.options.mode() === 'silent' || entry.handingOver) return;
    if (this.stateOf(entry) !== 'active' || entry.abortReason !== undefined) return;
    if (errorMapping[toAloftError(error).code].bus !== 'retry') {
      this.report(entry, failureOf(error, 'LaunchFailed', 'The task could not be started'));
      return;
    }
    const { first, longest } = this.options.relaunchMs ?? { first: 200, longest: 30_000 };
    const pause = Math.min(longest, first * 2 ** entry.launchFailures++);
    this.logger.warn({ err: error, ...attemptFields(entry), pause }, 'a launch failed and is tried again');
    this.report(entry, {
      phase: TaskExecution_Phase.WAITING_FOR_RESOURCES,
      waitsFor: WaitReason_Kind.BACKOFF,
      reason: `Start ${entry.launchFailures} failed, tried again in ${pause} ms: ${(error as Error).message}`,
    });
    entry.relaunch = setTimeout(() => {
      entry.relaunch = undefined;
      if (entry.state === 'active' && entry.abortReason === undefined) void this.launch(entry);
    }, pause);
  }

  /** Ends an attempt: at once where it waits, through the plugin where it may run. Its end is reported. */
  abort(entry: AttemptEntry, reason: string): void {
    if (entry.state === 'ended' || entry.abortReason !== undefined) return;
    entry.abortReason = reason;
    // On its way: whoever has it then ends it.
    if (entry.state === 'moving') return;
    if (entry.state === 'waiting') {
      this.queue.remove(entry);
      this.report(entry, { phase: TaskExecution_Phase.ABORTED, reason });
      return;
    }
    clearTimeout(entry.relaunch);
    void this.abortActive(entry, reason);
  }

  private async abortActive(entry: AttemptEntry, reason: string): Promise<void> {
    for (let pause = 200; this.stateOf(entry) !== 'ended'; pause = Math.min(pause * 2, 10_000)) {
      try {
        await this.endWork(entry, reason);
        this.report(entry, { phase: TaskExecution_Phase.ABORTED, reason });
        return;
      } catch (error) {
        if (this.options.mode() === 'silent') return;
        this.logger.error({ err: error, ...attemptFields(entry), pause }, 'an abort failed and is tried again');
        await new Promise((resolve) => setTimeout(resolve, pause).unref());
      }
    }
  }

  /** Resolves when nothing of it runs. */
  async endWork(entry: AttemptEntry, reason: string): Promise<void> {
    await this.plugin.abort(entry.attempt, reason, entry.remembered);
    if (!entry.launching) return;
    // It was just being started: whatever came to life meanwhile is ended too.
    await entry.launching.catch(() => undefined);
    await this.plugin.abort(entry.attempt, reason, entry.remembered);
  }

  /** An older generation makes way; nothing of it is reported any more. Resolves when it is gone. */
  async supersede(old: AttemptEntry): Promise<void> {
    this.sender.forget(reportKey(old));
    const { state } = old;
    old.state = 'ended';
    old.closed = true;
    settle(old);
    clearTimeout(old.relaunch);
    if (state === 'waiting') this.queue.remove(old);
    if (state !== 'active') return;
    try {
      const reason = `generation ${old.generation} was replaced`;
      await this.plugin.abort(old.attempt, reason, old.remembered);
      if (old.launching) {
        await old.launching.catch(() => undefined);
        await this.plugin.abort(old.attempt, reason, old.remembered);
      }
    } catch (error) {
      this.logger.error({ err: error, ...attemptFields(old) }, 'the older generation of an attempt could not be ended');
    } finally {
      this.queue.release(old.request);
      this.startWhatFits();
    }
  }

  /** It is somebody else's: nothing of it is reported here any more. Its work, if any, is left as it is. */
  drop(entry: AttemptEntry): void {
    this.sender.forget(reportKey(entry));
    clearTimeout(entry.relaunch);
    if (entry.state === 'waiting') this.queue.remove(entry);
    if (entry.state === 'active') this.queue.release(entry.request);
    entry.state = 'ended';
    entry.closed = true;
    settle(entry);
    this.remove(entry);
  }

  private remove(entry: AttemptEntry): void {
    this.placeless.drop(entry);
    if (this.entries.get(entry.key) === entry) this.entries.delete(entry.key);
  }

  /** Read anew after an await: the compiler believes that nothing changed meanwhile. */
  private stateOf(entry: AttemptEntry): AttemptEntry['state'] {
    return entry.state;
  }

  contextOf(entry: AttemptEntry): AttemptContext {
    const holds = () =>
      this.options.mode() !== 'silent' && this.options.holds() && this.entries.get(entry.key) === entry;
    const { logger } = this;
    let child: Logger | undefined;
    return {
      blob: this.options.blob,
      // Most attempts have nothing to log.
      get logger() {
        return (child ??= logger.child(attemptFields(entry)));
      },
      restarts: entry.restarts,
      holds,
      get remembered() {
        return entry.remembered;
      },
      remember: (state) => this.memory.remember(entry, state),
      report: (report) => {
        // Ended for another host to begin it anew: that is no outcome. Whatever came to its end by itself is.
        if (entry.handingOver && report.phase === TaskExecution_Phase.ABORTED) return;
        if (holds()) this.report(entry, report);
      },
    };
  }

  report(entry: AttemptEntry, report: PhaseReport): void {
    if (entry.state === 'ended') return;
    const last = isTerminal(report.phase);
    const complete = !last || report.outcome || report.phase === TaskExecution_Phase.ABORTED;
    entry.next(
      complete
        ? report
        : failure({
            code: 'BackendReportedNoOutcome',
            message: `The backend "${this.plugin.name}" reported the end of the attempt without outputs or an error.`,
            kind: 'SYSTEM',
            retryable: true,
          }),
      this.plugin.name,
      this.options.links,
    );
    if (last) {
      this.placeless.drop(entry);
      const held = entry.state === 'active';
      entry.state = 'ended';
      clearTimeout(entry.relaunch);
      if (held) this.queue.release(entry.request);
      traceExecution(entry, this.plugin.name);
      this.recordEnd(entry);
    }
    this.sendLast(entry);
    if (last) this.startWhatFits();
  }

  /** Its row is committed. */
  becameStored(entry: AttemptEntry): void {
    if (entry.stored) return;
    entry.stored = true;
    settle(entry);
    this.recordEnd(entry);
    if (entry.state === 'ended' && !this.options.writesEnds) this.sendLast(entry);
    this.close(entry);
  }

  private recordEnd(entry: AttemptEntry): void {
    if (this.options.writesEnds && entry.state === 'ended' && entry.stored && !entry.recorded && !entry.closed)
      this.recorder.record(entry);
  }

  sendLast(entry: AttemptEntry): void {
    if (!entry.last) return;
    const last = isTerminal(entry.last.phase);
    // An end is told only when a later process can know of the attempt: else its command comes once more, and starts it again.
    if (last && !(this.options.writesEnds ? entry.recorded : entry.stored)) return;
    this.sender.send(reportKey(entry), reportMessage(entry.command, entry.last), last, () => {
      if (!last) return;
      entry.acknowledged = true;
      this.close(entry);
    });
  }

  /** Its row goes once both its end is acknowledged and the row is really there. */
  close(entry: AttemptEntry): void {
    if (!entry.stored || !entry.acknowledged || entry.closed) return;
    entry.closed = true;
    this.ended.push(entry);
    this.sweepSoon();
  }

  sendFinished(id: string, messages: readonly OutgoingMessage[], stored: boolean): { committed(): void } {
    let waitingFor = messages.length + (stored ? 0 : 1);
    const done = () => {
      if (--waitingFor > 0) return;
      this.finishedIds.push(id);
      this.sweepSoon();
    };
    for (const [i, message] of messages.entries()) this.sender.send(`${id}/${i}`, message, true, done);
    return { committed: done };
  }

  /** Resolves when all of these ends are acknowledged. */
  tell(messages: readonly OutgoingMessage[]): Promise<void> {
    const id = ++this.told;
    return new Promise((resolve) => {
      let waitingFor = messages.length;
      const done = () => {
        if (--waitingFor === 0) resolve();
      };
      for (const [i, message] of messages.entries()) this.sender.send(`told ${id}/${i}`, message, true, done);
    });
  }

  private sweepSoon(): void {
    if (this.sweepTimer || this.options.mode() === 'silent') return;
    this.sweepTimer = setTimeout(() => {
      this.sweepTimer = undefined;
      void this.sweep();
    }, 25);
  }

  /** Deletes what is over, in one statement each for whatever has gathered. */
  sweep(): Promise<void> {
    this.sweeping = this.sweeping.then(() => this.sweepOnce());
    return this.sweeping;
  }

  private async sweepOnce(): Promise<void> {
    const ended = this.ended.splice(0);
    const finishedIds = this.finishedIds.splice(0);
    if (ended.length === 0 && finishedIds.length === 0) return;
    try {
      await this.options.store.end(this.options.holder().name, ended);
      await this.options.store.deleteFinished(finishedIds);
    } catch (error) {
      this.logger.warn({ err: error, attempts: ended.length }, 'rows of ended attempts could not be deleted yet');
      this.ended.push(...ended);
      this.finishedIds.push(...finishedIds);
      if (this.options.mode() === 'running') setTimeout(() => this.sweepSoon(), 1_000).unref();
      return;
    }
    for (const entry of ended) {
      this.options.onForgotten(entry);
      this.remove(entry);
    }
    try {
      await this.plugin.forget?.(ended.map((entry) => entry.attempt));
    } catch (error) {
      this.logger.warn({ err: error }, 'what ended attempts left behind could not be removed');
    }
  }

  /** Nothing is told or written any more. */
  stop(): void {
    clearTimeout(this.sweepTimer);
    clearTimeout(this.tellTimer);
    this.sender.stop();
    this.recorder.stop();
    this.memory.stop();
    for (const entry of this.entries.values()) clearTimeout(entry.relaunch);
  }
}

/** Whoever waits for its row hears that it is there, or will never be. */
function settle(entry: AttemptEntry): void {
  for (const tell of entry.whenSettled.splice(0)) tell();
}

/** Generations of one attempt don't replace each other's reports. */
const reportKey = (entry: AttemptEntry): string => `${entry.key}#${entry.generation}`;
