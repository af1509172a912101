import { uptime } from 'node:os';
import { createLocalBlobStore } from '@aloft/blob';
import type { Bus, OutgoingMessage } from '@aloft/bus';
import { testBus, type TestBus } from '@aloft/bus/testing';
import type { Database, Transaction } from '@aloft/database';
import { unavailable } from '@aloft/errors';
import { type LaunchTask, type TaskAttempt, TaskReport } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { createLogger } from '@aloft/telemetry';
import type { AttemptContext, BackendPlugin } from '../contract.js';
import { attemptKey } from '../host/attempt-key.js';
import { BackendHost } from '../host/backend-host.js';
import type { BackendHostOptions } from '../host/host-options.js';
import { PostgresHostChannel } from '../host/host-channel.js';
import { backendMigrations } from '../host/migrations.js';
import { PostgresWorkStore } from '../host/postgres-work-store.js';
import { isTerminal } from '../outcome/phases.js';
import { launchOf } from './launches.js';
import { commandEnvelope } from './memory-bus.js';

const outcome = {
  result: { $case: 'outputs' as const, value: { value: { $case: 'inline' as const, value: { literals: {} } } } },
  deckUri: '',
  checkpointUri: '',
};

interface Job {
  key: string;
  generation: number;
  attempt: TaskAttempt;
  context: AttemptContext | undefined;
  state: 'running' | 'ended' | 'killed';
  timer?: NodeJS.Timeout;
}

/** What happened to jobs, over all machines, in order. */
export interface FleetEvent {
  what: 'start' | 'end' | 'kill';
  host: string;
  key: string;
  generation: number;
  at: number;
}

/** Why a run of the fleet was wrong. */
export type Violation = string;

/**
 * One machine's work, which outlives its host's process as local processes do: jobs with a duration, and a watch that ends
 * them when the host's time is over. A machine has one plugin after the other.
 */
export class Machine {
  readonly jobs = new Map<string, Job>();
  private until: number | undefined;
  private watch: NodeJS.Timeout | undefined;

  constructor(
    readonly host: string,
    readonly fleet: Fleet,
    readonly slots: number,
  ) {}

  plugin(): BackendPlugin {
    let stopped = false;
    return {
      name: 'test',
      reach: this.fleet.reach,
      capacity: () => ({ slots: this.slots }),
      refuse: () => undefined,
      holdUntil: (until) => this.holdUntil(until),
      launch: async (launch, context) => {
        await this.fleet.breath();
        if (this.fleet.reach === 'anywhere')
          await context.remember(Buffer.from(attemptKey(launch.attempt as TaskAttempt)));
        if (!stopped) this.begin(launch, context);
      },
      adopt: async (launches, contextOf, { exclusive }) => {
        const absent: TaskAttempt[] = [];
        const known = new Set<string>();
        for (const launch of launches) {
          const attempt = launch.attempt as TaskAttempt;
          const job = this.jobsHere.get(jobId(attempt));
          if (!job || job.state === 'killed') {
            absent.push(attempt);
            continue;
          }
          known.add(jobId(attempt));
          job.context = contextOf(attempt);
          const { remembered } = job.context;
          if (this.fleet.reach === 'anywhere' && `${remembered ? Buffer.from(remembered) : ''}` !== job.key)
            this.fleet.violations.push(`${job.key} was found without what was remembered of it`);
          if (job.state === 'ended') job.context.report({ phase: Phase.SUCCEEDED, outcome });
        }
        if (exclusive && this.fleet.reach === 'host')
          for (const [id, job] of this.jobs) if (!known.has(id)) this.kill(job);
        return absent;
      },
      abort: async (attempt) => {
        await this.fleet.breath();
        const job = this.jobsHere.get(jobId(attempt));
        if (job) this.kill(job);
      },
      stop: async () => {
        stopped = true;
      },
    };
  }

  /** Where work is reached from anywhere, all machines see the same. */
  private get jobsHere(): Map<string, Job> {
    return this.fleet.reach === 'anywhere' ? this.fleet.jobs : this.jobs;
  }

  get live(): Job[] {
    return [...this.jobsHere.values()].filter(({ state }) => state === 'running');
  }

