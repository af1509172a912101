import type { OutgoingMessage } from '@aloft/bus';
import { MemoryBroker } from '@aloft/bus/testing';
import type { Graph } from '@aloft/engine';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import { createLogger, type Logger } from '@aloft/telemetry';
import { propellerConfigSchema, type PropellerConfig } from '../config.js';
import { topics } from '../events/outgoing.js';
import { Checker } from './checker.js';
import { serialIn, signalName } from './closures.js';
import { faultPlan, faultyMs, textOf, type Fault, type FaultPlan } from './faults.js';
import { FlowMaker, ownStepsOf, stepsOf, type Flow, type Shape, type Step } from './flow.js';
import type { Blobs } from './memory-blob.js';
import type { LeaseNews } from './memory-storage.js';
import { MemoryTables } from './memory-tables.js';
import { expectedOf } from './oracle.js';
import { historyPart } from '../runs/history-object.js';
import { Random } from './random.js';
import { replayProblem } from './replay-check.js';
import { Scheduler, Stuck } from './scheduler.js';
import { boolean, integer, numberIn, SimAdmin, type SimRun } from './sim-admin.js';
import { SimBackend } from './sim-backend.js';
import { SimCatalog } from './sim-catalog.js';
import { SimNode } from './sim-node.js';
import { calm, type Weather } from './sim-process.js';

export interface WorldOptions {
  seed: number;
  shape?: Shape;
  /** Runs started at most, and faults kept at most: for making a failure smaller. */
  maxRuns?: number;
  maxFaults?: number;
  trace?(line: string): void;
}

export interface WorldResult {
  seed: number;
  /** Of everything that happened, in order: the same seed gives the same. */
  digest: number;
  events: number;
  /** Simulated milliseconds. */
  time: number;
  runs: number;
  faults: number;
  problems: string[];
}

/** A takeover of each shard may ask, and the horizon; a loop asks each millisecond. */
const maxTimerReads = 40;

/** Most worlds are small: many of them a second find more than few large ones. */
const shapes: readonly Shape[] = [
  { maxSteps: 2, maxDepth: 1 },
  { maxSteps: 3, maxDepth: 1 },
  { maxSteps: 3, maxDepth: 1 },
  { maxSteps: 5, maxDepth: 2 },
  { maxSteps: 3, maxDepth: 0, onlyWait: 0.8 },
  { maxSteps: 5, maxDepth: 1, onlyWait: 0.8 },
];
const limits = { events: 120_000, time: 3_600_000 };
const silent = createLogger('simulation', { level: 'silent' });

/** One small world: propellers, database, bus, catalog, admin, backends, runs and faults, all from one seed. */
export class World {
  private readonly random: Random;
  private readonly scheduler: Scheduler;
  private readonly tables = new MemoryTables();
  private readonly blobs: Blobs = new Map();
  private readonly news: LeaseNews = new Set();
  private readonly nodes: SimNode[];
  private readonly checker: Checker;
  private readonly admin: SimAdmin;
  private readonly backend: SimBackend;
  private readonly plan: FaultPlan;
  private readonly steps = new Map<number, Step>();
  private readonly storms: Extract<Fault, { kind: 'storm' }>[] = [];
  private readonly byUid = new Map<string, SimRun>();
  /** Of the replays, by digest. */
  private readonly graphs = new Map<string, Graph>();
  private readonly signalled = new Set<string>();
  private starts = 0;
  private pending = 0;
  /** How far apart two readings of the clock may be beyond the time that passed between them, in milliseconds. */
  private jumped = 0;

