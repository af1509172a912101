import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';

/**
 * What makes two launches the same attempt, whatever their generation: the derived name (C-162) within one run. Names are
 * unique per project and domain only, and may recur after an erase; the run's immutable id tells those apart.
 */
export const attemptKey = (attempt: TaskAttempt): string => `${attempt.executionUid}/${attempt.name}`;

/** The run's id in such a key. */
export const executionIn = (key: string): string => key.slice(0, key.indexOf('/'));

/** `project/domain/name` of the attempt's execution, for people and for taking turns. */
export function executionOf(attempt: TaskAttempt): string {
  const { org, project, domain, name } = attempt.execution ?? { org: '', project: '', domain: '', name: '' };
  return org ? `${org}/${project}/${domain}/${name}` : `${project}/${domain}/${name}`;
}
