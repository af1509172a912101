import type { ExecutionSettings, StartExecution } from '@aloft/idl/aloft/v1/bus';
import {
  ExecutionMetadata,
  ExecutionMetadata_ExecutionMode as Mode,
  ExecutionState,
  type ExecutionClosure,
  ExecutionSpec,
} from '@aloft/idl/flyteidl/admin/execution';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { identifierOf, type NameKey } from '../registry/identifiers.js';
import type { ResolvedLaunch } from './launch-resolver.js';

/** Metadata of a run that was made of another. */
export function referring(spec: ExecutionSpec, { org, project, domain, name }: NameKey): ExecutionMetadata {
  const metadata = spec.metadata ?? ExecutionMetadata.fromPartial({});
  return { ...metadata, referenceExecution: { org, project, domain, name }, parentNodeExecution: undefined };
}

/** What was launched, and the run's own tags: all else as the plan, attributes and configuration give it now. */
export function launchOnly({ launchPlan, tags, metadata }: ExecutionSpec): ExecutionSpec {
  return ExecutionSpec.fromPartial({ launchPlan, tags, metadata });
}

/** Names the run that a revision was made of, and counts: the first is the run itself. */
export function revisionAnnotations(of: string, before: Record<string, string> | undefined): Record<string, string> {
  const number = Number(before?.['aloft.dev/revision'] ?? 1) || 1;
  return { 'aloft.dev/revision-of': of, 'aloft.dev/revision': String(number + 1) };
}

/** The spec that Get answers and a relaunch takes: with the settings that were resolved, without inputs. */
export function keptSpec(
  spec: ExecutionSpec,
  settings: ExecutionSettings,
  launch: ResolvedLaunch,
  { isChild, mode }: { isChild: boolean; mode: Mode | undefined },
): ExecutionSpec {
  const type = launch.task ? ResourceType.TASK : ResourceType.LAUNCH_PLAN;
  return {
    ...spec,
    launchPlan: identifierOf(launch.task ?? launch.plan.key, type),
    inputs: undefined,
    labels: { values: settings.labels },
    annotations: { values: settings.annotations },
    securityContext: settings.securityContext,
    rawOutputDataConfig: { outputLocationPrefix: settings.rawOutputPrefix },
    maxParallelism: settings.maxParallelism,
    interruptible: settings.interruptible,
    overwriteCache: settings.overwriteCache,
    envs: settings.envs.length > 0 ? { values: settings.envs } : undefined,
    qualityOfService: settings.qualityOfService,
    clusterAssignment: settings.placement?.clusterPool
      ? { clusterPoolName: settings.placement.clusterPool }
      : undefined,
    executionClusterLabel: settings.clusterLabel === '' ? undefined : { value: settings.clusterLabel },
    metadata: {
      scheduledAt: spec.metadata?.scheduledAt,
      referenceExecution: spec.metadata?.referenceExecution,
      parentNodeExecution: spec.metadata?.parentNodeExecution,
      artifactIds: spec.metadata?.artifactIds ?? [],
      systemMetadata: { executionCluster: settings.clusterLabel, namespace: '' },
      mode: mode ?? (isChild ? Mode.CHILD_WORKFLOW : (spec.metadata?.mode ?? Mode.MANUAL)),
      principal: settings.principal,
      nesting: settings.nesting,
    },
  };
}

/** A fresh row is UNDEFINED until the engine reports. */
export function newClosure(
  spec: ExecutionSpec,
  { plan, workflow }: ResolvedLaunch,
  principal: string,
  now: StartExecution['createdAt'],
): ExecutionClosure {
  const overrides = spec.notificationOverrides;
  // the request's list, or none if it says so, or the launch plan's.
  const notifications =
    overrides?.$case === 'notifications'
      ? overrides.value.notifications
      : overrides?.$case === 'disableAll' && overrides.value
        ? []
        : (plan.spec.entityMetadata?.notifications ?? []);
  return {
    outputResult: undefined,
    computedInputs: undefined,
    phase: Phase.UNDEFINED,
    startedAt: undefined,
    duration: undefined,
    createdAt: now,
    updatedAt: now,
    notifications,
    workflowId: identifierOf(workflow.key, ResourceType.WORKFLOW),
    stateChangeDetails: { state: ExecutionState.EXECUTION_ACTIVE, occurredAt: now, principal },
  };
}
