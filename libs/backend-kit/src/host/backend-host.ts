import { randomUUID } from 'node:crypto';
import type { BlobStore } from '@aloft/blob';
import type { Bus, Consumer, IncomingMessage, OutgoingMessage } from '@aloft/bus';
import type { Database, Transaction } from '@aloft/database';
import { errorMapping, invalidArgument, toAloftError } from '@aloft/errors';
import { type AbortTask, type Envelope, type LaunchTask, type TaskAttempt, TaskCommand } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Logger } from '@aloft/telemetry';
import { AttemptQueue } from '../capacity/attempt-queue.js';
import { requestOf } from '../capacity/quantity.js';
import type { AttemptContext, BackendPlugin, PhaseReport } from '../contract.js';
import { failure, failureOf, isTerminal } from '../outcome/phases.js';
import { AttemptEntry } from './attempt-entry.js';
import { attemptKey } from './attempt-key.js';
import { packMessages, reportMessage, unpackMessages } from './report-envelope.js';
import { ReportSender, type ReportSenderOptions } from './report-sender.js';
import type { Fence, FinishedBatch, WorkRow, WorkStore } from './work-store.js';

export interface BackendHostOptions {
  plugin: BackendPlugin;
  bus: Pick<Bus, 'consume' | 'deliver'>;
  /** Holds the tables of `backendMigrations` and of the bus's consumer. */
  database: Database;
  store: WorkStore;
  blob: BlobStore;
  logger: Logger;
  /** Stable over restarts: who holds an attempt. */
  name: string;
  /** Milliseconds (default 15,000) after which a silent host's work may be taken by another. */
  leaseMs?: number;
  /** Take the work of hosts whose lease ended; only for backends whose work can be reached from any host. */
  takeOver?: boolean;
  /** Milliseconds (default 1 hour) that a late launch of an ended attempt is still recognised. */
  fenceMs?: number;
  /** Milliseconds that an attempt which needs more than is ever free waits before younger ones make room. */
  patienceMs?: number;
  /** Commands in one transaction at most (default 1000). */
  maxBatch?: number;
  /** Pause in milliseconds before a launch is tried again: first and longest. */
  relaunchMs?: { first: number; longest: number };
  reports?: Partial<Omit<ReportSenderOptions, 'bus' | 'logger'>>;
  /** The lease is gone: nothing is taken on any more, children were ended unless a newer process has them. */
  onLost?: (state: 'fenced' | 'taken') => void;
}

/** What one batch of commands wants written, collected before anything is awaited. */
interface Batch {
  added: AttemptEntry[];
  rows: WorkRow[];
  aborts: { key: string; generation: number; reason: string }[];
  fences: Fence[];
  inline: OutgoingMessage[];
}

/**
 * Runs one plugin's attempts: commands in, reports out. Commands are taken at once and written in the transaction that moves
 * the position; what has room starts while that commit is under way. All decisions fall in one turn of the event loop
 * on the maps in memory; the tables are what a later process of the same name starts from.
 */
export class BackendHost {
  private readonly entries = new Map<string, AttemptEntry>();
  private readonly fences = new Map<string, { generation: number; at: number }>();
  private readonly queue: AttemptQueue<AttemptEntry>;
  private readonly sender: ReportSender;
  private readonly plugin: BackendPlugin;
  private readonly store: WorkStore;
  private readonly logger: Logger;
  private ended: AttemptEntry[] = [];
  private finishedIds: string[] = [];
  private sweepTimer: NodeJS.Timeout | undefined;
  private sweeping: Promise<void> = Promise.resolve();
  private leaseTimer: NodeJS.Timeout | undefined;
  private consumer: Consumer | undefined;
  private epoch = 0n;
  private prunedAt = Date.now();
  /** Launches taken since the last look at what fits. */
  private readonly newcomers: AttemptEntry[] = [];
  private state: 'new' | 'running' | 'stopping' | 'lost' | 'stopped' = 'new';
  private readonly leaseMs: number;
  private readonly fenceMs: number;

