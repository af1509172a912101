import { z } from 'zod';

const positive = (value: number) => z.number().int().positive().default(value);

/** Settings of the backend hosts: every one has a default. */
export const backendsConfigSchema = z
  .object({
    /** A silent host's work may be taken by another after this time. */
    leaseMs: positive(15_000),
    /**
     * What a clean stop does with work in flight. `leave`: it goes on, for the next process on the same data folder; `hand-over`:
     * it gets `drainMs` to end, what is left is ended and begun anew by other hosts. Default: `hand-over` where hosts share
     * their backends (the distributed shape), else `leave`.
     */
    onStop: z.enum(['leave', 'hand-over']).optional(),
    drainMs: z.number().int().nonnegative().default(30_000),
    /** How long a late launch of an ended attempt is still recognised. */
    fenceMs: positive(3_600_000),
    /** How long an attempt that asks for more than is ever free waits before younger ones make room for it (S-8). */
    patienceMs: positive(60_000),
    /** Commands taken in one transaction at most. */
    maxBatch: positive(1000),
    /** The backend `local`: processes of this machine. */
    local: z
      .object({
        enabled: z.boolean().default(true),
        /** What its tasks may take together; 0: what the machine has (memory: nine tenths of it). */
        cpu: z.number().nonnegative().default(0),
        memoryBytes: z.number().int().nonnegative().default(0),
        /** Processes at once; 0: eight a core, at least 16. */
        slots: z.number().int().nonnegative().default(0),
        /** Names of the GPUs as CUDA_VISIBLE_DEVICES takes them. */
        gpuDevices: z.array(z.string().min(1)).default([]),
        /** Milliseconds between SIGTERM and SIGKILL. */
        graceMs: positive(5_000),
        warm: z
          .object({
            /** Import flytekit at the start instead of with the first Python task. */
            atStart: z.boolean().default(true),
            /** Node processes kept ready for tasks of the TypeScript SDK. */
            node: z.number().int().nonnegative().default(2),
          })
          .prefault({}),
        /** Module with the TypeScript SDK's executor (default: the installed `@aloft/sdk/execute`). */
        nodeExecutor: z.string().min(1).optional(),
        /** Variables of the platform's own environment that tasks get, too. */
        passEnv: z.array(z.string().min(1)).default([]),
      })
      .prefault({}),
  })
  .prefault({});

export type BackendsConfig = z.output<typeof backendsConfigSchema>;
