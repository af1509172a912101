import { invalidArgument } from '@aloft/errors';
import type { Notification } from '@aloft/idl/flyteidl/admin/common';
import { ConcurrencyLimitBehavior, type LaunchPlanSpec } from '@aloft/idl/flyteidl/admin/launch_plan';
import { WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { requirePolicies } from '../executions/run-policies.js';
import { requireAnnotations, requireLabels } from '../registry/labels.js';
import { isTerminalExecution } from '../projection/phases.js';

/** what can be judged without the workflow. */
export function requireLaunchPlanSpec(spec: LaunchPlanSpec | undefined, maxLabels: number): LaunchPlanSpec {
  if (!spec) throw invalidArgument('spec: missing');
  requireLabels(spec.labels?.values, 'spec.labels', maxLabels);
  requireAnnotations(spec.annotations?.values, 'spec.annotations', maxLabels);
  requirePolicies(spec, 'spec');
  if (spec.maxParallelism < 0)
    throw invalidArgument(`spec.max_parallelism: ${spec.maxParallelism} must not be negative`);
  if (spec.entityMetadata?.launchConditions)
    throw invalidArgument('spec.entity_metadata.launch_conditions: must be absent; triggers are not supported');
  requireNotifications(spec.entityMetadata?.notifications ?? [], 'spec.entity_metadata.notifications');
  for (const [name, { behavior }] of Object.entries(spec.defaultInputs?.parameters ?? {}))
    if (behavior?.$case !== 'default' && behavior?.$case !== 'required')
      throw invalidArgument(
        `spec.default_inputs[${name}]: must be required or have a default; artifacts are not supported`,
      );
  const policy = spec.concurrencyPolicy;
  if (policy && ConcurrencyLimitBehavior[policy.behavior] === undefined)
    throw invalidArgument(
      `spec.concurrency_policy.behavior: ${policy.behavior} is unknown; use CONCURRENCY_LIMIT_BEHAVIOR_SKIP`,
    );
  return spec;
}

/** recipients required, phases terminal. */
export function requireNotifications(notifications: readonly Notification[], where: string): void {
  for (const [i, { type, phases }] of notifications.entries()) {
    if (!type) throw invalidArgument(`${where}[${i}]: names no channel; set email, pager_duty or slack`);
    if (type.value.recipientsEmail.length === 0)
      throw invalidArgument(`${where}[${i}].recipients_email: missing; name at least one recipient`);
    if (phases.length === 0) throw invalidArgument(`${where}[${i}].phases: missing; name at least one terminal phase`);
    for (const phase of phases)
      if (!isTerminalExecution(phase))
        throw invalidArgument(
          `${where}[${i}].phases: ${WorkflowExecution_Phase[phase] ?? phase} is not terminal; use SUCCEEDED, FAILED, TIMED_OUT or ABORTED`,
        );
  }
}