  constructor(private readonly options: BackendHostOptions) {
    this.plugin = options.plugin;
    this.store = options.store;
    this.logger = options.logger.child({ backend: options.plugin.name });
    this.leaseMs = options.leaseMs ?? 15_000;
    this.fenceMs = options.fenceMs ?? 3_600_000;
    this.queue = new AttemptQueue(options.plugin.capacity(), { patienceMs: options.patienceMs });
    this.sender = new ReportSender({ bus: options.bus, logger: this.logger, ...options.reports });
  }

  /** Figures for people and metrics. */
  get status() {
    return {
      state: this.state,
      waiting: this.queue.waiting,
      inUse: { ...this.queue.inUse },
      attempts: this.entries.size,
      unacknowledged: this.sender.pending,
    };
  }

  /** Takes its work up where an earlier process of the same name left it, then consumes. */
  async start(): Promise<void> {
    const { plugin, store, options } = this;
    this.epoch = await store.acquire(options.name, this.leaseMs);
    const { work, finished, fences } = await store.load(options.name, options.takeOver ?? false);
    const now = Date.now();
    for (const fence of fences) this.fences.set(fence.key, { generation: fence.generation, at: now });
    await plugin.start?.();
    this.state = 'running';
    for (const batch of finished) this.sendFinished(batch.id, unpackMessages(batch.reports), true);
    await this.resume(work);
    this.leaseTimer = setInterval(() => void this.renew(), this.leaseMs / 3);
    this.consumer = options.bus.consume({
      topic: `tasks.commands.${plugin.name}`,
      group: plugin.name,
      database: options.database,
      mode: 'leased',
      maxBatch: options.maxBatch ?? 1000,
      handle: (messages, tx) => this.handle(messages, tx as Transaction),
      onParked: ({ message, reason }) =>
        this.logger.error({ key: message.envelope.key, reason }, 'a command was parked with its key'),
    });
  }

  /** Stops taking commands, lets reports out, leaves running work to be adopted by the next process. */
  async stop(): Promise<void> {
    if (this.state === 'stopped' || this.state === 'stopping') return;
    const wasRunning = this.state === 'running';
    this.state = 'stopping';
    clearInterval(this.leaseTimer);
    for (const entry of this.entries.values()) clearTimeout(entry.relaunch);
    await this.consumer?.close();
    if (wasRunning) await this.sender.drain(2_000);
    clearTimeout(this.sweepTimer);
    await this.sweeping;
    if (wasRunning) await this.sweep();
    this.sender.stop();
    await this.plugin.stop();
    this.state = 'stopped';
    if (wasRunning) await this.store.release(this.options.name, this.epoch);
  }

  /** Resolves when every command published before the call is taken. */
  async caughtUp(): Promise<void> {
    await this.consumer?.caughtUp();
  }

  private async resume(work: readonly WorkRow[]): Promise<void> {
    const found: AttemptEntry[] = [];
    const aborting: AttemptEntry[] = [];
    for (const row of work) {
      const command = TaskCommand.decode(row.command.payload).command;
      if (command?.$case !== 'launch' || !command.value.attempt) {
        this.logger.error({ key: row.key }, 'a row of the work table holds no launch; it is left out');
        continue;
      }
      const launch = { ...command.value, attempt: command.value.attempt };
      const entry = new AttemptEntry(withoutPayload(row.command), launch, requestOf(launch));
      entry.stored = true;
      entry.state = 'active';
      this.queue.occupy(entry.request);
      this.entries.set(entry.key, entry);
      if (row.abortReason === undefined) found.push(entry);
      else aborting.push(entry);
    }
    const neverStarted = new Set(
      (
        await this.plugin.adopt(
          found.map((entry) => entry.launch),
          (attempt) => this.contextOf(this.entries.get(attemptKey(attempt)) as AttemptEntry),
        )
      ).map(attemptKey),
    );
    for (const entry of found) {
      if (!neverStarted.has(entry.key) || entry.state !== 'active' || entry.abortReason !== undefined) continue;
      this.queue.release(entry.request);
      entry.state = 'waiting';
      this.queue.offer(entry);
      this.newcomers.push(entry);
    }
    const reasons = new Map(work.map((row) => [row.key, row.abortReason]));
    for (const entry of aborting) this.abort(entry, reasons.get(entry.key) ?? '');
    this.startWhatFits();
  }

