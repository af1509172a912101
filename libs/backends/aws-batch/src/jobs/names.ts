import { createHash } from 'node:crypto';
import { executionOf } from '@aloft/backend-kit';
import type { Launch } from '@aloft/backend-kit';
import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';

/** What the names of all jobs of one run begin with: names of runs recur, ids do not. */
export function runPrefix(executionUid: string): string {
  return `a${createHash('sha256').update(executionUid).digest('hex').slice(0, 15)}-`;
}

/** Name of the job of one attempt and generation: no other has it, and whoever looks for the job finds it so. At most 128 characters. */
export function jobName({ executionUid, name, generation }: TaskAttempt): string {
  return `${runPrefix(executionUid)}${name}-g${generation}`;
}

/** Ends the names of array jobs, and of nothing else. */
export const arraySuffix = '-array';

/** Of an array job: which items it has is in its environment. `key` is of what they have in common. */
export function arrayJobName({ executionUid, nodeId }: TaskAttempt, key: string): string {
  return `${runPrefix(executionUid)}${nodeId.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, 64)}-${key.slice(0, 16)}${arraySuffix}`;
}

/** Tags that name run and node, for people and for bills. */
export function jobTags(
  { attempt, labels }: Launch,
  more: Readonly<Record<string, string>>,
  array: boolean,
): Record<string, string> {
  const { execution, executionUid, nodeId, task, name, retryAttempt } = attempt;
  const tags: Record<string, string> = {
    ...more,
    'aloft:execution': executionOf(attempt),
    'aloft:execution-uid': executionUid,
    'aloft:project': execution?.project ?? '',
    'aloft:domain': execution?.domain ?? '',
    'aloft:node': nodeId,
    'aloft:task': task?.name ?? '',
    'aloft:task-version': task?.version ?? '',
    ...(array ? {} : { 'aloft:attempt': name, 'aloft:retry': String(retryAttempt) }),
  };
  for (const [key, value] of Object.entries(labels)) if (!(key in tags)) tags[`label:${key}`] = value;
  return Object.fromEntries(
    Object.entries(tags)
      .filter(([, value]) => value !== '')
      // Batch takes 50 tags; 256 characters of a few kinds each.
      .slice(0, 50)
      .map(([key, value]) => [clean(key).slice(0, 128), clean(value).slice(0, 256)]),
  );
}

const clean = (text: string): string => text.replace(/[^\p{L}\p{N} _.:/=+@-]/gu, '_');
