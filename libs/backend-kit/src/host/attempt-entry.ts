import {
  WaitReason_Kind,
  type Envelope,
  type LaunchTask,
  type TaskAttempt,
  type TaskReport,
  type TaskUsage,
} from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase, type TaskLog } from '@aloft/idl/flyteidl/core/execution';
import type { Queued } from '../capacity/attempt-queue.js';
import type { ResourceRequest } from '../capacity/quantity.js';
import type { PhaseReport } from '../contract.js';
import { logLinks, type LogTemplate } from '../log-links/log-links.js';
import { isTerminal } from '../outcome/phases.js';
import { timestampOf } from '../outcome/timestamp.js';
import { attemptKey, executionOf } from './attempt-key.js';

/** One generation of one attempt, from its command until its last report is acknowledged. */
export class AttemptEntry implements Queued {
  readonly key: string;
  readonly group: string;
  readonly budgetMs: number | undefined;
  readonly attempt: TaskAttempt;
  readonly generation: number;
  /** `waiting` for capacity; `moving` to another host; `active`: given to the plugin; `ended`: terminal report made. */
  state: 'waiting' | 'moving' | 'active' | 'ended' = 'waiting';
  /** Its row is committed. */
  stored = false;
  /** It was put into the queue. */
  queued = false;
  /** Whether there is a place for it was looked at in this process, when its command came. */
  placed = false;
  /** Why there is none, for one that waits for it. */
  obstacle: string | undefined;
  /** Its end is in its row, where that comes before telling it. */
  recorded = false;
  /** It is being ended only to begin anew elsewhere: its end is no outcome. */
  handingOver = false;
  /** How often its holder was lost. */
  restarts = 0;
  /** Its terminal report was acknowledged. */
  acknowledged = false;
  /** Its row is being or was deleted. */
  closed = false;
  abortReason: string | undefined;
  /** How the plugin finds its work again. */
  remembered: Uint8Array | undefined;
  /** Called once its row is committed, or is known never to be. */
  readonly whenSettled: (() => void)[] = [];
  /** The plugin's launch, while it is under way. */
  launching: Promise<void> | undefined;
  launchFailures = 0;
  relaunch: NodeJS.Timeout | undefined;
  /** What must be over before this one may start: the end of an older generation. */
  after: Promise<void> | undefined;
  readonly acceptedAt = Date.now();
  last: TaskReport | undefined;
  /** Of the platform's templates, not the plugin's; known with the first report. */
  private links: TaskLog[] | undefined;

  constructor(
    /** The command's envelope without its payload. */
    readonly command: Omit<Envelope, 'payload'>,
    readonly launch: LaunchTask & { attempt: TaskAttempt },
    readonly request: ResourceRequest,
  ) {
    this.attempt = launch.attempt;
    this.key = attemptKey(launch.attempt);
    this.group = executionOf(launch.attempt);
    this.budgetMs = budgetOf(launch);
    this.generation = launch.attempt.generation;
  }

  /** The report as it travels: versions count up within a phase, and what a report leaves out stays as it was. */
  next(report: PhaseReport, backend: string, links: readonly LogTemplate[] = []): TaskReport {
    const previous = this.last;
    this.links ??= logLinks(links, this.launch);
    const own = report.logs && (this.links.length > 0 ? [...report.logs, ...this.links] : report.logs);
    this.last = {
      attempt: this.attempt,
      phase: report.phase,
      phaseVersion: previous?.phase === report.phase ? previous.phaseVersion + 1 : 0,
      occurredAt: timestampOf(report.occurredAt ?? new Date()),
      reason: report.reason ?? '',
      logs: own ?? previous?.logs ?? this.links,
      customInfo: report.customInfo ?? previous?.customInfo,
      outcome: report.outcome,
      usage: endedUsage(report, report.usage ?? previous?.usage),
      backend,
      interruptible: this.launch.interruptible,
      waitsFor: report.waitsFor ?? WaitReason_Kind.NONE,
      job: report.job ?? previous?.job ?? '',
      upstreamFailed: report.upstreamFailed ?? false,
    };
    return this.last;
  }

  get phase(): TaskExecution_Phase {
    return this.last?.phase ?? TaskExecution_Phase.UNDEFINED;
  }
}

/** Of one that was ended from outside its backend may have told no more than when it began: then it lasted until now. */
function endedUsage({ phase, occurredAt }: PhaseReport, usage: TaskUsage | undefined): TaskUsage | undefined {
  if (!usage?.startedAt || usage.endedAt || !isTerminal(phase)) return usage;
  return { ...usage, endedAt: timestampOf(occurredAt ?? new Date()) };
}

/** milliseconds of its run's queueing budget. */
function budgetOf({ placement }: LaunchTask): number | undefined {
  const budget = placement?.queueingBudget;
  return budget && Number(budget.seconds) * 1000 + Math.round(budget.nanos / 1e6);
}