  private async handle(messages: readonly IncomingMessage[], tx: Transaction): Promise<void> {
    const batch: Batch = { added: [], rows: [], aborts: [], fences: [], inline: [] };
    // Decoded before anything is done: a command that cannot be read changes nothing.
    const commands = messages.map((message) => decodeCommand(message));
    for (const [i, command] of commands.entries()) {
      const { envelope } = messages[i] as IncomingMessage;
      if (command.$case === 'launch') this.takeLaunch(envelope, command.value, batch);
      else this.takeAbort(command.value, batch);
    }
    this.startWhatFits();
    const finished: FinishedBatch[] = [];
    if (batch.inline.length > 0) {
      const id = randomUUID();
      finished.push({ id, reports: packMessages(batch.inline) });
      const tracked = this.sendFinished(id, batch.inline, false);
      tx.afterCommit(() => tracked.committed());
    }
    tx.afterCommit(() => this.committed(batch));
    await this.store.add(tx, this.options.name, batch.rows);
    await this.store.requestAbort(tx, batch.aborts);
    await this.store.addFinished(tx, this.options.name, finished);
    await this.store.fence(tx, batch.fences);
  }

  private committed(batch: Batch): void {
    for (const entry of batch.added) {
      entry.stored = true;
      this.close(entry);
    }
    const at = Date.now();
    for (const { key, generation } of [...batch.fences, ...batch.aborts]) this.fenceInMemory(key, generation, at);
  }

  private takeLaunch(envelope: Envelope, launch: LaunchTask & { attempt: TaskAttempt }, batch: Batch): void {
    const { attempt } = launch;
    const key = attemptKey(attempt);
    const known = this.entries.get(key);
    if (known && known.generation >= attempt.generation) {
      if (known.generation > attempt.generation) return;
      this.takeAgain(known, envelope, batch);
      return;
    }
    const fence = this.fences.get(key);
    if (fence && fence.generation >= attempt.generation) return;
    const atOnce = this.answerAtOnce(launch);
    if ('phase' in atOnce) {
      // Refused although an older generation runs: the report is of the new one, the old one is ended all the same.
      if (known) this.abort(known, `generation ${attempt.generation} of the same attempt was launched`);
      const entry = new AttemptEntry(envelope, launch, noRequest);
      batch.inline.push(reportMessage(envelope, entry.next(atOnce, this.plugin.name)));
      return;
    }
    const entry = new AttemptEntry(withoutPayload(envelope), launch, atOnce);
    if (known) entry.after = this.supersede(known);
    this.entries.set(key, entry);
    this.addRow(entry, envelope, batch);
    this.queue.offer(entry);
    this.newcomers.push(entry);
  }

  /** The same launch once more: after a rolled-back transaction, or issued again by a propeller that recovered. */
  private takeAgain(known: AttemptEntry, envelope: Envelope, batch: Batch): void {
    if (!known.stored && known.acknowledged) {
      batch.fences.push({ key: known.key, generation: known.generation });
      batch.added.push(known);
    } else if (!known.stored) this.addRow(known, envelope, batch);
    if (known.last && !known.acknowledged) this.sendLast(known);
  }

  private addRow(entry: AttemptEntry, command: Envelope, batch: Batch): void {
    batch.added.push(entry);
    batch.rows.push({ key: entry.key, generation: entry.generation, command, abortReason: undefined });
  }

