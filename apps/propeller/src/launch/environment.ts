import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import type { KeyValuePair } from '@aloft/idl/flyteidl/core/literals';
import type { TraceContext } from '@aloft/telemetry';

export interface EnvironmentSources {
  workflow: Identifier | undefined;
  task: Identifier | undefined;
  /** Of the run, then of the task: a later one wins over an earlier one of the same key. */
  runEnvs: readonly KeyValuePair[];
  taskEnvs: readonly KeyValuePair[];
  defaultEnvs: readonly KeyValuePair[];
  /** Address of the run in the console; passed on only to a task that asks for decks or links. */
  executionUrl?: string;
}

/** What all attempts of one task within one run have in common (C-107). */
export function staticEnvironment(attempt: TaskAttempt, sources: EnvironmentSources): KeyValuePair[] {
  const { execution } = attempt;
  const env = new Map<string, string>();
  const workflow = sources.workflow;
  if (workflow) {
    env.set('FLYTE_INTERNAL_EXECUTION_WORKFLOW', `${workflow.project}:${workflow.domain}:${workflow.name}`);
  }
  env.set('FLYTE_INTERNAL_EXECUTION_ID', execution?.name ?? '');
  env.set('FLYTE_INTERNAL_EXECUTION_PROJECT', execution?.project ?? '');
  env.set('FLYTE_INTERNAL_EXECUTION_DOMAIN', execution?.domain ?? '');
  if (sources.executionUrl !== undefined) env.set('FLYTE_EXECUTION_URL', sources.executionUrl);
  if (sources.task) {
    const { project, domain, name, version } = sources.task;
    for (const prefix of ['FLYTE_INTERNAL_TASK_', 'FLYTE_INTERNAL_']) {
      env.set(`${prefix}PROJECT`, project);
      env.set(`${prefix}DOMAIN`, domain);
      env.set(`${prefix}NAME`, name);
      env.set(`${prefix}VERSION`, version);
    }
  }
  for (const list of [sources.runEnvs, sources.taskEnvs]) for (const { key, value } of list) env.set(key, value);
  for (const { key, value } of sources.defaultEnvs) if (!env.has(key)) env.set(key, value);
  return [...env].map(([key, value]) => ({ key, value }));
}

/**
 * What differs from attempt to attempt. Items of an array learn their index the way flytekit reads it: the name of the variable
 * that holds it stands in another one (flytekit.md).
 */
export function attemptEnvironment(attempt: TaskAttempt): KeyValuePair[] {
  const env = [{ key: 'FLYTE_ATTEMPT_NUMBER', value: String(attempt.retryAttempt) }];
  if (attempt.index !== undefined) {
    env.push(
      { key: 'BATCH_JOB_ARRAY_INDEX_VAR_NAME', value: 'FLYTE_K8S_ARRAY_INDEX' },
      { key: 'FLYTE_K8S_ARRAY_INDEX', value: String(attempt.index) },
    );
  }
  return env;
}

/** W3C trace context as environment variables: what the task records is part of the run's trace. */
export function traceEnvironment({ traceparent, tracestate }: TraceContext): KeyValuePair[] {
  const env = [{ key: 'TRACEPARENT', value: traceparent }];
  if (tracestate) env.push({ key: 'TRACESTATE', value: tracestate });
  return env;
}
