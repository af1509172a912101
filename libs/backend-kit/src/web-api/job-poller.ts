import { AloftError, toAloftError, type ErrorCode } from '@aloft/errors';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import PQueue from 'p-queue';
import type { PhaseReport } from '../contract.js';
import { failure, isTerminal } from '../outcome/phases.js';
import { timestampOf } from '../outcome/timestamp.js';
import type { Asked, WebApi, WebApiLimits } from './contract.js';

export interface Job<Handle> extends Asked<Handle> {
  /** Nothing of it is told any more: it ended, or was aborted. */
  over: boolean;
  dueAt: number;
  pauseMs: number;
  asking: boolean;
  /** Something changed while it was being asked for. */
  again: boolean;
  /** Answers in a row that did not know it. */
  unknown: number;
  /** Since when there were errors alone. */
  failingSince: number | undefined;
  /** What was told last, so that the same is not told again. */
  told: string;
  /** When it was first said to run. */
  startedAt: Date | undefined;
}

export interface JobPollerOptions<Handle> {
  api: WebApi<Handle>;
  limits: WebApiLimits;
  /** Its end was reported. */
  onEnded(job: Job<Handle>): void;
}

/**
 * Asks for jobs when they are due: many at once where the service takes that, at a bounded rate, and each less often the longer it runs. One timer
 * stands for all; without jobs there is none.
 */
export class JobPoller<Handle> {
  private readonly jobs = new Set<Job<Handle>>();
  private readonly named = new Map<string, Set<Job<Handle>>>();
  private readonly queue: PQueue;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;

  constructor(private readonly options: JobPollerOptions<Handle>) {
    const { concurrency, perSecond } = options.limits.reads;
    this.queue = new PQueue({ concurrency, intervalCap: perSecond, interval: 1000 });
  }

  watch(asked: Asked<Handle>, firstMs = this.options.limits.pollMs.first): Job<Handle> {
    const job: Job<Handle> = {
      ...asked,
      over: false,
      dueAt: performance.now() + firstMs,
      pauseMs: this.options.limits.pollMs.first,
      asking: false,
      again: false,
      unknown: 0,
      failingSince: undefined,
      told: '',
      startedAt: undefined,
    };
    this.jobs.add(job);
    for (const name of this.namesOf(job)) {
      const same = this.named.get(name);
      if (same) same.add(job);
      else this.named.set(name, new Set([job]));
    }
    this.arm();
    return job;
  }

  forget(job: Job<Handle>): void {
    job.over = true;
    this.jobs.delete(job);
    for (const name of this.namesOf(job)) {
      const same = this.named.get(name);
      same?.delete(job);
      if (same?.size === 0) this.named.delete(name);
    }
  }

  /** The jobs of this name are asked for at once; whether there are any. */
  hurry(name: string): boolean {
    const jobs = this.named.get(name);
    if (!jobs) return false;
    const now = performance.now();
    for (const job of jobs) {
      job.dueAt = now;
      job.again = job.asking;
    }
    clearTimeout(this.timer);
    this.timer = undefined;
    this.arm();
    return true;
  }

  /** Tells what an attempt's job said, unless that is what was told last. */
  tell(job: Job<Handle>, report: PhaseReport): void {
    if (job.over) return;
    const { occurredAt: _, ...what } = report;
    const told = JSON.stringify(what, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}` : value));
    if (told === job.told) return;
    job.told = told;
    if (report.phase === Phase.RUNNING) job.startedAt ??= report.occurredAt ?? new Date();
    const last = isTerminal(report.phase);
    if (last) this.forget(job);
    job.context.report(last ? { usage: usageOf(job), ...report } : report);
    if (job.over) this.options.onEnded(job);
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.queue.clear();
    for (const job of this.jobs) job.over = true;
    this.jobs.clear();
    this.named.clear();
  }

  private namesOf({ handle }: Asked<Handle>): readonly string[] {
    return this.options.api.namesOf?.(handle) ?? [];
  }

  private arm(): void {
    if (this.stopped || this.timer || this.jobs.size === 0) return;
    let next = Infinity;
    for (const job of this.jobs) if (!job.asking && job.dueAt < next) next = job.dueAt;
    if (next === Infinity) return;
    // What is due within a moment is asked for together.
    const delay = Math.max(this.options.limits.batch > 1 ? 100 : 20, next - performance.now());
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.askDue();
      this.arm();
    }, delay);
  }

  private askDue(): void {
    const { batch } = this.options.limits;
    const now = performance.now();
    const due = [...this.jobs].filter((job) => !job.asking && job.dueAt <= now);
    for (const job of due) job.asking = true;
    for (let at = 0; at < due.length; at += batch) {
      const together = due.slice(at, at + batch);
      void this.queue.add(() => this.ask(together));
    }
  }

  private async ask(jobs: readonly Job<Handle>[]): Promise<void> {
    const asked = jobs.filter(({ over }) => !over);
    let answers: readonly (PhaseReport | AloftError)[];
    try {
      answers = asked.length === 0 ? [] : await this.options.api.get(asked);
    } catch (error) {
      answers = asked.map(() => toAloftError(error));
    }
    const { first, longest } = this.options.limits.pollMs;
    const now = performance.now();
    for (const [i, job] of asked.entries()) {
      job.asking = false;
      job.pauseMs = Math.min(longest, Math.max(first, job.pauseMs * 1.5));
      job.dueAt = job.again ? now : now + job.pauseMs;
      job.again = false;
      if (!job.over) this.answered(job, answers[i]);
    }
    this.arm();
  }

  private answered(job: Job<Handle>, answer: PhaseReport | AloftError | undefined): void {
    if (answer instanceof AloftError) this.unanswered(job, answer);
    else if (answer) {
      job.unknown = 0;
      job.failingSince = undefined;
      this.tell(job, answer);
    }
  }

  private unanswered(job: Job<Handle>, error: AloftError): void {
    if (error.code === 'NOT_FOUND') {
      job.unknown += 1;
      if (job.unknown < this.options.limits.lostAfter) return;
      return this.tell(
        job,
        failure({
          code: 'JobLost',
          message: `The backend "${this.options.api.name}" does not know the attempt's job any more: ${error.message}`,
          kind: 'SYSTEM',
          retryable: true,
        }),
      );
    }
    const now = performance.now();
    job.failingSince ??= now;
    if (!hopeless.has(error.code) && now - job.failingSince < this.options.limits.patienceMs)
      return job.context.logger.warn({ err: error }, 'its job cannot be asked for; it is asked again');
    this.tell(
      job,
      failure({
        code: 'JobUnreadable',
        message: `The backend "${this.options.api.name}" could not say how the attempt's job is: ${error.message}`,
        kind: 'SYSTEM',
        retryable: true,
      }),
    );
  }
}

/** Answers that will be the same however often it is asked. */
const hopeless: ReadonlySet<ErrorCode> = new Set(['UNIMPLEMENTED', 'PERMISSION_DENIED', 'UNAUTHENTICATED']);

/** What is known of a job whose service says no more: when it was seen to begin and to end. */
function usageOf({ startedAt }: Job<unknown>): TaskUsage {
  const endedAt = new Date();
  return TaskUsage.fromPartial({
    startedAt: timestampOf(startedAt ?? endedAt),
    endedAt: timestampOf(endedAt),
  });
}
