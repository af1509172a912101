import { LaunchPlanSpec } from '@aloft/idl/flyteidl/admin/launch_plan';
import { Notification as NotificationMessage } from '@aloft/idl/flyteidl/admin/common';
import { FixedRateUnit, Schedule as ScheduleMessage } from '@aloft/idl/flyteidl/admin/schedule';
import type { Literal } from '@aloft/idl/flyteidl/core/literals';
import { WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { entityBrand, type LaunchPlan, type Notification, type Schedule, type Workflow } from '../entities.js';
import { nameOf } from '../registry.js';
import type { Fields } from '../types/data-type.js';
import { identifierOf, type SerializeContext } from './context.js';

const units = { minute: FixedRateUnit.MINUTE, hour: FixedRateUnit.HOUR, day: FixedRateUnit.DAY } as const;

function scheduleMessage(schedule: Schedule): ScheduleMessage {
  return ScheduleMessage.fromPartial({
    ScheduleExpression: schedule.every
      ? { $case: 'rate', value: { value: schedule.every.value, unit: units[schedule.every.unit] } }
      : { $case: 'cronSchedule', value: { schedule: schedule.cron ?? '' } },
    kickoffTimeInputArg: schedule.kickoffTimeInput ?? '',
  });
}

function notificationMessage(notification: Notification): NotificationMessage {
  const phases = notification.phases.map((phase) => WorkflowExecution_Phase[phase]);
  if ('email' in notification)
    return NotificationMessage.fromPartial({
      phases,
      type: { $case: 'email', value: { recipientsEmail: [...notification.email] } },
    });
  if ('slack' in notification)
    return NotificationMessage.fromPartial({
      phases,
      type: { $case: 'slack', value: { recipientsEmail: [...notification.slack] } },
    });
  return NotificationMessage.fromPartial({
    phases,
    type: { $case: 'pagerDuty', value: { recipientsEmail: [...notification.pagerDuty] } },
  });
}

/** Parameters of whoever starts it: a default, None for what takes it, or required. */
async function parameters(fields: Fields, context: SerializeContext) {
  const entries = await Promise.all(
    Object.entries(fields).map(async ([name, type]) => {
      const behavior = type.isOmittable
        ? {
            $case: 'default' as const,
            value: await type.toLiteral(type.defaultValue?.value ?? null, context.transfer, `default of ${name}`),
          }
        : { $case: 'required' as const, value: true };
      return [name, { var: { type: type.literalType, description: type.description || name }, behavior }] as const;
    }),
  );
  return { parameters: Object.fromEntries(entries) };
}

export async function launchPlanSpec(launchPlan: LaunchPlan, context: SerializeContext): Promise<LaunchPlanSpec> {
  const definition = launchPlan[entityBrand];
  const workflow = definition.workflow!;
  const fields = workflow[entityBrand].inputs;
  const fixed = await Promise.all(
    Object.entries(definition.fixed).map(async ([name, value]): Promise<[string, Literal]> => [
      name,
      await fields[name]!.toLiteral(value, context.transfer, `fixed input ${name}`),
    ]),
  );
  return LaunchPlanSpec.fromPartial({
    workflowId: identifierOf(workflow, context),
    entityMetadata: {
      schedule: definition.schedule && scheduleMessage(definition.schedule),
      notifications: (definition.notifications ?? []).map(notificationMessage),
    },
    defaultInputs: await parameters(definition.inputs, context),
    fixedInputs: { literals: Object.fromEntries(fixed) },
    labels: { values: { ...definition.labels } },
    annotations: { values: { ...definition.annotations } },
    envs: definition.env && {
      values: Object.entries(definition.env).map(([key, value]) => ({ key, value })),
    },
    maxParallelism: definition.maxParallelism ?? 0,
    interruptible: definition.interruptible,
    overwriteCache: definition.overwriteCache ?? false,
    rawOutputDataConfig: definition.rawOutputPrefix ? { outputLocationPrefix: definition.rawOutputPrefix } : undefined,
    securityContext:
      definition.serviceAccount || definition.iamRole
        ? { runAs: { k8sServiceAccount: definition.serviceAccount ?? '', iamRole: definition.iamRole ?? '' } }
        : undefined,
  });
}

/** The launch plan that every workflow has under its own name, without any settings. */
export async function defaultLaunchPlan(workflow: Workflow, context: SerializeContext) {
  return {
    id: { ...identifierOf(workflow, context), resourceType: ResourceType.LAUNCH_PLAN },
    spec: LaunchPlanSpec.fromPartial({
      workflowId: identifierOf(workflow, context),
      entityMetadata: { notifications: [] },
      defaultInputs: await parameters(workflow[entityBrand].inputs, context),
      fixedInputs: { literals: {} },
      labels: { values: {} },
      annotations: { values: {} },
    }),
    name: nameOf(workflow),
  };
}