  constructor(private readonly options: WorldOptions) {
    const random = new Random(options.seed);
    this.random = random;
    this.scheduler = new Scheduler(options.trace);
    const { scheduler } = this;
    this.checker = new Checker({
      scheduler,
      maxParallelism: (uid) => this.byUid.get(uid)?.maxParallelism ?? 0,
      gate: (uid, signalId) => this.gate(uid, signalId),
      upstream: (uid, nodeId) => upstreamOf(this.byUid.get(uid)?.flow, nodeId),
      beganBefore: (uid, nodeId, upstream) => this.backend.beganBefore(uid, nodeId, upstream),
    });
    const broker = new MemoryBroker({
      partitions: random.pick([1, 1, 2, 4]),
      appended: (messages) => this.appended(messages),
    });
    const plans = new Map<number, Flow>();
    const flow = this.flow(plans);
    this.admin = new SimAdmin({
      broker,
      blobs: this.blobs,
      scheduler,
      random: random.fork(),
      plans,
      started: (run) => this.started(run),
      hasEnded: ({ uid }) => this.checker.hasEnded(uid),
    });
    this.backend = new SimBackend({
      broker,
      blobs: this.blobs,
      scheduler,
      random: random.fork(),
      steps: this.steps,
      neighbours: () => this.nodes.filter(({ process, up }) => up && process.alive),
      hasEnded: (uid) => this.checker.hasEnded(uid),
      isOver: (attempt) => !this.mayHaveLostPatience && this.checker.isOver(attempt),
      failuresOf: (uid, nodeId) => this.checker.of(uid).failures.get(nodeId) ?? 0,
      problem: (what) => this.checker.problem(what),
    });
    const around = {
      scheduler,
      broker,
      tables: this.tables,
      news: this.news,
      blobs: this.blobs,
      catalog: new SimCatalog(scheduler),
      admin: this.admin,
      config: this.config(),
      logger: options.trace ? tracing(scheduler) : silent,
      weather: (kind: string) => this.weather(kind),
    };
    const count = random.pick([1, 1, 2, 3]);
    this.nodes = Array.from({ length: count }, (_, i) => new SimNode(`node${i}`, around, random.fork()));
    this.plan = faultPlan(random.fork(), count);
    this.plan.faults.length = Math.min(this.plan.faults.length, options.maxFaults ?? Infinity);
    this.schedule(flow, random.fork());
  }

  async run(): Promise<WorldResult> {
    const { scheduler, checker } = this;
    try {
      // Where a clock goes back, timers come late.
      const back = this.plan.faults.reduce((sum, each) => sum + (each.kind === 'clock' ? Math.max(0, -each.ms) : 0), 0);
      const most = { ...limits, time: limits.time + back };
      await scheduler.run(() => checker.problems.length > 0 || this.isOver(), most);
      if (checker.problems.length === 0) this.inspect();
    } catch (error) {
      if (!(error instanceof Stuck)) throw error;
      checker.problem(`stuck: ${error.message}; ${this.unfinished()}; ${this.owners()}`);
    }
    for (const node of this.nodes) node.end();
    return {
      seed: this.options.seed,
      digest: scheduler.digest,
      events: scheduler.happened,
      time: scheduler.time,
      runs: this.byUid.size,
      faults: this.plan.faults.length,
      problems: checker.problems,
    };
  }

  private flow(plans: Map<number, Flow>): Flow {
    const flow = new FlowMaker(this.random.fork(), this.options.shape ?? this.random.pick(shapes)).flow();
    for (const step of stepsOf(flow)) {
      this.steps.set(step.serial, step);
      if (step.kind === 'child') plans.set(step.serial, step.flow!);
    }
    return flow;
  }

  private config(): PropellerConfig {
    const { random } = this;
    return propellerConfigSchema.parse({
      // Jobs of its backend may depend on each other: tasks are launched ahead then (S-5).
      backends: { nativeDependencies: random.pick([[], ['local'], ['local']]) },
      leaseMs: random.pick([3000, 10_000]),
      commit: {
        maxInputs: random.pick([1, 4, 4096]),
        maxEffects: [1, 30, 20_000][this.options.seed % 3],
        snapshotMinLogBytes: random.pick([1, 2000, 512 * 1024]),
        maxWaiting: random.pick([2, 20_000]),
      },
      memory: { maxIdleRuns: random.pick([1, 10_000]), idleMs: random.pick([500, 60_000]) },
      timerHorizonMs: random.pick([1000, 60_000]),
      cache: { reservedRetryMs: 2000, heartbeatMs: 10_000 },
    });
  }

  private schedule(flow: Flow, random: Random): void {
    const { scheduler } = this;
    for (const node of this.nodes) {
      this.pending += 1;
      scheduler.after(random.chance(0.7) ? 0 : random.between(0, 3000), 'boot', () => {
        this.pending -= 1;
        node.start();
      });
    }
    const count = Math.min(1 + random.below(3), this.options.maxRuns ?? Infinity);
    const shared = random.below(10);
    for (let i = 0; i < count; i += 1) this.scheduleRun(flow, random, shared);
    for (const fault of this.plan.faults) scheduler.after(fault.at, 'fault', () => this.happen(fault));
  }