  private begin(launch: LaunchTask, context: AttemptContext): void {
    const attempt = launch.attempt as TaskAttempt;
    const id = jobId(attempt);
    const known = this.jobsHere.get(id);
    if (known && known.state !== 'killed') {
      known.context = context;
      if (known.state === 'ended') context.report({ phase: Phase.SUCCEEDED, outcome });
      return;
    }
    if (this.until !== undefined && uptime() >= this.until) return;
    const job: Job = { key: attemptKey(attempt), generation: attempt.generation, attempt, context, state: 'running' };
    this.fleet.started(this, job);
    this.jobsHere.set(id, job);
    context.report({ phase: Phase.RUNNING });
    const duration = Number(launch.env.find(({ key }) => key === 'DURATION')?.value ?? Number.NaN);
    if (Number.isFinite(duration)) job.timer = setTimeout(() => this.end(job), duration);
  }

  end(job: Job): void {
    if (job.state !== 'running') return;
    job.state = 'ended';
    this.fleet.note('end', this.host, job);
    job.context?.report({ phase: Phase.SUCCEEDED, outcome });
  }

  private kill(job: Job): void {
    clearTimeout(job.timer);
    if (job.state === 'running') this.fleet.note('kill', this.host, job);
    job.state = 'killed';
  }

  private holdUntil(until: number): void {
    this.until = Math.max(until, this.until ?? 0);
    clearTimeout(this.watch);
    if (this.fleet.reach === 'anywhere') return;
    const look = () => {
      const left = ((this.until as number) - uptime()) * 1000;
      if (left > 0) this.watch = setTimeout(look, left + 1);
      else for (const job of this.jobs.values()) this.kill(job);
    };
    look();
  }

  stop(): void {
    clearTimeout(this.watch);
    for (const { timer } of this.jobs.values()) clearTimeout(timer);
  }
}

const jobId = (attempt: TaskAttempt) => `${attemptKey(attempt)}#${attempt.generation}`;

/** A host's way to its database that can be cut, and a process that can end. */
class Gate {
  state: 'open' | 'cut' | 'dead' = 'open';
  private waiting: (() => void)[] = [];

  set(state: Gate['state']): void {
    this.state = state;
    if (state !== 'cut') for (const go of this.waiting.splice(0)) go();
  }

  async pass(): Promise<void> {
    if (this.state === 'cut') await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (this.state === 'dead') throw unavailable('this process was killed');
  }

  database(database: Database): Database {
    const through = async <T>(work: () => Promise<T>): Promise<T> => {
      await this.pass();
      const result = await work();
      await this.pass();
      return result;
    };
    return {
      schema: database.schema,
      url: database.url,
      query: (sql, values) => through(() => database.query<never>(sql, values)),
      transaction: (work) =>
        through(() =>
          database.transaction((tx) => {
            const wrapped: Transaction = {
              get client() {
                return tx.client;
              },
              query: (sql, values) => through(() => tx.query<never>(sql, values)),
              send: (sql, values, explain) => tx.send(sql, values, explain),
              withCommit: (make) => tx.withCommit(make),
              afterCommit: (effect) => tx.afterCommit(() => this.state !== 'dead' && effect()),
            };
            return through(() => work(wrapped));
          }),
        ),
      close: () => database.close(),
    };
  }
}

/** One process with a host. */
export class Member {
  readonly gate = new Gate();
  host!: BackendHost;
  state: 'up' | 'killed' | 'stopped' = 'up';
  private rejoining: Promise<void> = Promise.resolve();

  constructor(
    readonly machine: Machine,
    private readonly fleet: Fleet,
    private readonly bus: ReturnType<TestBus['openBus']>,
    private readonly database: Database,
  ) {}

  async start(): Promise<void> {
    const database = this.gate.database(this.database);
    const { logger } = this.fleet;
    const plugin = this.machine.plugin();
    const name = this.machine.host;
    const host = new BackendHost({
      plugin,
      database,
      logger,
      name,
      store: new PostgresWorkStore(database, plugin.name),
      channel: new PostgresHostChannel(database, plugin.name, name, logger),
      blob: createLocalBlobStore({ dir: '/nonexistent' }),
      bus: {
        consume: (options) => this.bus.consume({ ...options, database, leaseMs: 1_000 }),
        deliver: async (messages) => {
          await this.gate.pass();
          if (this.fleet.hold) throw unavailable('the test holds reports back');
          await this.bus.deliver(messages);
          this.fleet.delivered(messages);
          await this.gate.pass();
        },
      },
      leaseMs: this.fleet.leaseMs,
      onStop: 'hand-over',
      relaunchMs: { first: 10, longest: 50 },
      reports: { backoffMs: { first: 5, longest: 50 }, coalesceMs: 5, timeoutMs: 1_000 },
      ...this.fleet.hostOptions,
      onLost: (state) => {
        if (state !== 'fenced' && this.host === host) this.rejoining = this.rejoining.then(() => this.rejoin());
      },
    });
    this.host = host;
    await host.start();
  }

