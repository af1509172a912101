import { createHash } from 'node:crypto';
import { envelope, executionKey, type OutgoingMessage } from '@aloft/bus';
import type { MemoryBroker } from '@aloft/bus/testing';
import {
  TaskCommand,
  TaskReport,
  type LaunchTask,
  type LiteralsValue,
  type TaskAttempt,
  type TaskOutcome,
  WaitReason_Kind,
} from '@aloft/idl/aloft/v1/bus';
import { ExecutionError_ErrorKind, TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { MemoryBus } from '@aloft/bus/testing';
import { futuresOf, serialIn } from './closures.js';
import { itemValue, taskValue, type Step } from './flow.js';
import type { Random } from './random.js';
import { epoch, type Scheduler, type Scheduled } from './scheduler.js';
import { integer, numberIn } from './sim-admin.js';
import type { SimProcess } from './sim-process.js';

interface Job {
  name: string;
  launch: LaunchTask | undefined;
  /** It ended, or was stopped (perhaps before it came). */
  over: boolean;
  /** It went on to its end though its run was over, and nobody had it stopped. */
  forgotten: boolean;
  begun: boolean;
  /** It was said to run. */
  runs: boolean;
  end: Scheduled | undefined;
  /** It succeeded as its backend sees it, whatever is made of that. */
  succeeded: boolean;
  /** Jobs that wait for it to succeed. */
  followers: Job[];
  /** The last report that nobody has acknowledged. */
  unheard: OutgoingMessage | undefined;
  sending: boolean;
}

export interface SimBackendOptions {
  broker: MemoryBroker;
  blobs: Map<string, Uint8Array>;
  scheduler: Scheduler;
  random: Random;
  steps: ReadonlyMap<number, Step>;
  /** Processes that a host may share: what it reports reaches them without a commit of its own. */
  neighbours(): readonly { process: SimProcess; bus: MemoryBus }[];
  hasEnded(uid: string): boolean;
  /** The attempt, its node or its run was told to be over. */
  isOver(attempt: TaskAttempt): boolean;
  /** How many attempts of the node have failed, of those that counted. */
  failuresOf(uid: string, nodeId: string): number;
  problem(what: string): void;
}

/**
 * Backends and their hosts, by the contract of libs/backend-kit: the same attempt launched twice is one job; a stopped attempt leaves a
 * tombstone; the last report of an attempt is told until it is acknowledged. Commands come late, twice, and in any order of attempts;
 * reports come late, twice, or again when everything is over.
 */
export class SimBackend {
  readonly jobs = new Map<string, Job>();
  /** When the job began and ended that last succeeded of a task's node, by run and node. */
  private readonly successes = new Map<string, { begun: number; ended: number }>();
  /** When the last command of an attempt comes, so that those of one attempt stay in order. */
  private readonly coming = new Map<string, number>();
  private underWay = 0;

  constructor(private readonly options: SimBackendOptions) {}

  /** What a commit put on `tasks.commands.<backend>`. */
  take({ envelope: message }: OutgoingMessage): void {
    const { random, scheduler } = this.options;
    const times = random.chance(0.1) ? 2 : 1;
    const key = `${message.executionUid}/${message.key}`;
    for (let i = 0; i < times; i += 1) {
      const delay = random.chance(0.05) ? random.between(0, 3000) : random.between(0, 20);
      const at = Math.max(scheduler.time + delay, this.coming.get(key) ?? 0);
      this.coming.set(key, at);
      this.underWay += 1;
      scheduler.after(at - scheduler.time, 'command', () => {
        this.underWay -= 1;
        this.command(key, message.payload);
      });
    }
  }

  /** Commands that are still on their way. */
  get awaits(): number {
    return this.underWay;
  }

  /** Attempts that have neither ended nor been stopped, or whose end nobody knows yet. */
  unfinished(): string[] {
    return [...this.jobs.values()].filter(({ over, unheard }) => !over || unheard).map(({ name }) => name);
  }

  /** Whether the job by which a node succeeded began before that of another node had ended. */
  beganBefore(uid: string, nodeId: string, other: string): boolean {
    const [mine, before] = [this.successes.get(`${uid}/${nodeId}`), this.successes.get(`${uid}/${other}`)];
    return mine !== undefined && before !== undefined && mine.begun < before.ended;
  }

  /** Attempts that ran on after their run's end. */
  forgotten(): string[] {
    return [...this.jobs.values()].filter(({ forgotten }) => forgotten).map(({ name }) => name);
  }

  private job(key: string): Job {
    let job = this.jobs.get(key);
    if (!job) {
      job = {
        name: key,
        launch: undefined,
        over: false,
        forgotten: false,
        begun: false,
        runs: false,
        end: undefined,
        succeeded: false,
        followers: [],
        unheard: undefined,
        sending: false,
      };
      this.jobs.set(key, job);
    }
    return job;
  }

  private command(key: string, payload: Uint8Array): void {
    const { command } = TaskCommand.decode(payload);
    const job = this.job(key);
    if (command?.$case === 'launch') {
      if (job.launch || job.over) return;
      job.launch = command.value;
      this.submit(job, command.value);
    } else if (command?.$case === 'abort') {
      job.forgotten = false;
      if (job.over) return;
      job.over = true;
      if (job.end) job.end.cancelled = true;
      this.options.scheduler.note(`backend: ${job.name} is stopped`);
      if (job.launch) this.report(job, Phase.ABORTED, undefined, command.value.reason);
      this.releaseFollowers(job);
    }
  }

  /** Where jobs depend on each other (S-5), one of a task has a name soon, and begins when those that it depends on have succeeded. */
  private submit(job: Job, launch: LaunchTask): void {
    const { scheduler, random, problem } = this.options;
    if (this.nameOf(job) !== '')
      scheduler.after(
        random.between(0, 30),
        'submitted',
        () => job.runs || job.over || this.report(job, Phase.INITIALIZING),
      );
    for (const name of launch.dependsOn) {
      const before = this.jobs.get(name);
      scheduler.note(`backend: ${job.name} depends on ${name}`);
      if (before?.launch) before.followers.push(job);
      else problem(`${job.name} depends on ${name}, which is no job`);
    }
    this.release(job, launch);
  }

  /** Begins a job if nothing that it depends on is under way any more; ends it if one of them has failed. */
  private release(job: Job, launch: LaunchTask): void {
    if (job.over || job.begun) return;
    const before = launch.dependsOn.flatMap((name) => this.jobs.get(name) ?? []);
    if (before.some(({ over, succeeded }) => over && !succeeded)) {
      job.over = true;
      this.options.scheduler.note(`backend: ${job.name} never begins`);
      this.report(job, Phase.ABORTED, undefined, 'a job that it depends on failed', true);
      this.releaseFollowers(job);
    } else if (before.every(({ succeeded }) => succeeded)) this.begin(job, launch);
  }

  private releaseFollowers({ followers }: Job): void {
    for (const follower of followers.splice(0)) this.release(follower, follower.launch!);
  }

  /** What others may call the job; of a dynamic task it is not all. */
  private nameOf({ name, launch }: Job): string {
    if (!launch?.route?.nativeDependencies || launch.attempt?.index !== undefined) return '';
    return this.options.steps.get(serialIn(launch.template!.id!.name))?.kind === 'task' ? name : '';
  }

  private begin(job: Job, launch: LaunchTask): void {
    const { scheduler, random, steps } = this.options;
    const { retryAttempt, index, executionUid, nodeId } = launch.attempt!;
    const serial = serialIn(launch.template!.id!.name);
    const step = steps.get(serial);
    const fate = step?.fates[index ?? 0] ?? { mishaps: [], hopeless: false };
    // Attempts that were taken back have had no fate.
    const mishap = fate.mishaps[index === undefined ? this.options.failuresOf(executionUid, nodeId) : retryAttempt];
    // As the backend sees it, one that wrote no outputs has succeeded.
    const writesNothing = mishap === 'user' && step?.kind === 'task' && random.chance(0.5);
    job.begun = true;
    const begun = scheduler.time;
    scheduler.note(`backend: ${job.name} begins`);
    if (this.options.isOver(launch.attempt!)) this.options.problem(`${job.name} begins after it was told to be over`);
    if (mishap === 'hang' || random.chance(0.6)) {
      scheduler.after(random.between(0, 50), 'running', () => job.over || this.report(job, Phase.RUNNING));
    }
    if (mishap === 'hang') return;
    const takes = random.chance(0.1) ? random.between(0, 8000) : random.between(50, 300);
    job.end = scheduler.after(takes, 'job', () => {
      job.over = true;
      job.forgotten = this.options.hasEnded(executionUid);
      const isDone = !mishap && !fate.hopeless;
      job.succeeded = writesNothing || isDone;
      if (isDone && index === undefined)
        this.successes.set(`${executionUid}/${nodeId}`, { begun, ended: scheduler.time });
      if (writesNothing) this.report(job, Phase.SUCCEEDED, this.resultOf(undefined, launch));
      else if (mishap) this.report(job, Phase.RETRYABLE_FAILED, failure(mishap));
      else if (fate.hopeless) this.report(job, Phase.FAILED, failure('user'));
      else this.report(job, Phase.SUCCEEDED, this.resultOf(step, launch));
      this.releaseFollowers(job);
    });
  }

  private resultOf(step: Step | undefined, launch: LaunchTask): TaskOutcome {
    const { blobs, random } = this.options;
    if (!step) return outcome({ $case: 'outputs', value: { value: { $case: 'inline', value: { literals: {} } } } });
    const inputs = this.inputsOf(launch.inputs);
    if (step.kind === 'dynamic') {
      const bytes = futuresOf(step.flow!, numberIn(inputs.literals['a']));
      const uri = `${launch.outputPrefix}/futures.pb`;
      blobs.set(uri, bytes);
      return outcome({ $case: 'futures', value: { uri, size: BigInt(bytes.length), digest: sha256(bytes) } });
    }
    const value =
      step.kind === 'array' ? this.itemOf(step, inputs, launch.attempt!.index ?? 0) : this.taskOf(step, inputs);
    const map = { literals: { o: integer(value) } };
    if (random.chance(0.85)) return outcome({ $case: 'outputs', value: { value: { $case: 'inline', value: map } } });
    const bytes = LiteralMap.encode(map).finish();
    const uri = `${launch.outputPrefix}/outputs.pb`;
    blobs.set(uri, bytes);
    const stored = { uri, size: BigInt(bytes.length), digest: sha256(bytes) };
    return outcome({ $case: 'outputs', value: { value: { $case: 'stored', value: stored } } });
  }

  private taskOf(step: Step, { literals }: LiteralMap): number {
    return taskValue(step.serial, numberIn(literals['a']), numberIn(literals['b']));
  }

  private itemOf(step: Step, { literals }: LiteralMap, index: number): number {
    const given = literals['a'];
    const element = given?.value?.$case === 'collection' ? given.value.value.literals[index] : given;
    return itemValue(step.serial, numberIn(element));
  }

  private inputsOf(value: LiteralsValue | undefined): LiteralMap {
    if (value?.value?.$case === 'inline') return value.value.value;
    if (value?.value?.$case !== 'stored') return { literals: {} };
    const bytes = this.options.blobs.get(value.value.value.uri);
    if (!bytes) {
      this.options.problem(`a launch names inputs that do not exist: ${value.value.value.uri}`);
      return { literals: {} };
    }
    return LiteralMap.decode(bytes);
  }

  private report(job: Job, phase: Phase, result?: TaskOutcome, reason = '', upstreamFailed = false): void {
    job.runs ||= phase === Phase.RUNNING;
    job.unheard = this.message(job, phase, { outcome: result, reason, upstreamFailed });
    this.options.scheduler.note(`backend: ${job.name} reports ${Phase[phase]}`);
    if (!job.sending) this.send(job);
  }

  /** Tells the last report until somebody has committed it. */
  private send(job: Job): void {
    const { scheduler, random, broker } = this.options;
    const message = job.unheard;
    job.sending = message !== undefined;
    if (!message) return;
    let settled = false;
    const settle = (heard: boolean) => {
      if (settled) return;
      settled = true;
      if (heard && job.unheard === message) job.unheard = undefined;
      if (heard && random.chance(0.1)) {
        scheduler.after(random.between(0, 20_000), 'report again', () => broker.append([message], undefined));
      }
      scheduler.after(heard ? 0 : random.between(20, 500), 'host', () => this.send(job));
    };
    const neighbours = this.options.neighbours();
    const delay = random.chance(0.1) ? random.between(0, 2000) : random.between(0, 10);
    if (neighbours.length === 0 || random.chance(0.4)) {
      scheduler.after(delay, 'report stored', () => {
        broker.append(random.chance(0.1) ? [message, message] : [message], undefined);
        settle(true);
      });
      return;
    }
    const { process, bus } = random.pick(neighbours);
    scheduler.after(
      delay,
      'report delivered',
      () =>
        void bus.deliver([message]).then(
          () => settle(true),
          () => settle(false),
        ),
      process,
    );
    // Its neighbour died, and took the answer with it.
    scheduler.after(delay + 5000, 'host waits no longer', () => settle(false));
  }

  private message(
    job: Job,
    phase: Phase,
    said: Pick<TaskReport, 'outcome' | 'reason' | 'upstreamFailed'>,
  ): OutgoingMessage {
    const { scheduler } = this.options;
    const attempt = job.launch!.attempt!;
    const now = new Date(Math.floor(epoch + scheduler.time));
    const report: TaskReport = {
      attempt,
      phase,
      phaseVersion: 0,
      occurredAt: { seconds: BigInt(Math.floor(now.getTime() / 1000)), nanos: (now.getTime() % 1000) * 1_000_000 },
      ...said,
      logs: [],
      customInfo: undefined,
      usage: undefined,
      backend: 'local',
      interruptible: false,
      waitsFor: WaitReason_Kind.NONE,
      job: this.nameOf(job),
    };
    return {
      topic: 'tasks.reports',
      envelope: envelope({
        id: `${attempt.executionUid}/${attempt.name}/${attempt.generation}/${phase}`,
        type: 'aloft.v1.TaskReport',
        key: executionKey(attempt.execution!),
        execution: attempt.execution!,
        executionUid: attempt.executionUid,
        generation: attempt.generation,
        time: now,
        payload: TaskReport.encode(report).finish(),
      }),
    };
  }
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

const outcome = (result: TaskOutcome['result']): TaskOutcome => ({ result, deckUri: '', checkpointUri: '' });

function failure(whose: 'user' | 'system'): TaskOutcome {
  const kind = whose === 'user' ? ExecutionError_ErrorKind.USER : ExecutionError_ErrorKind.SYSTEM;
  const error = { code: 'Simulated', message: 'so it was to be', errorUri: '', kind, timestamp: undefined, worker: '' };
  return outcome({ $case: 'error', value: error });
}
