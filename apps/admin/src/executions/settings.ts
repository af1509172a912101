import type { ExecutionSettings } from '@aloft/idl/aloft/v1/bus';
import type { SecurityContext } from '@aloft/idl/flyteidl/core/security';
import { entriesOf, mergeQuantities } from '../attributes/task-resources.js';
import { placementOf, qualityOfService, queueAnnotation } from './placement.js';
import { policiesOf } from './run-policies.js';
import type { SettingSources } from './setting-sources.js';

/**
 * first non-empty wins, per field: request, launch plan, most specific attribute, project's attribute, server.
 * `overwrite_cache` can only be switched on; max parallelism 0 means "not set".
 */
export function mergeSettings(sources: SettingSources): ExecutionSettings {
  const { request, plan, configs, config, parent } = sources;
  const levels = [request, plan, ...configs];
  const principal = parent?.principal || sources.principal;
  const quality = qualityOfService(sources);
  const clusterLabel =
    request.executionClusterLabel?.value ||
    parent?.clusterLabel ||
    sources.clusterLabels.find(({ value }) => value)?.value ||
    '';
  const placement = placementOf(sources, { clusterLabel, qualityOfService: quality });
  const { [queueAnnotation]: _old, ...annotations } = firstMap(levels.map((level) => level.annotations?.values));
  return {
    ...policiesOf(levels, config),
    labels: { ...sources.projectLabels, ...firstMap(levels.map((level) => level.labels?.values)) },
    annotations: placement.queue === '' ? annotations : { ...annotations, [queueAnnotation]: placement.queue },
    securityContext: securityContextOf(sources, principal),
    rawOutputPrefix:
      levels.map((level) => level.rawOutputDataConfig?.outputLocationPrefix).find(Boolean) ??
      (config.executions.rawOutputPrefix || sources.defaultRawOutputPrefix),
    maxParallelism:
      levels.map((level) => level.maxParallelism).find((value) => value > 0) ?? config.executions.maxParallelism,
    interruptible: levels.map((level) => level.interruptible).find((value) => value !== undefined),
    overwriteCache: levels.some((level) => level.overwriteCache),
    envs: levels.map((level) => level.envs?.values ?? []).find((values) => values.length > 0) ?? [],
    taskResourceDefaults: {
      requests: entriesOf(
        mergeQuantities(...sources.taskResources.map((r) => r.defaults), config.taskResources.defaults),
      ),
      limits: [],
    },
    taskResourceLimits: entriesOf(
      mergeQuantities(...sources.taskResources.map((r) => r.limits), config.taskResources.limits),
    ),
    // By task type, first wins.
    pluginOverrides: sources.pluginOverrides.flatMap(({ overrides }) => overrides),
    nesting: parent ? parent.nesting + 1 : 0,
    principal,
    defaultUserAttempts: config.executions.userAttempts,
    maxSystemRetries: config.executions.systemRetries,
    qualityOfService: quality,
    clusterLabel,
    placement,
    // The propeller's, which puts it in when the run begins.
    routing: undefined,
  };
}

function firstMap(maps: readonly (Readonly<Record<string, string>> | undefined)[]): Record<string, string> {
  return { ...maps.find((map) => map !== undefined && Object.keys(map).length > 0) };
}

/** Counts as set only with an account, a role or an identity in it; the deprecated auth fields come after the attributes. */
function securityContextOf(sources: SettingSources, principal: string): SecurityContext {
  const { request, plan, configs, config } = sources;
  const contexts = [request, plan, ...configs].map((level) => level.securityContext);
  const set = contexts.find((context) => {
    const runAs = context?.runAs;
    return runAs && (runAs.iamRole !== '' || runAs.k8sServiceAccount !== '' || runAs.executionIdentity !== '');
  });
  const legacy = [
    request.authRole,
    plan.authRole,
    plan.auth,
    plan.role === '' ? undefined : { assumableIamRole: plan.role, kubernetesServiceAccount: '' },
    { assumableIamRole: config.executions.role, kubernetesServiceAccount: config.executions.serviceAccount },
  ].find((role) => role && (role.assumableIamRole !== '' || role.kubernetesServiceAccount !== ''));
  const base = set ?? contexts.find((context) => context !== undefined);
  return {
    secrets: base?.secrets ?? [],
    tokens: base?.tokens ?? [],
    runAs: {
      iamRole: set?.runAs?.iamRole ?? legacy?.assumableIamRole ?? '',
      k8sServiceAccount: set?.runAs?.k8sServiceAccount ?? legacy?.kubernetesServiceAccount ?? '',
      oauth2Client: set?.runAs?.oauth2Client,
      executionIdentity: set?.runAs?.executionIdentity || principal,
    },
  };
}
