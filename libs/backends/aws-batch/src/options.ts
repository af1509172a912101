/** Where Batch runs the containers of a queue. */
export type Platform = 'EC2' | 'FARGATE';

/** One pair of job queues, and which attempts go there. The first rule of which all stated conditions hold decides. */
export interface QueueRule {
  /** For people: errors, reports. */
  name: string;
  /** Name or ARN of the job queue. */
  onDemand: string;
  /** For interruptible attempts (C-43); absent: they go on demand, too. */
  spot?: string | undefined;
  platform: Platform;
  projects: readonly string[];
  domains: readonly string[];
  /** The run's drawn queue or one of its queue tags. */
  tags: readonly string[];
  /** Where the queues have a fair-share policy: template of the share identifier, as `{{project}}{{domain}}`. */
  share?: string | undefined;
  /** Scheduling priorities in such queues by the run's tier. */
  priorities?: Readonly<Record<'HIGH' | 'MEDIUM' | 'LOW' | 'UNDEFINED', number>> | undefined;
}

export interface ArrayOptions {
  /** Items of one array node become array jobs. Their image needs `/bin/sh`. */
  enabled: boolean;
  /** Milliseconds without a further item after which an array job is submitted, and at most from its first item on. */
  windowMs: { idle: number; longest: number };
  /** Items of one array job; Batch takes at most 10,000. */
  maxSize: number;
}

export interface AwsBatchOptions {
  region: string;
  /** Another address of Batch (and CloudWatch Logs); default: AWS's own of the region. */
  endpoint?: string | undefined;
  /** Default: the SDK's chain (environment, web identity, instance). */
  credentials?: { accessKeyId: string; secretAccessKey: string } | undefined;
  queues: readonly QueueRule[];
  roles: {
    /** Job role of attempts that ask for none. */
    default?: string | undefined;
    /** Roles that attempts may ask for: exact ARNs, or prefixes that end with `*`. The default is always allowed. */
    allowed: readonly string[];
    /** Role by which Batch pulls images, writes logs, reads secrets; Fargate and secrets need it. */
    execution?: string | undefined;
  };
  /** ARN by which a task's secret is found: a template of `{{project}}`, `{{domain}}`, `{{group}}` and `{{key}}`. */
  secretArn?: string | undefined;
  /** Environment of every job besides the task's own: where storage is. */
  environment: Readonly<Record<string, string>>;
  logGroup: string;
  /** Tags of every job besides our own. */
  tags: Readonly<Record<string, string>>;
  /** What attempts ask for that ask for nothing. */
  defaults: { cpu: number; memoryBytes: number };
  fargate: { assignPublicIp: boolean; architecture: 'X86_64' | 'ARM64' };
  arrays: ArrayOptions;
  /** URL of an SQS queue that EventBridge fills with job state changes: jobs are asked for rarely then. */
  eventsQueue?: string | undefined;
  /** Attempts in flight at once. */
  slots: number;
  /** Milliseconds until a job is asked for first, and at most between two times. */
  pollMs: { first: number; longest: number };
  /** Calls to Batch begun each second; fewer while it throttles. */
  callsPerSecond: { read: number; write: number };
  /** For how long a job may be answered with errors alone before its attempt fails. */
  patienceMs: number;
  /** For how long Batch may say that a job cannot run as things are configured before its attempt fails. */
  misconfiguredMs: number;
  /**
   * Milliseconds until Batch surely lists a job whose submit was under way when a process died or an answer was lost; only after that is it said not
   * to be there.
   */
  settleMs: number;
  /** Milliseconds that an ended job has until nothing of it runs; then its end is asked for again. */
  endMs: number;
}

export const defaultOptions: Omit<AwsBatchOptions, 'region' | 'queues'> = {
  roles: { allowed: [] },
  environment: {},
  logGroup: '/aws/batch/job',
  tags: {},
  defaults: { cpu: 1, memoryBytes: 2 * 2 ** 30 },
  fargate: { assignPublicIp: false, architecture: 'X86_64' },
  arrays: { enabled: true, windowMs: { idle: 250, longest: 2_000 }, maxSize: 10_000 },
  slots: 20_000,
  pollMs: { first: 2_000, longest: 15_000 },
  callsPerSecond: { read: 20, write: 40 },
  patienceMs: 600_000,
  misconfiguredMs: 600_000,
  settleMs: 3_000,
  endMs: 120_000,
};