  /** A terminal report for what needs no launch or cannot have one; else what it takes of the capacity. */
  private answerAtOnce(launch: LaunchTask): PhaseReport | AttemptEntry['request'] {
    try {
      const inline = this.plugin.runInline?.(launch);
      if (inline) return inline;
      const refusal = this.plugin.refuse(launch);
      if (refusal !== undefined)
        return failure({ code: 'LaunchRefused', message: refusal, kind: 'USER', retryable: false });
      const request = requestOf(launch);
      const excess = this.queue.exceeds(request);
      if (excess === undefined) return request;
      return failure({
        code: 'ResourcesExceedCapacity',
        message: `The task asks for ${excess}. Ask for less, or give the backend "${this.plugin.name}" more.`,
        kind: 'USER',
        retryable: false,
      });
    } catch (error) {
      return failureOf(error, 'LaunchRefused', `The backend "${this.plugin.name}" cannot run this task`);
    }
  }

  private takeAbort({ attempt, reason }: AbortTask & { attempt: TaskAttempt }, batch: Batch): void {
    const key = attemptKey(attempt);
    const { generation } = attempt;
    const why = reason || 'the run no longer needs it';
    batch.aborts.push({ key, generation, reason: why });
    // At once and not only with the commit: a launch behind it in this very batch must do nothing.
    this.fenceInMemory(key, generation, Date.now());
    const known = this.entries.get(key);
    if (known && known.generation <= generation) this.abort(known, why);
  }

  private fenceInMemory(key: string, generation: number, at: number): void {
    const fence = this.fences.get(key);
    if (!fence || fence.generation <= generation) this.fences.set(key, { generation, at });
  }

  private startWhatFits(): void {
    if (this.state !== 'running') return;
    for (let entry = this.queue.take(); entry; entry = this.queue.take()) {
      entry.state = 'active';
      void this.launch(entry);
    }
    // Whoever still waits says so, once (and only if it isn't started before reports go out).
    for (const entry of this.newcomers.splice(0))
      if (entry.state === 'waiting' && !entry.last)
        this.report(entry, {
          phase: TaskExecution_Phase.WAITING_FOR_RESOURCES,
          reason: `Waiting for capacity: ${this.queue.shortage(entry.request)}.`,
        });
  }

  private async launch(entry: AttemptEntry): Promise<void> {
    this.report(entry, { phase: TaskExecution_Phase.INITIALIZING });
    await entry.after;
    if (entry.state !== 'active' || entry.abortReason !== undefined) return;
    try {
      entry.launching = this.plugin.launch(entry.launch, this.contextOf(entry));
      await entry.launching;
    } catch (error) {
      this.launchFailed(entry, error);
    } finally {
      entry.launching = undefined;
    }
  }

  private launchFailed(entry: AttemptEntry, error: unknown): void {
    // A host that stops leaves it to the next one.
    if (this.state !== 'running' || this.stateOf(entry) !== 'active' || entry.abortReason !== undefined) return;
    if (errorMapping[toAloftError(error).code].bus !== 'retry') {
      this.report(entry, failureOf(error, 'LaunchFailed', 'The task could not be started'));
      return;
    }
    const { first, longest } = this.options.relaunchMs ?? { first: 200, longest: 30_000 };
    const pause = Math.min(longest, first * 2 ** entry.launchFailures++);
    this.logger.warn({ err: error, key: entry.key, pause }, 'a launch failed and is tried again');
    this.report(entry, {
      phase: TaskExecution_Phase.WAITING_FOR_RESOURCES,
      reason: `Start ${entry.launchFailures} failed, tried again in ${pause} ms: ${(error as Error).message}`,
    });
    entry.relaunch = setTimeout(() => {
      if (entry.state === 'active' && entry.abortReason === undefined) void this.launch(entry);
    }, pause);
  }

