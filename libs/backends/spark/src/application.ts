import { existsSync } from 'node:fs';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import { SparkApplication_Type as Type, SparkJob } from '@aloft/idl/flyteidl/plugins/spark';

export const sparkType = 'spark';

/** What a Spark task asks for; `undefined` for tasks of other types, whose command is run as a driver all the same. */
export function jobOf({ template }: LaunchTask): SparkJob | undefined {
  return template?.type === sparkType ? SparkJob.fromJSON(template.custom ?? {}) : undefined;
}

/** A driver's program for spark-submit. */
export interface Application {
  file: string;
  mainClass?: string;
}

/**
 * The program that a driver runs. flytekit names its own as it is in the task's image: where that file is not on this machine, it is the
 * one of `entrypoint`. An error is told in words.
 */
export function applicationOf(
  job: SparkJob | undefined,
  entrypoint: string | undefined,
  exists: (path: string) => boolean = existsSync,
): Application | { wrong: string } {
  const file = job?.mainApplicationFile ?? '';
  const isPython = job === undefined || [Type.PYTHON, Type.UNRECOGNIZED].includes(job.applicationType);
  const isFlytekit = job === undefined || (isPython && /(^|\/)entrypoint\.py$/.test(file));
  if (!isFlytekit && file === '') return { wrong: 'The Spark task names no main application file.' };
  if (job && !isPython && job.applicationType !== Type.R && job.mainClass === '')
    return { wrong: `The Spark task's application ${file} needs a main class, and it names none.` };
  const path = localPath(file);
  if (path !== undefined && !exists(path)) {
    if (!isFlytekit)
      return {
        wrong: `The Spark task's application ${file} is not on this machine, and spark-submit runs drivers without their image: put it here, or name it by a URI that Spark reads.`,
      };
    return entrypoint === undefined
      ? { wrong: "Spark tasks of flytekit need flytekit in the platform's Python; install it there, with pyspark." }
      : { file: entrypoint };
  }
  return { file, ...(job?.mainClass ? { mainClass: job.mainClass } : {}) };
}

/** `undefined` for what is fetched by Spark from elsewhere. */
function localPath(file: string): string | undefined {
  const match = /^(?:(local|file):(?:\/\/)?)?(\/?[^:]*)$/.exec(file);
  return match ? match[2] : undefined;
}
