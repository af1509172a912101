import { grpcMessageBytes } from '@aloft/backend-connector';
import { checkLogTemplate } from '@aloft/backend-kit';
import { kubernetesConfigSchema } from '@aloft/backend-kubernetes';
import { sparkOptionsSchema } from '@aloft/backend-spark';
import { grpcTarget } from '@aloft/service';
import { z } from 'zod';
import { awsBatchConfigSchema } from './aws-batch-config.js';

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
    /** Links of every attempt, on whatever backend (C-176); those with a `linkType` of tasks whose `link_type` names it. */
    links: z
      .array(
        z.strictObject({
          name: z.string().min(1),
          /** With `{{ .executionName }}`, `{{ .taskConfig.port }}` … */
          uri: z.string().regex(/^https?:\/\//, 'must be an http(s) address'),
          linkType: z.string().min(1).optional(),
          showWhilePending: z.boolean().optional(),
          hideOnceFinished: z.boolean().optional(),
        }),
      )
      .default([])
      .superRefine((links, context) => {
        for (const [i, link] of links.entries()) {
          try {
            checkLogTemplate(link);
          } catch (error) {
            context.addIssue({ code: 'custom', path: [i, 'uri'], message: (error as Error).message });
          }
        }
      }),
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
    /** The backend `connector`: flytekit's connectors, and whatever else serves flyteidl's agent services. Without servers there is none. */
    connector: z
      .object({
        servers: z
          .array(
            z.object({
              /** For people, and for `fallback`. */
              name: z.string().min(1),
              address: grpcTarget,
              /** Absent: plain text. `caFile`: the authority of its certificate, where the system does not know it. */
              tls: z.object({ caFile: z.string().min(1).optional() }).optional(),
              /** Variable of the platform's environment that holds a bearer token for it. */
              tokenVariable: z.string().min(1).optional(),
              /** Task types that it serves, where it cannot list them itself. */
              taskTypes: z.array(z.string().min(1)).default([]),
              /** Of larger requests the largest inputs are stored, and named by where they lie; flytekit's server takes 4 MiB. */
              maxRequestBytes: positive(grpcMessageBytes),
              timeoutsMs: z
                .object({
                  list: positive(5_000),
                  create: positive(30_000),
                  get: positive(10_000),
                  delete: positive(30_000),
                  /** Of tasks that end within their call. */
                  sync: positive(600_000),
                })
                .prefault({}),
            }),
          )
          .default([]),
        /** The server that gets what none lists; without one such tasks are refused. */
        fallback: z.string().min(1).optional(),
        /** Attempts in flight at once. */
        slots: positive(1_000),
        /** Milliseconds between two looks at what the servers serve. */
        listEveryMs: positive(30_000),
        /** Milliseconds between two looks at logs and metrics of a job that runs. */
        observeEveryMs: positive(30_000),
        /** Milliseconds until a job is asked for first, and at most between two times. */
        pollMs: z.object({ first: positive(250), longest: positive(10_000) }).prefault({}),
        callsPerSecond: z.object({ read: positive(200), write: positive(100) }).prefault({}),
        /** For how long a job may be answered with errors alone before its attempt fails. */
        patienceMs: positive(600_000),
      })
      .prefault({})
      .superRefine(({ servers, fallback }, context) => {
        const names = servers.map(({ name }) => name);
        for (const [i, name] of names.entries())
          if (names.indexOf(name) < i)
            context.addIssue({ code: 'custom', path: ['servers', i, 'name'], message: `"${name}" is there twice` });
        if (fallback !== undefined && !names.includes(fallback))
          context.addIssue({
            code: 'custom',
            path: ['fallback'],
            message: `there is no server "${fallback}"; there are: ${names.join(', ') || 'none'}`,
          });
      }),
    /** The backend `kubernetes`: pods and operators' objects. Without clusters there is none. */
    kubernetes: kubernetesConfigSchema,
    awsBatch: awsBatchConfigSchema,
    /** The backend `spark`: drivers by spark-submit, as processes of this machine. */
    spark: sparkOptionsSchema.extend({ enabled: z.boolean().default(false) }).prefault({}),
    /** Backends that are modules of their own, by name (docs/backend-plugins.md). */
    plugins: z
      .record(
        z
          .string()
          .regex(/^[a-z][a-z0-9-]{0,40}$/, 'a backend is named by lower-case letters, digits and "-"; a letter first'),
        z.object({
          /** An installed package, or a file (`./…`, from where the platform is started). */
          module: z.string().min(1),
          /** Its own. */
          options: z.record(z.string(), z.unknown()).default({}),
        }),
      )
      .default({}),
  })
  .prefault({});

export type BackendsConfig = z.output<typeof backendsConfigSchema>;
