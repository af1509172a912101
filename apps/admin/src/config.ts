import { parseDuration, parseRetryPolicy } from '@aloft/engine';
import { z } from 'zod';
import { parseQuantity } from './registry/quantities.js';
import { budgetsSchema, defaultsSchema, queueSchema, resourcesSchema } from './attributes/defaults-config.js';

const isPolicy = (text: string): boolean => 'policy' in parseRetryPolicy(text);
const policyForm = 'must be a retry policy, e.g. "delay=10s factor=2 max=5m memory=2"';
const timeSpan = z
  .string()
  .refine((text) => text === '' || parseDuration(text) !== undefined, 'must be a time span, e.g. 90s or 1h30m')
  .default('');

/** Settings of the admin service: every one has a default. */
export const adminConfigSchema = z
  .object({
    /** The same for every project. */
    domains: z
      .array(z.object({ id: z.string().min(1), name: z.string().min(1) }))
      .min(1)
      .default([
        { id: 'development', name: 'development' },
        { id: 'staging', name: 'staging' },
        { id: 'production', name: 'production' },
      ]),
    /** Where admin's own objects lie within the platform's bucket. */
    storagePrefix: z.string().min(1).default('metadata/admin'),
    /** Where the engine's data lie (C-100): data of runs may be signed from here. */
    executionDataPrefix: z.string().min(1).default('metadata/propeller'),
    limits: z
      .object({
        /** User nodes in a workflow's top graph. Flyte's default is 100. */
        workflowNodes: z.number().int().positive().default(10_000),
        /** Bytes of a workflow's compiled closure, as a Kubernetes quantity, e.g. `8Mi`; empty = no limit but that of messages. */
        workflowSize: z
          .string()
          .refine((text) => text === '' || (parseQuantity(text) ?? 0n) > 0n, 'must be a size above 0, e.g. 500k or 8Mi')
          .default(''),
        /** Labels and annotations of a request or launch plan; 0 = no limit. */
        labels: z.number().int().nonnegative().default(16),
        /** Bytes of inputs or outputs that data calls answer inline. */
        inlineBytes: z
          .number()
          .int()
          .positive()
          .default(2 * 1024 * 1024),
        /** Bytes of literals that GetData answers: a little less than a gRPC message may have by default. */
        dataBytes: z.number().int().positive().default(4_000_000),
        /** Depth of child executions below a run that somebody started. */
        nesting: z.number().int().positive().default(64),
        /** Milliseconds that a filtered list of runs may take. */
        listMs: z.number().int().positive().default(5_000),
        /** Characters of error messages in lists. */
        listedErrorLength: z.number().int().positive().default(100),
      })
      .prefault({}),
    /** Task types that may be registered; empty = all. */
    allowedTaskTypes: z.array(z.string()).default([]),
    taskResources: z.object({ defaults: resourcesSchema, limits: resourcesSchema }).prefault({}),
    /** Per project and domain, below attributes and above what is set for all (S-20). */
    defaults: z.array(defaultsSchema).default([]),
    queues: z.array(queueSchema).default([]),
    budgets: budgetsSchema,
    /** What an execution gets that nobody set otherwise. */
    executions: z
      .object({
        /** Who runs executions of projects that don't say (aloft.v1.ProjectSettings): this platform, or a foreign engine by its events. */
        engine: z.enum(['aloft', 'external']).default('aloft'),
        /** 0 = no limit. */
        maxParallelism: z.number().int().nonnegative().default(0),
        /** Empty: `s3://<bucket>/data`. */
        rawOutputPrefix: z.string().default(''),
        serviceAccount: z.string().default(''),
        role: z.string().default(''),
        /** Attempts of a node whose task says nothing; 0 = the engine's default. */
        userAttempts: z.number().int().nonnegative().default(0),
        systemRetries: z.number().int().nonnegative().default(0),
        /** How failed attempts are tried again (C-36), e.g. `delay=10s factor=2 max=5m memory=2`; empty = at once. */
        retry: z.string().refine(isPolicy, policyForm).default(''),
        /** Time limits such as `90s` or `1h30m`; empty = none. Of a whole run (C-54). */
        timeout: timeSpan,
        /** Of an attempt whose node and task say nothing (C-50), and of a node over all attempts (C-51). */
        executionTimeout: timeSpan,
        activeTimeout: timeSpan,
        /** Of an attempt's wait for its backend (C-52). */
        queueTimeout: timeSpan,
        /** Items in flight of an array that says nothing, or 0 (C-71). */
        arrayParallelism: z.enum(['unlimited', 'workflow', 'hybrid']).default('unlimited'),
        /** One budget for the user's and the system's failures: the task's retries + 1 (C-31). */
        ignoreRetryCause: z.boolean().default(false),
        /** Below 0: so many of the budget's last attempts run on demand; above: interruptible until so many failures (C-41). */
        interruptibleFailureThreshold: z.number().int().default(-1),
      })
      .prefault({}),
    dataProxy: z
      .object({
        uploadPrefix: z.string().min(1).default('uploads'),
        /** Default and cap of a signed URL's life, in seconds. */
        maxExpirySeconds: z.number().int().positive().default(3600),
      })
      .prefault({}),
    watch: z
      .object({
        /** Events held for one slow watcher before it gets a new snapshot instead. */
        queueLength: z.number().int().positive().default(2_000),
        /** Recent events of all runs held in memory, which bridge a snapshot and the live stream. */
        recentEvents: z.number().int().positive().default(50_000),
        /** Nodes and tasks in a snapshot at most. */
        snapshotRows: z.number().int().positive().default(5_000),
      })
      .prefault({}),
    /** Deriving runs from their logs: replay, time travel, explanations. */
    history: z
      .object({
        /** Runs folded by one process at once; and how many more calls may wait for their turn. */
        foldsAtOnce: z.number().int().positive().default(2),
        maxWaiting: z.number().int().nonnegative().default(64),
      })
      .prefault({}),
    nodeControl: z
      .object({
        /** Milliseconds for which a call waits for a run's word on a command; then it answers that it is on its way. */
        decisionMs: z.number().int().nonnegative().default(10_000),
      })
      .prefault({}),
    retention: z
      .object({
        /** Milliseconds between two looks for what is due at most; otherwise when the next run is. */
        longestPauseMs: z.number().int().positive().default(3_600_000),
        /** Runs that one statement looks for. */
        batch: z.number().int().positive().default(200),
        /** Milliseconds that EraseExecution waits for its end before it answers that it goes on. */
        eraseWaitMs: z.number().int().nonnegative().default(20_000),
      })
      .prefault({}),
    caches: z
      .object({
        /** Launch plans, workflows and task specs kept in memory, each. */
        registryEntries: z.number().int().positive().default(2_000),
        /** Bytes of tasks kept as lists show them. */
        listBytes: z
          .number()
          .int()
          .positive()
          .default(16 * 1024 * 1024),
        /** Milliseconds for which another replica's change of a project or an attribute may go unseen. */
        settingsTtlMs: z.number().int().nonnegative().default(1_000),
      })
      .prefault({}),
  })
  .prefault({});

export type AdminConfig = z.infer<typeof adminConfigSchema>;
