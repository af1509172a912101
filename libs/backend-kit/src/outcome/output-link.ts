import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import { type TaskLog, TaskLog_MessageFormat } from '@aloft/idl/flyteidl/core/execution';

/** Where the platform shows an attempt's output.log (see `outcomeUris`), while it runs and afterwards (C-176). */
export function outputLink(attempt: TaskAttempt, publicUrl: string): TaskLog {
  const { project, domain, name } = attempt.execution ?? { project: '', domain: '', name: '' };
  const parts = [project, domain, name, attempt.nodeId, String(attempt.retryAttempt)];
  if (attempt.index !== undefined) parts.push(String(attempt.index));
  return {
    uri: `${publicUrl.replace(/\/+$/, '')}/api/v1/logs/${parts.map(encodeURIComponent).join('/')}`,
    name: 'Output',
    messageFormat: TaskLog_MessageFormat.UNKNOWN,
    ttl: undefined,
    ShowWhilePending: false,
    HideOnceFinished: false,
  };
}