  /** Ends an attempt: at once where it waits, through the plugin where it may run. Its end is reported. */
  private abort(entry: AttemptEntry, reason: string): void {
    if (entry.state === 'ended' || entry.abortReason !== undefined) return;
    entry.abortReason = reason;
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
        await this.plugin.abort(entry.attempt, reason);
        if (entry.launching) {
          // It was just being started: whatever came to life meanwhile is ended too.
          await entry.launching.catch(() => undefined);
          await this.plugin.abort(entry.attempt, reason);
        }
        this.report(entry, { phase: TaskExecution_Phase.ABORTED, reason });
        return;
      } catch (error) {
        if (this.state !== 'running') return;
        this.logger.error({ err: error, key: entry.key, pause }, 'an abort failed and is tried again');
        await new Promise((resolve) => setTimeout(resolve, pause).unref());
      }
    }
  }

  /** An older generation makes way; nothing of it is reported any more. Resolves when it is gone. */
  private async supersede(old: AttemptEntry): Promise<void> {
    this.sender.forget(reportKey(old));
    const { state } = old;
    old.state = 'ended';
    old.closed = true;
    clearTimeout(old.relaunch);
    if (state === 'waiting') this.queue.remove(old);
    if (state !== 'active') return;
    try {
      await this.plugin.abort(old.attempt, `generation ${old.generation} was replaced`);
      await old.launching?.catch(() => undefined);
    } catch (error) {
      this.logger.error({ err: error, key: old.key }, 'the older generation of an attempt could not be ended');
    } finally {
      this.queue.release(old.request);
      this.startWhatFits();
    }
  }

  /** Read anew after an await: the compiler believes that nothing changed meanwhile. */
  private stateOf(entry: AttemptEntry): AttemptEntry['state'] {
    return entry.state;
  }

  private contextOf(entry: AttemptEntry): AttemptContext {
    return {
      blob: this.options.blob,
      logger: this.logger.child({ attempt: entry.attempt.name, execution: entry.group }),
      report: (report) => {
        if ((this.state === 'running' || this.state === 'stopping') && this.entries.get(entry.key) === entry)
          this.report(entry, report);
      },
    };
  }

  private report(entry: AttemptEntry, report: PhaseReport): void {
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
    );
    if (last) {
      const held = entry.state === 'active';
      entry.state = 'ended';
      clearTimeout(entry.relaunch);
      if (held) this.queue.release(entry.request);
    }
    this.sendLast(entry);
    if (last) this.startWhatFits();
  }

  private sendLast(entry: AttemptEntry): void {
    if (!entry.last) return;
    const last = isTerminal(entry.last.phase);
    this.sender.send(reportKey(entry), reportMessage(entry.command, entry.last), last, () => {
      if (!last) return;
      entry.acknowledged = true;
      this.close(entry);
    });
  }

  /** Its row goes once both its end is acknowledged and the row is really there. */
  private close(entry: AttemptEntry): void {
    if (!entry.stored || !entry.acknowledged || entry.closed) return;
    entry.closed = true;
    this.ended.push(entry);
    this.sweepSoon();
  }

  private sendFinished(id: string, messages: readonly OutgoingMessage[], stored: boolean): { committed(): void } {
    let waitingFor = messages.length + (stored ? 0 : 1);
    const done = () => {
      if (--waitingFor > 0) return;
      this.finishedIds.push(id);
      this.sweepSoon();
    };
    for (const [i, message] of messages.entries()) this.sender.send(`${id}/${i}`, message, true, done);
    return { committed: done };
  }

  private sweepSoon(): void {
    if (this.sweepTimer || this.state !== 'running') return;
    this.sweepTimer = setTimeout(() => {
      this.sweepTimer = undefined;
      this.sweeping = this.sweeping.then(() => this.sweep());
    }, 25);
  }

  /** Deletes what is over, in one statement each for whatever has gathered. */
  private async sweep(): Promise<void> {
    const ended = this.ended.splice(0);
    const finishedIds = this.finishedIds.splice(0);
    if (ended.length === 0 && finishedIds.length === 0) return;
    try {
      await this.store.end(ended);
      await this.store.deleteFinished(finishedIds);
    } catch (error) {
      this.logger.warn({ err: error, attempts: ended.length }, 'rows of ended attempts could not be deleted yet');
      this.ended.push(...ended);
      this.finishedIds.push(...finishedIds);
      if (this.state === 'running') setTimeout(() => this.sweepSoon(), 1_000).unref();
      return;
    }
    const at = Date.now();
    for (const entry of ended) {
      this.fenceInMemory(entry.key, entry.generation, at);
      if (this.entries.get(entry.key) === entry) this.entries.delete(entry.key);
    }
    try {
      await this.plugin.forget?.(ended.map((entry) => entry.attempt));
    } catch (error) {
      this.logger.warn({ err: error }, 'what ended attempts left behind could not be removed');
    }
  }

  /** Every third of the lease: stays the holder, ends what was asked to end elsewhere, drops old fences. */
  private async renew(): Promise<void> {
    try {
      const state = await this.store.renew(this.options.name, this.epoch, this.leaseMs);
      if (state !== 'held') {
        this.lose(state);
        return;
      }
      for (const { key, generation, reason } of await this.store.abortsOf(this.options.name)) {
        const entry = this.entries.get(key);
        if (entry && entry.generation <= generation) this.abort(entry, reason);
      }
      if (this.options.takeOver) this.dropUncommitted();
      const now = Date.now();
      if (now - this.prunedAt > this.fenceMs / 10) {
        this.prunedAt = now;
        for (const [key, fence] of this.fences) if (now - fence.at > this.fenceMs) this.fences.delete(key);
        await this.store.prune(this.fenceMs);
      }
    } catch (error) {
      this.logger.warn({ err: error }, 'the lease could not be renewed');
    }
  }

  /** Started ahead of a commit that never came, because another host has the stream now: that one starts it, so this one ends it. */
  private dropUncommitted(): void {
    const before = Date.now() - 2 * this.leaseMs;
    for (const entry of this.entries.values()) {
      if (entry.stored || entry.acceptedAt > before) continue;
      this.logger.warn({ key: entry.key }, 'the command of an attempt was never committed here; the attempt is ended');
      this.entries.delete(entry.key);
      void this.supersede(entry);
    }
  }

  private lose(state: 'fenced' | 'taken'): void {
    if (this.state !== 'running') return;
    this.state = 'lost';
    this.logger.error({ state }, 'this host lost its lease: it takes no more work');
    clearInterval(this.leaseTimer);
    clearTimeout(this.sweepTimer);
    this.sender.stop();
    void this.consumer?.close();
    for (const entry of this.entries.values()) {
      clearTimeout(entry.relaunch);
      // A newer process of the same name has the same children; another host has started its own.
      if (entry.state === 'active' && state === 'taken')
        this.plugin.abort(entry.attempt, 'its host lost its lease').catch((error: unknown) => {
          this.logger.error({ err: error, key: entry.key }, 'an attempt of a lost lease could not be ended');
        });
    }
    this.options.onLost?.(state);
  }
}