  private scheduleRun(flow: Flow, random: Random, shared: number): void {
    const { scheduler, admin } = this;
    // Runs of the same input find each other's results in the catalog, and wait for each other's reservations.
    const input = random.chance(0.7) ? shared : random.below(10);
    const settings = { maxParallelism: random.pick([0, 0, 1, 2]), overwriteCache: random.chance(0.1) };
    const abortAfter = random.chance(0.15) ? random.between(0, random.pick([500, 20_000])) : undefined;
    this.starts += 1;
    const name = `r${this.starts}`;
    this.pending += 1;
    scheduler.after(random.chance(0.7) ? random.between(0, 100) : random.between(0, 5000), 'start', () => {
      this.pending -= 1;
      const run = admin.start(name, flow, input, settings);
      if (abortAfter !== undefined)
        scheduler.after(abortAfter, 'abort', () => void (this.checker.hasEnded(run.uid) || admin.abort(run, 'asked')));
    });
  }

  private happen(fault: Fault): void {
    this.scheduler.note(`fault: ${textOf(fault)}`);
    if (fault.kind === 'storm') {
      this.storms.push(fault);
      return;
    }
    const node = this.nodes[fault.node]!;
    if (!node.process?.alive) return;
    if (fault.kind === 'crash') node.crash(fault.ms);
    else if (fault.kind === 'restart') node.restart(fault.ms);
    else if (fault.kind === 'pause') node.pause(fault.ms);
    else {
      node.process.skew += fault.ms;
      this.jumped += Math.abs(fault.ms);
    }
  }

  /**
   * An end waits thirty seconds for the word of a backend (decision 0053), by the clock of whoever has the run. Where clocks jump, these can be over
   * while the launch is still on its way, which takes some seconds here.
   */
  private get mayHaveLostPatience(): boolean {
    return this.jumped >= 20_000;
  }

  private weather(kind: string): Weather {
    const { time } = this.scheduler;
    const storm = this.storms.find(({ of, at, ms }) => of === kind && time >= at && time < at + ms);
    if (storm) return storm.weather;
    return time < faultyMs ? this.plan.weather : calm;
  }

  private appended(messages: readonly OutgoingMessage[]): void {
    // Launches are judged by what was known before their commit.
    for (const message of messages) {
      if (!message.topic.startsWith('tasks.commands.')) continue;
      this.checker.command(message);
      this.backend.take(message);
    }
    for (const message of messages) if (message.topic === topics.events) this.checker.events(message);
    this.checker.committed(new Set(messages.map(({ envelope }) => envelope.executionUid)));
  }

  /** Some gates are answered before anybody reaches them. */
  private started(run: SimRun): void {
    this.byUid.set(run.uid, run);
    for (const step of ownStepsOf(run.flow))
      if ((step.kind === 'signal' || step.kind === 'approve') && this.random.chance(0.15))
        this.scheduler.after(this.random.between(1, 500), 'early', () => this.gate(run.uid, signalName(step.serial)));
  }

  /** People answer gates after a while, now and then twice; who comes too late changes nothing. */
  private gate(uid: string, signalId: string): void {
    const { scheduler, random, admin } = this;
    const key = `${uid}/${signalId}`;
    if (this.signalled.has(key)) return;
    this.signalled.add(key);
    const run = this.byUid.get(uid)!;
    const step = this.steps.get(serialIn(signalId))!;
    const right = step.kind === 'approve' ? boolean(step.signal === 1) : integer(step.signal);
    const delay = random.chance(0.5) ? random.between(0, 50) : random.between(0, 15_000);
    const times = random.chance(0.3) ? 2 : 1;
    for (let revision = 1; revision <= times; revision += 1) {
      scheduler.after(delay + revision * random.between(1, 3000), 'signal', () => {
        if (!this.checker.hasEnded(uid)) admin.signal(run, signalId, right, revision);
      });
    }
  }

  private isOver(): boolean {
    if (this.pending > 0) return false;
    for (const { uid } of this.byUid.values()) if (!this.tables.runs.get(uid)?.history_uri) return false;
    return this.unfinished() === '';
  }

  /** What has not come to its end, in words. */
  private unfinished(): string {
    for (const run of this.byUid.values()) {
      const { uid, id } = run;
      if (!this.checker.hasEnded(uid)) return `run ${id.name} has not ended: ${this.checker.openNodes(uid).join(', ')}`;
      if (!this.tables.runs.get(uid)?.history_uri) return `run ${id.name} has no history`;
    }
    const [job] = this.backend.unfinished();
    if (job) return `attempt ${job} is not over`;
    if (this.backend.awaits > 0) return 'a command is on its way';
    if (this.tables.childAborts.size > 0) return 'a child was not told to stop';
    return '';
  }

