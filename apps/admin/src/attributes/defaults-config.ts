import { parseDuration } from '@aloft/engine';
import { z } from 'zod';

/** Texts of quantities such as `500m` or `1Gi`, by resource; empty = not set. */
export const resourcesSchema = z
  .object({
    cpu: z.string().default(''),
    gpu: z.string().default(''),
    memory: z.string().default(''),
    ephemeralStorage: z.string().default(''),
  })
  .prefault({});

export const tierNames = ['HIGH', 'MEDIUM', 'LOW'] as const;

const texts = z.record(z.string(), z.string()).default({});

/**
 * What runs of a project, of a domain or of both get where neither request nor launch plan nor attribute says otherwise (S-20); without
 * project and domain: of all. Of several entries that apply, the most specific one that says something wins, per setting.
 */
export const defaultsSchema = z.object({
  project: z.string().default(''),
  domain: z.string().default(''),
  taskResources: z.object({ defaults: resourcesSchema, limits: resourcesSchema }).optional(),
  /** A tier, or a queueing budget of its own such as `90s`. */
  qualityOfService: z
    .string()
    .refine(
      (text) => text === '' || tierNames.some((name) => name === text) || parseDuration(text) !== undefined,
      `must be one of ${tierNames.join(', ')} or a time span such as 90s`,
    )
    .default(''),
  /** Which of `queues` its runs use. */
  queueTags: z.array(z.string().min(1)).default([]),
  clusterLabel: z.string().default(''),
  clusterPool: z.string().default(''),
  /** Variables of the templates that namespaces are made by. */
  clusterResources: texts,
  /** Plugins by task type, tried in this order; `missing`: what happens if none of them is here. */
  pluginOverrides: z
    .record(
      z.string(),
      z.object({
        plugins: z.array(z.string().min(1)).min(1),
        missing: z.enum(['FAIL', 'USE_DEFAULT']).default('FAIL'),
      }),
    )
    .default({}),
  executions: z
    .object({
      /** 0 = not set. */
      maxParallelism: z.number().int().nonnegative().default(0),
      interruptible: z.boolean().optional(),
      overwriteCache: z.boolean().default(false),
      rawOutputPrefix: z.string().default(''),
      serviceAccount: z.string().default(''),
      role: z.string().default(''),
      labels: texts,
      /** Retry policies and time limits too, e.g. `aloft.timeout: 3d`. */
      annotations: texts,
      envs: texts,
    })
    .optional(),
});

export type DefaultsConfig = z.output<typeof defaultsSchema>;

/** Queues that backends know, with the tags by which attributes choose among them. */
export const queueSchema = z.object({ name: z.string().min(1), tags: z.array(z.string().min(1)).min(1) });

const timeSpan = z
  .string()
  .refine((text) => parseDuration(text) !== undefined, 'must be a time span such as 90s or 1h');

/** Queueing budgets of the tiers. */
export const budgetsSchema = z
  .object({ HIGH: timeSpan.default('1m'), MEDIUM: timeSpan.default('10m'), LOW: timeSpan.default('2h') })
  .prefault({});