const noRequest = { milliCpu: 0, memoryBytes: 0, gpu: 0 };

/** Generations of one attempt don't replace each other's reports. */
const reportKey = (entry: AttemptEntry): string => `${entry.key}#${entry.generation}`;

const withoutPayload = ({ payload: _, ...envelope }: Envelope): Omit<Envelope, 'payload'> => envelope;

type DecodedCommand =
  | { $case: 'launch'; value: LaunchTask & { attempt: TaskAttempt } }
  | { $case: 'abort'; value: AbortTask & { attempt: TaskAttempt } };

function decodeCommand({ envelope }: IncomingMessage): DecodedCommand {
  const refuse = (what: string) =>
    invalidArgument(`command ${envelope.id} of ${envelope.key}: ${what}; expected an encoded aloft.v1.TaskCommand`);
  if (envelope.type !== 'aloft.v1.TaskCommand') throw refuse(`its type is "${envelope.type}"`);
  let command: TaskCommand['command'];
  try {
    command = TaskCommand.decode(envelope.payload).command;
  } catch (error) {
    throw refuse(`its ${envelope.payload.length} bytes do not decode (${(error as Error).message})`);
  }
  if (!command) throw refuse('it is neither a launch nor an abort');
  const { attempt } = command.value;
  if (!attempt?.name || !attempt.execution) throw refuse('its attempt has no name or no execution');
  if (command.$case === 'launch') {
    if (!command.value.template) throw refuse('its launch has no task template');
    return { $case: 'launch', value: { ...command.value, attempt } };
  }
  return { $case: 'abort', value: { ...command.value, attempt } };
}
