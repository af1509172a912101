import { randomUUID } from 'node:crypto';

export const statuses = ['SUBMITTED', 'PENDING', 'RUNNABLE', 'STARTING', 'RUNNING', 'SUCCEEDED', 'FAILED'] as const;
export type Status = (typeof statuses)[number];

export interface SubmitRequest {
  jobName: string;
  jobQueue: string;
  jobDefinition: string;
  arrayProperties?: { size?: number };
  containerOverrides?: {
    command?: string[];
    environment?: { name: string; value: string }[];
    resourceRequirements?: { type: string; value: string }[];
  };
  timeout?: { attemptDurationSeconds: number };
  tags?: Record<string, string>;
  shareIdentifier?: string;
  schedulingPriorityOverride?: number;
  dependsOn?: { jobId: string }[];
}

/** What is known of one container, beyond its status. */
export interface RunInfo {
  startedAt?: number;
  stoppedAt?: number;
  exitCode?: number;
  reason?: string;
  statusReason?: string;
  isTerminated?: boolean;
  logStreamName?: string;
}

/** A job, or an array of them: of most children no more than a byte is kept. */
export class FakeJob {
  readonly id: string = randomUUID();
  readonly createdAt = Date.now();
  readonly states: Uint8Array;
  readonly infos = new Map<number, RunInfo>();
  /** When children ran of which nothing else is kept: start and end of each. */
  readonly times: Float64Array;
  private readonly summed = Object.fromEntries(statuses.map((status) => [status, 0])) as Record<Status, number>;
  readonly aborts = new Map<number, AbortController>();

  constructor(
    readonly request: SubmitRequest,
    readonly definitionArn: string,
  ) {
    this.states = new Uint8Array(this.size ?? 1);
    this.times = new Float64Array(2 * this.states.length);
    this.summed.SUBMITTED = this.states.length;
  }

  get size(): number | undefined {
    return this.request.arrayProperties?.size;
  }

  statusOf(child: number): Status {
    return statuses[this.states[child] ?? 0] as Status;
  }

  move(child: number, status: Status): void {
    this.summed[this.statusOf(child)] -= 1;
    this.summed[status] += 1;
    this.states[child] = statuses.indexOf(status);
  }

  info(child: number): RunInfo {
    let info = this.infos.get(child);
    if (!info) this.infos.set(child, (info = {}));
    return info;
  }

  hasEnded(child: number): boolean {
    return this.states[child]! >= statuses.indexOf('SUCCEEDED');
  }

  counts(): Record<Status, number> {
    return { ...this.summed };
  }

  /** Of the parent, where it is an array: PENDING until its last child has ended. */
  status(): Status {
    if (this.size === undefined) return this.statusOf(0);
    const counts = this.summed;
    if (counts.SUCCEEDED + counts.FAILED < this.size) return 'PENDING';
    return counts.FAILED > 0 ? 'FAILED' : 'SUCCEEDED';
  }

  /** As ListJobs says it. */
  summary(child?: number): Record<string, unknown> {
    const { request, id, createdAt, definitionArn } = this;
    const info =
      child === undefined && this.size !== undefined ? {} : (this.infos.get(child ?? 0) ?? this.ran(child ?? 0));
    const { exitCode, reason, logStreamName: _, ...times } = info ?? {};
    return {
      jobId: child === undefined ? id : `${id}:${child}`,
      jobName: request.jobName,
      jobDefinition: definitionArn,
      status: child === undefined ? this.status() : this.statusOf(child),
      createdAt,
      ...times,
      container: { ...(exitCode === undefined ? {} : { exitCode }), ...(reason === undefined ? {} : { reason }) },
      ...(child === undefined ? this.sizeOnly() : { arrayProperties: { index: child } }),
    };
  }

  /** As DescribeJobs says it. */
  detail(child?: number): Record<string, unknown> {
    const { containerOverrides: { command = [], environment = [], resourceRequirements = [] } = {} } = this.request;
    const summary = this.summary(child);
    const info = child === undefined && this.size !== undefined ? undefined : this.infos.get(child ?? 0);
    return {
      ...summary,
      jobQueue: this.request.jobQueue,
      tags: this.request.tags ?? {},
      ...(this.request.timeout ? { timeout: this.request.timeout } : {}),
      container: {
        ...(summary['container'] as object),
        command,
        environment,
        resourceRequirements,
        ...(info?.logStreamName === undefined ? {} : { logStreamName: info.logStreamName }),
      },
      ...(child === undefined && this.size !== undefined
        ? { arrayProperties: { size: this.size, statusSummary: this.counts() } }
        : {}),
    };
  }

  /** It went well. */
  forget(child: number): void {
    this.times.set([this.infos.get(child)?.startedAt ?? 0, Date.now()], 2 * child);
    this.infos.delete(child);
  }

  private ran(child: number): RunInfo {
    const [startedAt = 0, stoppedAt = 0] = this.times.subarray(2 * child);
    return stoppedAt === 0 ? {} : { startedAt, stoppedAt, exitCode: 0 };
  }

  private sizeOnly() {
    return this.size === undefined ? {} : { arrayProperties: { size: this.size } };
  }
}
