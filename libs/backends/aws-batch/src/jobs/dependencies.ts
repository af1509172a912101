import type { Launch } from '@aloft/backend-kit';
import { RuntimeMetadata_RuntimeType as Runtime } from '@aloft/idl/flyteidl/core/tasks';
import type { Describer } from './describer.js';
import { hasEnded } from './terminator.js';
import type { EndedJob } from './verdict.js';

/** Tells flytekit to end its process with an error where its task fails; by itself it writes error.pb and ends well. */
export const failsWithTask = { name: 'FLYTE_FAIL_ON_ERROR', value: 'true' };
/** The first release that surely knows of it. */
const since = [1, 5] as const;
/** What flytekit gives dynamic and eager tasks alone: their jobs are not all of them. */
const dynamicVariable = '_F_SS_C';

/**
 * Whether other jobs may depend on the attempt's (S-5): its job must succeed just if its task does. That is known of flytekit's tasks, whose process can be
 * told to fail; of others nobody knows, and dynamic tasks have succeeded only when what they generated has.
 */
export function isDependable({ template, attempt, route }: Launch): boolean {
  if (!route?.nativeDependencies || attempt.index !== undefined) return false;
  if (template?.target?.$case !== 'container') return false;
  const { command, args, env } = template.target.value;
  const runtime = template.metadata?.runtime;
  return (
    runtime?.type === Runtime.FLYTE_SDK &&
    isSince(runtime.version) &&
    [...command, ...args].includes('pyflyte-execute') &&
    !env.some(({ key }) => key === dynamicVariable)
  );
}

function isSince(version: string): boolean {
  const [major = 0, minor = 0] = /^(\d+)\.(\d+)\./.exec(version)?.slice(1).map(Number) ?? [];
  return major > since[0] || (major === since[0] && minor >= since[1]);
}

/** Whether a job failed without having begun because one of those that it depends on has failed, or is not there. */
export async function failedByDependency(
  job: EndedJob,
  { dependsOn }: Launch,
  describer: Pick<Describer, 'describe'>,
): Promise<boolean> {
  if (dependsOn.length === 0 || job.status !== 'FAILED' || job.startedAt) return false;
  if (job.isTerminated || job.isCancelled) return false;
  return lacksDependency(dependsOn, describer);
}

/** Whether a job that depends on these can never begin. */
export async function lacksDependency(
  dependsOn: readonly string[],
  describer: Pick<Describer, 'describe'>,
): Promise<boolean> {
  const described = await describer.describe(dependsOn);
  return dependsOn.some((id) => {
    const job = described.get(id);
    return !job || (hasEnded(job) && job.status !== 'SUCCEEDED');
  });
}
