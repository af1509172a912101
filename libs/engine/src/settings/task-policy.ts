import type { RetryPolicy } from '@aloft/idl/aloft/v1/bus';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import type { Duration } from '@aloft/idl/google/protobuf/duration';
import { parseDuration } from './duration-text.js';
import { parseRetryPolicy } from './retry-policy.js';

/**
 * Names of the settings that stock Flyte has no field for. A task's template carries them in its `config`, `custom`, `metadata.tags`
 * or the annotations of its pod template under these names, or in its environment as `ALOFT_RETRY`, `ALOFT_QUEUE_TIMEOUT` and
 * `ALOFT_ACTIVE_TIMEOUT`; executions, launch plans and WORKFLOW_EXECUTION_CONFIG attributes carry them in annotations or labels.
 */
export const policyKeys = {
  /** C-36; see {@link parseRetryPolicy}. */
  retry: 'aloft.retry',
  /** Of the whole run (C-54); not of a task. */
  timeout: 'aloft.timeout',
  /** C-50, of tasks that say nothing; a task itself has its `timeout` for it. */
  executionTimeout: 'aloft.execution-timeout',
  /** C-51 */
  activeTimeout: 'aloft.active-timeout',
  /** C-52 Ours */
  queueTimeout: 'aloft.queue-timeout',
} as const;

/** What a task's template says of itself beyond what flyteidl has fields for. */
export interface TaskPolicy {
  retry?: RetryPolicy;
  activeTimeout?: Duration;
  queueTimeout?: Duration;
  /** Something in it can't be understood. */
  problem?: string;
}

/** C-36, C-51, C-52: read once per template. */
export function taskPolicyOf(template: TaskTemplate): TaskPolicy {
  const policy: TaskPolicy = {};
  const retry = settingOf(template, policyKeys.retry);
  if (retry !== undefined) {
    const parsed = parseRetryPolicy(retry);
    if ('problem' in parsed) return { problem: parsed.problem };
    policy.retry = parsed.policy;
  }
  for (const name of ['activeTimeout', 'queueTimeout'] as const) {
    const text = settingOf(template, policyKeys[name]);
    if (text === undefined) continue;
    const duration = parseDuration(text);
    if (!duration) return { problem: `${policyKeys[name]}: "${text}" is no time span; write e.g. 90s, 15m or 1h30m` };
    policy[name] = duration;
  }
  return policy;
}

function settingOf(template: TaskTemplate, key: string): string | undefined {
  const variable = key.toUpperCase().replace(/[.-]/g, '_');
  const container = template.target?.$case === 'container' ? template.target.value : undefined;
  const pod = template.target?.$case === 'k8sPod' ? template.target.value : undefined;
  const custom: unknown = template.custom?.[key];
  return (
    template.config[key] ??
    (typeof custom === 'string' ? custom : undefined) ??
    template.metadata?.tags[key] ??
    pod?.metadata?.annotations[key] ??
    container?.env.find((each) => each.key === variable)?.value
  );
}
