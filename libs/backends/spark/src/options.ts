import { z } from 'zod';

/** Options of the backend, as a module and as `backends.spark`. */
export const sparkOptionsSchema = z.object({
  /** What runs the executors, as spark-submit takes it. Drivers run here (deploy mode client). */
  master: z
    .string()
    .regex(
      /^(local(\[[\w*]+(,\d+)?\])?|local-cluster\[[\d,\s]+\]|yarn|(spark|k8s):\/\/\S+)$/,
      'must be local, local[n], local[*], spark://host:port, yarn or k8s://address',
    )
    .default('local[*]'),
  /** Folder of a Spark distribution (default: SPARK_HOME, else that of `pyspark` in the platform's Python). */
  home: z.string().min(1).optional(),
  /** Default: JAVA_HOME, else the `java` on `PATH`. */
  javaHome: z.string().min(1).optional(),
  /** Spark's own configuration; that of a task goes before it. */
  conf: z.record(z.string().regex(/^spark\./, 'must begin with "spark."'), z.string()).default({}),
  /** Python of executors on other machines (default: the one that the task names where there is such a file here, else the driver's). */
  executorPython: z.string().min(1).optional(),
  /** Host name by which people reach the user interfaces of drivers. */
  uiHost: z.string().min(1).default('localhost'),
  /** Drivers at once. */
  slots: z.number().int().positive().default(4),
  /** Milliseconds between SIGTERM and SIGKILL. */
  graceMs: z.number().int().positive().default(5_000),
  /** Variables of the platform's own environment that drivers get, besides those that say where Hadoop's and Spark's configuration is. */
  passEnv: z.array(z.string().min(1)).default([]),
});

export type SparkOptions = z.output<typeof sparkOptionsSchema>;