  /** Who holds which stream, and who thinks so. */
  private owners(): string {
    const { time } = this.scheduler;
    const rows = [...this.tables.streams.values()].map(
      ({ stream, owner, epoch, expiresAt }) =>
        `${stream.topic}/${stream.partition} of ${owner?.name ?? 'nobody'} (${epoch}${expiresAt < time ? ', expired' : ''})`,
    );
    const held = this.nodes.map(
      ({ process, propeller }) => `${process.name} [${propeller.status().partitions.join()}]`,
    );
    return `${rows.join(', ')}; ${held.join(', ')}`;
  }

  /** Everything is over: is it as it has to be? */
  private inspect(): void {
    const { tables, checker } = this;
    for (const run of this.byUid.values()) this.inspectRun(run);
    if (tables.mostTimerReads > maxTimerReads)
      checker.problem(`a process asked for its timers ${tables.mostTimerReads} times within a second`);
    for (const [what, left] of Object.entries({
      'rows of the log': [...tables.log.keys()],
      snapshots: [...tables.snapshots.keys()],
      timers: [...tables.timers.keys()],
      'rows of reservations': [...tables.reservations.keys()],
      'attempts that nobody stopped': this.backend.forgotten(),
      'parked messages': tables.parked.map(({ reason }) => reason),
    }))
      if (left.length > 0) checker.problem(`${left.length} ${what} left: ${left.join(', ')}`);
  }

  private inspectRun(run: SimRun): void {
    const { uid, id } = run;
    const { checker } = this;
    const told = checker.of(uid);
    const expected = expectedOf(run.flow, run.input);
    const outputs = told.outputs ?? this.literalsAt(told.outputsUri);
    const value = numberIn(outputs?.['o']);
    const what = `run ${id.name} ${Phase[told.phase]}`;
    const ofAborted = (each: SimRun | undefined): boolean =>
      each !== undefined && (each.aborted || ofAborted(each.parent));
    if (told.phase === Phase.SUCCEEDED) {
      if (expected.value === undefined) checker.problem(`${what}, the oracle says it cannot`);
      else if (value !== expected.value) checker.problem(`${what} with ${value}, the oracle says ${expected.value}`);
    } else if (told.phase === Phase.ABORTED) {
      if (!ofAborted(run)) checker.problem(`${what}, and nobody asked for it`);
    } else if (told.phase !== Phase.FAILED || !expected.mayFail) {
      // A child that was stopped may fail its parent before the stop reaches that.
      if (!this.hasAbortedChild(run) || told.phase !== Phase.FAILED)
        checker.problem(`${what}, the oracle says ${expected.value}; ${told.error}`);
    }
    const open = checker.openNodes(uid);
    if (open.length > 0) checker.problem(`${what}, but of its nodes ${open.join(', ')}`);
    const part = historyPart(this.tables.runs.get(uid)!.history_uri!);
    const history = this.blobs.get(part.object);
    const cut = this.random.below(told.events.length * 2 + 1);
    const problem = history
      ? replayProblem(uid, part.cut(history), told.events, this.blobs, cut, this.graphs)
      : 'its history is not there';
    if (problem) checker.problem(`run ${id.name}: ${problem}`);
  }

  private hasAbortedChild(run: SimRun): boolean {
    return [...this.byUid.values()].some((each) => each.parent === run && each.aborted);
  }

  private literalsAt(uri: string): LiteralMap['literals'] | undefined {
    const bytes = this.blobs.get(uri);
    return bytes && LiteralMap.decode(bytes).literals;
  }
}

/** Nodes that have to succeed before one of the run's own steps may begin. */
function upstreamOf(flow: Flow | undefined, nodeId: string): string[] {
  const step = /^n\d+$/.test(nodeId) ? flow?.steps[Number(nodeId.slice(1))] : undefined;
  return step?.after.map((ref) => `n${ref}`) ?? [];
}

/** What the propellers log, between the lines of the trace. */
function tracing(scheduler: Scheduler): Logger {
  const write = (line: string) => {
    const {
      level: _level,
      time: _time,
      pid: _pid,
      hostname: _hostname,
      name: _name,
      ...rest
    } = JSON.parse(line) as Record<string, unknown>;
    const { err, msg, ...more } = rest as { err?: { message?: string }; msg?: string };
    scheduler.note(
      `log: ${msg ?? ''} ${err?.message ?? ''} ${Object.keys(more).length > 0 ? JSON.stringify(more) : ''}`,
    );
  };
  return createLogger('simulation', { level: 'info', destination: { write } });
}

export function simulate(options: WorldOptions): Promise<WorldResult> {
  return new World(options).run();
}
