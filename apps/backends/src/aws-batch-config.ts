import { z } from 'zod';

const positive = (value: number) => z.number().int().positive().default(value);
const names = z.array(z.string().min(1)).default([]);
const arn = z.string().regex(/^arn:/, 'must be an ARN');

const queueRule = z
  .object({
    /** For people. */
    name: z.string().min(1),
    /** Job queue, by name or ARN. */
    onDemand: z.string().min(1),
    /** Job queue of interruptible attempts; absent: they go to the other one, too. */
    spot: z.string().min(1).optional(),
    platform: z.enum(['EC2', 'FARGATE']).default('EC2'),
    /** What of a run has to be so; an empty list says nothing. `tags`: its queue or one of its queue tags. */
    projects: names,
    domains: names,
    tags: names,
    /** Of queues with a fair-share policy, and of no others: the share identifier, with `{{project}}` and `{{domain}}`. */
    share: z.string().min(1).optional(),
    /** Scheduling priorities (0 to 9999) in such queues, by the run's tier. */
    priorities: z
      .object({ HIGH: priority(1000), MEDIUM: priority(500), LOW: priority(100), UNDEFINED: priority(500) })
      .optional(),
  })
  .superRefine(({ share, priorities }, context) => {
    if (priorities && share === undefined)
      context.addIssue({
        code: 'custom',
        path: ['priorities'],
        message: 'Batch takes priorities only in queues with a fair-share policy: say their share, too',
      });
  });

/** The backend `aws-batch`. Without queues there is none. */
export const awsBatchConfigSchema = z
  .object({
    /** Default: AWS_REGION of the platform's environment. */
    region: z.string().min(1).optional(),
    /** Another address of Batch, CloudWatch Logs and SQS. */
    endpoint: z.url().optional(),
    /** The first rule that fits an attempt decides. */
    queues: z.array(queueRule).default([]),
    roles: z
      .object({
        /** Job role of attempts whose run names none. */
        default: arn.optional(),
        /** Roles that runs may name; a `*` at the end stands for any rest. */
        allowed: z.array(arn).default([]),
        /** By which Batch pulls images, writes logs and reads secrets. */
        execution: arn.optional(),
      })
      .prefault({}),
    /** Where secrets are: an ARN with `{{project}}`, `{{domain}}`, `{{group}}`, `{{key}}`. Without it tasks with secrets are refused. */
    secretArn: arn.optional(),
    /** Environment of every job, unless the task sets it. */
    environment: z.record(z.string(), z.string()).default({}),
    /** URL of an SQS queue that EventBridge fills with Batch's job state changes: jobs are asked for rarely then. */
    eventsQueue: z.url().optional(),
    logGroup: z.string().min(1).default('/aws/batch/job'),
    tags: z.record(z.string().min(1).max(128), z.string().max(256)).default({}),
    /** What tasks get that ask for nothing. */
    defaults: z.object({ cpu: z.number().positive().default(1), memoryBytes: positive(2 * 2 ** 30) }).prefault({}),
    fargate: z
      .object({
        assignPublicIp: z.boolean().default(false),
        architecture: z.enum(['X86_64', 'ARM64']).default('X86_64'),
      })
      .prefault({}),
    /** Items of arrays as array jobs: those that come within `idle` milliseconds of one another, at most `longest` after the first. */
    arrays: z
      .object({
        enabled: z.boolean().default(true),
        windowMs: z.object({ idle: positive(250), longest: positive(2_000) }).prefault({}),
        maxSize: z.number().int().min(2).max(10_000).default(10_000),
      })
      .prefault({}),
    /** Attempts in flight at once. */
    slots: positive(20_000),
    pollMs: z.object({ first: positive(2_000), longest: positive(15_000) }).prefault({}),
    callsPerSecond: z.object({ read: positive(20), write: positive(40) }).prefault({}),
    /** For how long a job may be answered with errors alone before its attempt fails. */
    patienceMs: positive(600_000),
    /** For how long Batch may say that a job cannot run as its queue is configured. */
    misconfiguredMs: positive(600_000),
    /** Until Batch surely lists a job that was submitted by a process which died. */
    settleMs: positive(3_000),
    /** How long an ended job has until nothing of it runs; then it is told again. */
    endMs: positive(120_000),
  })
  .prefault({})
  .superRefine(({ queues }, context) => {
    for (const [i, { name }] of queues.entries())
      if (queues.findIndex((each) => each.name === name) < i)
        context.addIssue({ code: 'custom', path: ['queues', i, 'name'], message: `"${name}" is there twice` });
    for (const [i, { projects, domains, tags }] of queues.slice(0, -1).entries())
      if (projects.length + domains.length + tags.length === 0)
        context.addIssue({
          code: 'custom',
          path: ['queues', i],
          message: 'it has no conditions, so that no later one is ever reached: put it last',
        });
  });

function priority(value: number) {
  return z.number().int().min(0).max(9999).default(value);
}
