import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';

/** Cuts and cleans text to a value that Kubernetes takes for a label: lower case DNS-1123, at most 63 characters (C-164). */
export function labelValue(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '');
}

/** C-164, but for `node-id`, which differs from launch to launch; the run's own labels win over none of the platform's. */
export function launchLabels(
  attempt: TaskAttempt,
  workflow: Identifier | undefined,
  interruptible: boolean,
  runLabels: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    ...runLabels,
    'execution-id': labelValue(attempt.execution?.name ?? ''),
    project: labelValue(attempt.execution?.project ?? ''),
    domain: labelValue(attempt.execution?.domain ?? ''),
    'workflow-name': labelValue(workflow?.name ?? ''),
    'task-name': labelValue(attempt.task?.name ?? ''),
    interruptible: String(interruptible),
  };
}