  /** As often as it takes: on a busy machine a short lease may be over before there is a host. */
  async begin(): Promise<void> {
    for (;;) {
      try {
        return await this.start();
      } catch (error) {
        await this.host.stop();
        if (this.state !== 'up') return;
        this.fleet.logger.info({ err: error }, 'started again');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  private async rejoin(): Promise<void> {
    await this.host.stop();
    if (this.state === 'up') await this.begin();
  }

  /** As SIGKILL of the host's process; its work goes on. */
  async kill(): Promise<void> {
    if (this.state !== 'up') return;
    this.state = 'killed';
    this.gate.set('dead');
    for (const job of this.machine.jobs.values()) job.context = undefined;
    this.host.vanish();
    await this.bus.close();
  }

  async stop(drainMs = 0): Promise<void> {
    if (this.state !== 'up') return;
    this.state = 'stopped';
    this.gate.set('open');
    await this.rejoining;
    await this.host.stop(drainMs);
    await this.bus.close();
  }
}

/** Several hosts of one scripted backend over one database, and what must hold whatever befalls them. */
export class Fleet {
  readonly events: FleetEvent[] = [];
  readonly violations: Violation[] = [];
  readonly reports: TaskReport[] = [];
  readonly jobs = new Map<string, Job>();
  readonly machines = new Map<string, Machine>();
  readonly members: Member[] = [];
  readonly logger = createLogger('fleet', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' });
  hostOptions: Partial<BackendHostOptions> = {};
  /** No report arrives. */
  hold = false;
  breath: () => Promise<void> = async () => undefined;
  /** Ends that were stored on the bus. */
  private readonly durable = new Set<string>();
  private readonly waiters = new Set<() => void>();
  private readers: Promise<void>[] = [];
  private closing: (() => Promise<void>)[] = [];
  private shard = 0;

  private constructor(
    readonly test: TestBus,
    readonly reach: 'host' | 'anywhere',
    readonly leaseMs: number,
  ) {}

  static async open(options: { reach?: 'host' | 'anywhere'; leaseMs?: number } = {}): Promise<Fleet> {
    const test = await testBus({ schema: 'backends', migrations: backendMigrations, partitions: () => 3 });
    const fleet = new Fleet(test, options.reach ?? 'host', options.leaseMs ?? 500);
    for (let partition = 0; partition < 3; partition++) fleet.collect(test.bus, partition);
    return fleet;
  }

  async member(name: string, slots = 4): Promise<Member> {
    let machine = this.machines.get(name);
    if (!machine) this.machines.set(name, (machine = new Machine(name, this, slots)));
    const member = new Member(machine, this, this.test.openBus(), this.test.open('backends', 6));
    this.members.push(member);
    await member.begin();
    return member;
  }

  launch(name: string, options: { duration?: number; generation?: number } = {}) {
    const { duration, generation = 1 } = options;
    return launchOf({ name, generation, ...(duration === undefined ? {} : { env: { DURATION: String(duration) } }) });
  }

  /** As the propeller issues them; each attempt's commands go to one stream. */
  async command(...commands: ({ launch: LaunchTask } | { abort: TaskAttempt })[]): Promise<void> {
    const messages = commands.map<OutgoingMessage>((command) => {
      const envelope =
        'launch' in command
          ? commandEnvelope({ $case: 'launch', value: command.launch })
          : commandEnvelope({ $case: 'abort', value: { attempt: command.abort, reason: 'the test asked for it' } });
      const shard = [...envelope.key].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 1024, 7);
      return { topic: 'tasks.commands.test', envelope: { ...envelope, id: `${envelope.id}/${this.shard++}`, shard } };
    });
    await this.test.database.transaction((tx) => this.test.bus.publish(tx, messages));
  }

  note(what: FleetEvent['what'], host: string, { key, generation }: Job): void {
    this.events.push({ what, host, key, generation, at: performance.now() });
    this.wake();
  }

  started(machine: Machine, job: Job): void {
    for (const other of this.machines.values())
      for (const live of other.live)
        if (live.key === job.key)
          this.violations.push(`${job.key}#${job.generation} began on ${machine.host} while it ran on ${other.host}`);
    if (this.durable.has(`${job.key}#${job.generation}`))
      this.violations.push(`${job.key}#${job.generation} began on ${machine.host} after its end was durable`);
    this.note('start', machine.host, job);
  }

  delivered(messages: readonly OutgoingMessage[]): void {
    for (const { envelope } of messages) {
      const { attempt, phase } = TaskReport.decode(envelope.payload);
      if (attempt && isTerminal(phase)) this.durable.add(jobId(attempt));
    }
  }

  starts(attempt: TaskAttempt): FleetEvent[] {
    return this.events.filter(({ what, key }) => what === 'start' && key === attemptKey(attempt));
  }

  endOf(attempt: TaskAttempt): TaskReport | undefined {
    return this.reports.find(
      (report) =>
        report.attempt &&
        attemptKey(report.attempt) === attemptKey(attempt) &&
        report.attempt.generation === attempt.generation &&
        isTerminal(report.phase),
    );
  }

  /** Looks again after each event, or every so many milliseconds at what has none. */
  async until<T>(look: () => T | undefined | Promise<T | undefined>, everyMs?: number): Promise<T> {
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.waiters.delete(wake);
          resolve();
        };
        this.waiters.add(wake);
        if (everyMs !== undefined) setTimeout(wake, everyMs);
      });
    }
  }

  /** Resolves when the only row of the work table (or its absence) is as wanted. */
  async row(wanted: (row: { report: Buffer | null; host: string } | undefined) => boolean): Promise<void> {
    await this.until(async () => {
      const { rows } = await this.test.database.query<{ report: Buffer | null; host: string }>('SELECT * FROM work');
      return wanted(rows[0]) ? true : undefined;
    }, 5);
  }

  /** The streams of this member go to whoever comes next; its host lives on. */
  async moveStreams(member: Member): Promise<void> {
    await (member.host as unknown as { consumer: { close(): Promise<void> } }).consumer.close();
  }

  end(attempt: TaskAttempt): Promise<TaskReport> {
    return this.until(() => this.endOf(attempt));
  }

  startOf(attempt: TaskAttempt, count = 1): Promise<FleetEvent> {
    return this.until(() => this.starts(attempt)[count - 1]);
  }

  isLive(attempt: TaskAttempt): boolean {
    return [...this.machines.values()].some(({ live }) => live.some(({ key }) => key === attemptKey(attempt)));
  }

  /** Ends the attempt's job wherever it runs, as its own doing. */
  finish(attempt: TaskAttempt): void {
    for (const machine of this.machines.values())
      for (const job of machine.live) if (job.key === attemptKey(attempt)) machine.end(job);
  }

  async rows(table: 'work' | 'finished' | 'superseded' | 'host'): Promise<{ key: string; host: string }[]> {
    return (await this.test.database.query<{ key: string; host: string }>(`SELECT * FROM ${table}`)).rows;
  }

  /** What is left, for the message of a run that does not end. */
  async describe() {
    return {
      violations: this.violations,
      work: (
        await this.test.database.query(
          'SELECT key, generation, host, abort_reason, losses, report IS NOT NULL AS ended FROM work',
        )
      ).rows,
      hosts: (await this.test.database.query('SELECT name, epoch, expires_at - now() AS left FROM host')).rows,
      streams: (await this.test.database.query('SELECT partition, owner, position, expires_at FROM bus_streams')).rows,
      members: this.members
        .filter(({ state }) => state === 'up')
        .map(({ machine, gate, host }) => ({ name: machine.host, gate: gate.state, ...host.status })),
      live: [...this.machines.values()].flatMap(({ host, live }) => live.map(({ key }) => `${key} on ${host}`)),
    };
  }

  async close(): Promise<void> {
    for (const member of this.members) await member.stop();
    for (const machine of this.machines.values()) machine.stop();
    for (const close of this.closing) await close();
    await Promise.all(this.readers);
    await this.test.drop();
  }

  private wake(): void {
    for (const wake of this.waiters) wake();
  }

  private collect(bus: Bus, partition: number): void {
    const reader = bus.read({ topic: 'tasks.reports', partition }, 0n);
    this.closing.push(() => reader.close());
    this.readers.push(
      (async () => {
        for (let batch = await reader.next(500); batch; batch = await reader.next(500)) {
          for (const { envelope } of batch.messages) this.reports.push(TaskReport.decode(envelope.payload));
          batch.acknowledge();
          this.wake();
        }
      })(),
    );
  }
}
