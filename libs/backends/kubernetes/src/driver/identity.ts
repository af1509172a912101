import { createHash } from 'node:crypto';
import { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import type { ClusterObject } from '../cluster/resource.js';

/** Labels by which objects of ours are found; the selector of every list and watch is the first. */
export const labels = {
  owner: 'aloft.dev/owner',
  attempt: 'aloft.dev/attempt',
  generation: 'aloft.dev/generation',
  execution: 'aloft.dev/execution-uid',
} as const;

/** The attempt as JSON, for whoever finds the object and nothing else of it. */
export const attemptAnnotation = 'aloft.dev/attempt';

/** Labels of the object of one attempt of the installation `owner`. */
export function identityOf(attempt: TaskAttempt, owner: string): Record<string, string> {
  return { [labels.owner]: owner, ...attemptLabels(attempt) };
}

/** Labels of whatever belongs to an attempt, the pods that operators make among it. */
export function attemptLabels(attempt: TaskAttempt): Record<string, string> {
  return {
    [labels.attempt]: attempt.name,
    [labels.generation]: String(attempt.generation),
    [labels.execution]: attempt.executionUid,
  };
}

export function isOf(object: ClusterObject, attempt: TaskAttempt, owner: string): boolean {
  const has = object.metadata?.labels ?? {};
  return Object.entries(identityOf(attempt, owner)).every(([label, value]) => has[label] === value);
}

/** `undefined` for objects that say nothing one could read. */
export function attemptOf(object: ClusterObject): TaskAttempt | undefined {
  try {
    const text = object.metadata?.annotations?.[attemptAnnotation];
    return text === undefined ? undefined : TaskAttempt.fromJSON(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/**
 * The name of an attempt's object: the same whoever makes it, so that one attempt is one object. The attempt's own name says generation
 * and run within a project and domain (C-162); what it does not say is added.
 */
export function objectName(attempt: TaskAttempt, namespaceTellsProject: boolean): string {
  const { org, project, domain } = attempt.execution ?? { org: '', project: '', domain: '' };
  const parts = [attempt.name];
  if (!namespaceTellsProject)
    parts.push(createHash('sha256').update(`${org}/${project}/${domain}`).digest('hex').slice(0, 6));
  if (attempt.generation !== attempt.retryAttempt + 1) parts.push(`g${attempt.generation}`);
  return parts.join('-');
}
