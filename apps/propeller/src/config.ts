import { z } from 'zod';
import { routingRules } from './launch/routing-config.js';

const positive = (value: number) => z.number().int().positive().default(value);

/** Settings of the propeller: every one has a default. */
export const propellerConfigSchema = z
  .object({
    /** Which backend gets which task (C-11, A-94, U-23): rules, then PLUGIN_OVERRIDE attributes, then these. */
    backends: z
      .object({
        rules: routingRules,
        /** What becomes of an attempt that has no place as things are: a backend without a host, a queue that is not there, more than there is. */
        unplaceable: z.enum(['fail', 'wait']).default('fail'),
        default: z.string().min(1).default('local'),
        /** All that exist: each has a topic `tasks.commands.<name>`. */
        known: z.array(z.string().min(1)).min(1).default(['local']),
        /** Those whose jobs may wait for each other by themselves: tasks that only wait for the end of others are launched ahead there (S-5). */
        nativeDependencies: z.array(z.string().min(1)).default([]),
        byTaskType: z.record(z.string(), z.string()).default({}),
        /** Plugin id, as PLUGIN_OVERRIDE attributes name it, to backend. */
        byPlugin: z.record(z.string(), z.string()).default({}),
      })
      .prefault({}),
    /** Environment of every task, unless the run or the task sets it. */
    defaultEnvs: z.record(z.string(), z.string()).default({}),
    /** Address of the console, for tasks that ask for a link to their run. */
    consoleUrl: z.string().default(''),
    namespaceTemplate: z.string().min(1).default('{{ project }}-{{ domain }}'),
    /** A process that is gone without a word loses its shards after this time (its lost session tells sooner). */
    leaseMs: positive(10_000),
    commit: z
      .object({
        /** Inputs in one commit at most. */
        maxInputs: positive(4096),
        /** Launches, events, timers … in one commit; the input that reaches it is the last. */
        maxEffects: positive(20_000),
        maxLogBytes: positive(8 * 1024 * 1024),
        /** Messages of one stream whose runs are being loaded, before its reading pauses. */
        maxWaiting: positive(20_000),
        /** Log of a run since its last snapshot before the next is thought of. */
        snapshotMinLogBytes: positive(512 * 1024),
      })
      .prefault({}),
    memory: z
      .object({
        /** Runs kept in memory although nothing happens to them. */
        maxIdleRuns: positive(2_000),
        idleMs: positive(60_000),
        /** Bytes of encoded closures whose graphs are kept. */
        graphBytes: positive(256 * 1024 * 1024),
      })
      .prefault({}),
    /** Timers due within this time are held in memory. */
    timerHorizonMs: positive(60_000),
    cache: z
      .object({
        /** Older entries of the catalog are misses (C-93); 0 = no limit. */
        maxAgeMs: z.number().int().nonnegative().default(0),
        /** Heartbeat of reservations; three missed ones end it (C-95). The catalog allows at most 10 s. */
        heartbeatMs: positive(10_000),
        /** How long a run waits before it looks again at a reservation that another holds. */
        reservedRetryMs: positive(2_000),
      })
      .prefault({}),
    /**
     * Large outputs stored apart from the rest (C-105), from `minMiB` up to `maxMiB`. Tasks are told by environment variables, and need
     * a flytekit of 1.13.14 or later to read them. Off by default, as in Flyte.
     */
    literalOffload: z
      .object({ enabled: z.boolean().default(false), minMiB: positive(10), maxMiB: positive(1000) })
      .prefault({}),
    limits: z
      .object({
        closureBytes: positive(64 * 1024 * 1024),
        futuresBytes: positive(64 * 1024 * 1024),
        literalsBytes: positive(64 * 1024 * 1024),
        historyBytes: positive(1024 * 1024 * 1024),
      })
      .prefault({}),
    /** Requests performed at once. */
    concurrency: z.object({ catalog: positive(64), admin: positive(32), blob: positive(32) }).prefault({}),
  })
  .prefault({});

export type PropellerConfig = z.infer<typeof propellerConfigSchema>;
