import { randomUUID } from 'node:crypto';
import type { Consumer, IncomingMessage, OutgoingMessage } from '@aloft/bus';
import type { Transaction } from '@aloft/database';
import type { AbortTask, Envelope, LaunchTask, TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { unavailable } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import type { BackendPlugin } from '../contract.js';
import { failureOf } from '../outcome/phases.js';
import { AttemptEntry } from './attempt-entry.js';
import { traceExecution } from './attempt-trace.js';
import { attemptKey } from './attempt-key.js';
import { Attempts } from './attempts.js';
import { decodeCommand, withoutPayload, type CommandBatch } from './command.js';
import type { BackendHostOptions } from './host-options.js';
import { Intake } from './intake.js';
import { LeaseKeeper } from './lease-keeper.js';
import { placingOf, type Placing } from './placing.js';
import { packMessages, reportMessage, unpackMessages } from './report-envelope.js';
import { SharedWork } from './shared-work.js';
import type { Added, FinishedBatch, Renewal, WorkStore } from './work-store.js';

/**
 * Runs one plugin's attempts: commands in, reports out. Commands are written in the transaction that moves the position. Where
 * this host is the only one of its backend, what has room starts while that commit is under way; where others share the
 * backend, it starts once the row is surely this host's. The tables are what a later process, or another host, starts from.
 */
export class BackendHost {
  private readonly attempts: Attempts;
  private readonly fences = new Map<string, { generation: number; at: number }>();
  private readonly plugin: BackendPlugin;
  private readonly store: WorkStore;
  private readonly logger: Logger;
  private readonly lease: LeaseKeeper;
  private readonly shared: SharedWork | undefined;
  private readonly intake: Intake;
  private consumer: Consumer | undefined;
  /** What waits of the past is being taken in. */
  private takingUp: Promise<void> = Promise.resolve();
  private started = false;
  private prunedAt = Date.now();
  private state: 'new' | 'running' | 'draining' | 'stopping' | 'lost' | 'stopped' = 'new';
  private readonly fenceMs: number;
  private leaseLosses = 0;

  constructor(private readonly options: BackendHostOptions) {
    const { plugin, store, channel, name } = options;
    this.plugin = plugin;
    this.store = store;
    this.logger = options.logger.child({ backend: plugin.name });
    this.fenceMs = options.fenceMs ?? 3_600_000;
    const leaseMs = options.leaseMs ?? 15_000;
    this.lease = new LeaseKeeper({
      store,
      name,
      leaseMs,
      shared: channel !== undefined,
      logger: this.logger,
      ...(options.clock ? { clock: options.clock } : {}),
      onHeld: (until) => plugin.holdUntil?.(until),
      onRenewed: (renewal) => void this.renewed(renewal),
      onLost: (state) => this.lose(state),
    });
    this.attempts = new Attempts({
      ...options,
      logger: this.logger,
      writesEnds: channel !== undefined || plugin.reach === 'anywhere',
      holder: () => this.lease.holder,
      mode: () => this.mode,
      holds: () => this.lease.isHeld,
      onChanged: () => this.shared?.changed(),
      onRefused: () => void this.lease.renew(),
      onForgotten: (entry) => this.fenceInMemory(entry.key, entry.generation, Date.now()),
    });
    this.intake = new Intake({
      plugin,
      store,
      attempts: this.attempts,
      logger: this.logger,
      name,
      isRunning: () => this.state === 'running',
      onStored: (entry) => this.stored(entry),
    });
    if (channel)
      this.shared = new SharedWork({
        plugin,
        store,
        channel,
        leaseMs,
        logger: this.logger,
        attempts: this.attempts,
        lease: this.lease,
        isRunning: () => this.state === 'running',
        takeIn: (rows, again) => this.intake.takeIn(rows, again ? 'again' : 'adopt'),
        takeFinished: (batches) => this.takeFinished(batches),
      });
  }

  /** Nothing begins before its row is durable. */
  private get isStrict(): boolean {
    return this.shared !== undefined || this.plugin.launches === 'stored';
  }

  private get mode(): 'running' | 'draining' | 'silent' {
    if (this.state === 'running') return 'running';
    return this.state === 'draining' || this.state === 'stopping' ? 'draining' : 'silent';
  }

  /** Figures for people and metrics. */
  get status() {
    const { queue, entries, sender, launches } = this.attempts;
    return {
      state: this.state,
      waiting: queue.waiting,
      inUse: { ...queue.inUse },
      attempts: entries.size,
      unacknowledged: sender.pending,
      /** Since the start: launches begun, attempts taken over from other hosts, leases lost, attempts given to other hosts. */
      counts: {
        launches,
        takeOvers: this.shared?.takeOvers ?? 0,
        leaseLosses: this.leaseLosses,
        given: this.shared?.given ?? 0,
      },
    };
  }

  /** Takes its work up where an earlier process of the same name left it, then consumes. */
  async start(): Promise<void> {
    const { plugin, store, options, lease } = this;
    await lease.acquire();
    // From now on, however long it takes to load what there is.
    lease.start();
    const { finished, fences } = await store.load(options.name);
    const now = Date.now();
    for (const fence of fences) this.fences.set(fence.key, { generation: fence.generation, at: now });
    await plugin.start?.({
      held: (attempts) => this.held(attempts),
      placesChanged: () => this.attempts.reconsider(),
    });
    this.checkStillHeld();
    this.state = 'running';
    this.takeFinished(finished);
    const { rest } = await this.intake.takeUp();
    this.checkStillHeld();
    if (rest) this.takingUp = rest.then(() => this.join()).catch((error: unknown) => this.joinFailed(error));
    else await this.join();
    this.checkStillHeld();
    this.started = true;
  }

  /** Everything of the past is here: new commands are taken, and what other hosts leave. */
  private async join(): Promise<void> {
    const { plugin, options } = this;
    if (this.state !== 'running') return;
    await this.shared?.start();
    // Anew: it may have been lost, or told to stop, meanwhile.
    if (this.mode !== 'running') return;
    this.consumer = options.bus.consume({
      topic: `tasks.commands.${plugin.name}`,
      group: plugin.name,
      database: options.database,
      mode: 'leased',
      maxBatch: options.maxBatch ?? 1000,
      handle: (messages, tx) => this.handle(messages, tx as Transaction),
      handleRepeatable: (messages) => this.answerInline(messages),
      onParked: ({ message, reason }) =>
        this.logger.error({ key: message.envelope.key, reason }, 'a command was parked with its key'),
    });
  }

  /** Nothing would ever be taken here: as if the lease had ended, so that another host of the name begins anew. */
  private joinFailed(error: unknown): void {
    if (this.mode !== 'running') return;
    this.logger.error({ err: error }, 'the host could not begin to take commands');
    this.lose('expired');
  }

  /**
   * Stops taking commands, then leaves running work to be found again, or hands over what does not end within `drainMs`; lets
   * reports out.
   */
  async stop(drainMs = 0): Promise<void> {
    if (this.state === 'stopped' || this.state === 'stopping' || this.state === 'draining') return;
    const wasRunning = this.state === 'running';
    const handOver = wasRunning && this.shared && this.options.onStop === 'hand-over';
    this.state = handOver ? 'draining' : wasRunning ? 'stopping' : this.state;
    await this.takingUp;
    await this.consumer?.close();
    if (handOver) await this.shared?.drain(drainMs);
    if (this.mode !== 'silent') {
      await this.attempts.launchesDone(2_000);
      await this.attempts.recorder.drain(2_000);
      await this.attempts.sender.drain(2_000);
      await this.attempts.sweep();
    }
    const held = this.mode !== 'silent';
    if (held && handOver) await this.shared?.leave();
    this.state = 'stopped';
    this.lease.stop();
    this.attempts.stop();
    await this.shared?.stop();
    await this.plugin.stop();
    // Work that goes on here must not be taken before its launcher has ended it; that is when the lease ends.
    if (held && !this.shared) await this.store.release(this.lease.holder);
  }

  /** As the end of its process would: at once cut off from everything. For tests of what comes after. */
  vanish(): void {
    this.state = 'lost';
    this.lease.stop();
    this.attempts.stop();
    void this.shared?.stop();
  }

  /** Resolves when every command published before the call is taken. */
  async caughtUp(): Promise<void> {
    await this.takingUp;
    await this.consumer?.caughtUp();
  }

  private async held(attempts: readonly TaskAttempt[]): Promise<TaskAttempt[]> {
    const stored = await this.store.existing(attempts.map(attemptKey));
    return attempts.filter((attempt) => {
      const key = attemptKey(attempt);
      return stored.has(key) || this.attempts.entries.has(key);
    });
  }

  private takeFinished(batches: readonly FinishedBatch[]): void {
    for (const batch of batches) this.attempts.sendFinished(batch.id, unpackMessages(batch.reports), true);
  }

  /**
   * Commands at the front of a batch that the plugin answers by itself, without effects: nothing is written for them. Until the
   * propeller has the answer their position stays, so whoever has the stream after a crash gives the same answer again.
   */
  private answerInline(messages: readonly IncomingMessage[]): { count: number; done: Promise<void> } | undefined {
    if (!this.plugin.runInline || this.mode !== 'running') return undefined;
    const answers: OutgoingMessage[] = [];
    for (const message of messages) {
      const answer = this.inlineAnswer(message);
      if (!answer) break;
      answers.push(answer);
    }
    if (answers.length === 0) return undefined;
    return { count: answers.length, done: this.attempts.tell(answers) };
  }

  /** `undefined` where anything else has to be looked at: that is `handle`'s, also its errors. */
  private inlineAnswer(message: IncomingMessage): OutgoingMessage | undefined {
    try {
      const command = decodeCommand(message);
      if (command.$case !== 'launch') return undefined;
      const key = attemptKey(command.value.attempt);
      if (this.attempts.entries.has(key) || this.fences.has(key)) return undefined;
      const report = this.plugin.runInline?.(command.value);
      if (!report) return undefined;
      const entry = new AttemptEntry(message.envelope, command.value, noRequest);
      const answer = reportMessage(message.envelope, entry.next(report, this.plugin.name));
      traceExecution(entry, this.plugin.name);
      return answer;
    } catch {
      return undefined;
    }
  }

  private async handle(messages: readonly IncomingMessage[], tx: Transaction): Promise<void> {
    const batch: CommandBatch = { added: [], rows: [], aborts: [], inline: [] };
    // Decoded before anything is done: a command that cannot be read changes nothing.
    const commands = messages.map((message) => decodeCommand(message));
    for (const [i, command] of commands.entries()) {
      const { envelope } = messages[i] as IncomingMessage;
      if (command.$case === 'launch') this.takeLaunch(envelope, command.value, batch);
      else this.takeAbort(command.value, batch);
    }
    if (!this.isStrict) this.attempts.startWhatFits();
    const finished: FinishedBatch[] = [];
    if (batch.inline.length > 0) {
      const id = randomUUID();
      finished.push({ id, reports: packMessages(batch.inline) });
      const tracked = this.attempts.sendFinished(id, batch.inline, false);
      tx.afterCommit(() => tracked.committed());
    }
    const { holder } = this.lease;
    try {
      const added =
        batch.rows.length > 0 ? await this.store.add(tx, holder, batch.rows, this.shared !== undefined) : nothingAdded;
      const elsewhere = await this.store.requestAbort(tx, holder.name, batch.aborts);
      await this.store.addFinished(tx, holder, finished);
      tx.afterCommit(() => this.committed(batch, added, elsewhere));
    } catch (error) {
      // Perhaps because the lease is gone.
      if (this.shared) void this.lease.renew();
      throw error;
    }
  }

  private committed(batch: CommandBatch, { refused, waiting }: Added, elsewhere: readonly string[]): void {
    const at = Date.now();
    for (const { key, generation, reason } of batch.aborts) {
      this.fenceInMemory(key, generation, at);
      this.abortKnown(key, generation, reason);
    }
    for (const entry of batch.added) {
      if (refused.has(entry.key)) this.refused(entry);
      else {
        const other = waiting.get(entry.key);
        if (other !== undefined) this.shared?.waitFor(entry, other);
        this.stored(entry);
      }
    }
    this.shared?.tellOfAborts(elsewhere);
    if (this.isStrict) this.attempts.startWhatFits();
  }

  private stored(entry: AttemptEntry): void {
    if (this.isStrict && !entry.stored && entry.state === 'waiting' && entry.abortReason === undefined)
      this.attempts.offer(entry);
    this.attempts.becameStored(entry);
  }

  /** Another host has it, or had it until it ended: what was begun for it here ends. */
  private refused(entry: AttemptEntry): void {
    if (this.attempts.entries.get(entry.key) !== entry || entry.stored) return;
    this.logger.info({ key: entry.key }, 'a launch came for an attempt that another host has or had');
    if (entry.state === 'active') void this.attempts.supersede(entry);
    this.attempts.drop(entry);
  }

  private takeLaunch(envelope: Envelope, launch: LaunchTask & { attempt: TaskAttempt }, batch: CommandBatch): void {
    const { attempt } = launch;
    const key = attemptKey(attempt);
    const known = this.attempts.entries.get(key);
    if (known && known.generation >= attempt.generation) {
      if (known.generation > attempt.generation) return;
      this.takeAgain(known, envelope, batch);
      return;
    }
    const fence = this.fences.get(key);
    if (fence && fence.generation >= attempt.generation) return;
    const atOnce = this.answerAtOnce(launch);
    if (atOnce.end) {
      // Refused although an older generation runs: the report is of the new one, the old one is ended all the same.
      if (known) this.attempts.abort(known, `generation ${attempt.generation} of the same attempt was launched`);
      const entry = new AttemptEntry(envelope, launch, noRequest);
      batch.inline.push(reportMessage(envelope, entry.next(atOnce.end, this.plugin.name)));
      traceExecution(entry, this.plugin.name);
      return;
    }
    const entry = new AttemptEntry(withoutPayload(envelope), launch, atOnce.request);
    entry.placed = true;
    entry.obstacle = atOnce.obstacle;
    if (known) entry.after = this.attempts.supersede(known);
    this.attempts.entries.set(key, entry);
    this.addRow(entry, envelope, batch);
    if (!this.isStrict) this.attempts.offer(entry);
  }

  /** The same launch once more: after a rolled-back transaction, or issued again by a propeller that recovered. */
  private takeAgain(known: AttemptEntry, envelope: Envelope, batch: CommandBatch): void {
    if (!known.stored) this.addRow(known, envelope, batch);
    if (known.last && !known.acknowledged) this.attempts.sendLast(known);
  }

  private addRow(entry: AttemptEntry, command: Envelope, batch: CommandBatch): void {
    batch.added.push(entry);
    batch.rows.push({ key: entry.key, generation: entry.generation, command, abortReason: undefined });
  }

  /** A terminal report for what needs no launch or cannot have one; else what it takes of the capacity. */
  private answerAtOnce(launch: LaunchTask): Placing {
    try {
      const end = this.plugin.runInline?.(launch);
      return end ? { end } : placingOf(this.plugin, this.attempts.queue, launch);
    } catch (error) {
      return { end: failureOf(error, 'LaunchRefused', `The backend "${this.plugin.name}" cannot run this task`) };
    }
  }

  private takeAbort({ attempt, reason }: AbortTask & { attempt: TaskAttempt }, batch: CommandBatch): void {
    const key = attemptKey(attempt);
    const { generation } = attempt;
    const why = reason || 'the run no longer needs it';
    batch.aborts.push({ key, generation, reason: why });
    // At once and not only with the commit: a launch behind it in this very batch must do nothing.
    this.fenceInMemory(key, generation, Date.now());
    if (!this.abortsWhenWritten(key)) this.abortKnown(key, generation, why);
  }

  /**
   * What is stored ends when its abort is: a host that died in between would leave work that is gone, and nobody would know why. Work that ends with its
   * host anyway, and what was not begun by a row, ends at once.
   */
  private abortsWhenWritten(key: string): boolean {
    return this.isStrict || (this.plugin.reach === 'anywhere' && this.attempts.entries.get(key)?.stored === true);
  }

  private abortKnown(key: string, generation: number, why: string): void {
    const known = this.attempts.entries.get(key);
    if (known && known.generation <= generation) this.attempts.abort(known, why);
  }

  private fenceInMemory(key: string, generation: number, at: number): void {
    const fence = this.fences.get(key);
    if (!fence || fence.generation <= generation) this.fences.set(key, { generation, at });
  }

  /** Every third of the lease: looks at whatever an event may have failed to tell, drops old fences. */
  private async renewed(renewal: Renewal): Promise<void> {
    if (this.mode === 'silent') return;
    try {
      if (this.shared) await this.shared.review(renewal);
      else {
        for (const { key, generation, reason } of await this.store.abortsOf(this.options.name)) {
          const entry = this.attempts.entries.get(key);
          if (entry && entry.generation <= generation) this.attempts.abort(entry, reason);
        }
        await this.findDoubtful();
      }
      const now = Date.now();
      if (now - this.prunedAt <= this.fenceMs / 10) return;
      this.prunedAt = now;
      for (const [key, fence] of this.fences) if (now - fence.at > this.fenceMs) this.fences.delete(key);
      await this.store.prune(this.fenceMs);
    } catch (error) {
      this.logger.warn({ err: error }, 'the look after a renewal failed; the next one repeats it');
    }
  }

  /** A commit whose answer was lost is not repeated by the bus: whether its rows are there is asked. */
  private async findDoubtful(): Promise<void> {
    const before = Date.now() - 1_000;
    const keys = [...this.attempts.entries.values()]
      .filter(({ stored, acceptedAt }) => !stored && acceptedAt < before)
      .map(({ key }) => key);
    if (keys.length > 0) await this.intake.takeIn(await this.store.rows(this.options.name, keys), 'again');
  }

  private lose(state: 'fenced' | 'taken' | 'expired'): void {
    if (this.state === 'new') {
      // `start` rejects.
      this.state = 'lost';
      this.leaseLosses++;
      return;
    }
    if (this.mode === 'silent') return;
    this.state = 'lost';
    this.leaseLosses++;
    this.logger.error({ state }, 'this host lost its lease: it takes no more work');
    this.attempts.stop();
    void this.shared?.stop();
    void this.consumer?.close();
    // A newer process of the same name has the same children; where work is reached from anywhere, its new holder has it.
    if (state !== 'fenced' && this.plugin.reach !== 'anywhere')
      for (const entry of this.attempts.active)
        this.plugin.abort(entry.attempt, 'its host lost its lease').catch((error: unknown) => {
          this.logger.error({ err: error, key: entry.key }, 'an attempt of a lost lease could not be ended');
        });
    if (this.started) this.options.onLost?.(state);
  }

  private checkStillHeld(): void {
    if (this.state === 'lost')
      throw unavailable(
        `the host ${this.options.name} of the backend "${this.plugin.name}" lost its lease while it started: start it again`,
      );
  }
}

const noRequest = { milliCpu: 0, memoryBytes: 0, gpu: 0 };
const nothingAdded: Added = { refused: new Set(), waiting: new Map() };
