import { parseDuration } from '@aloft/engine';
import {
  MatchingAttributes,
  PluginOverride_MissingPluginBehavior as Missing,
} from '@aloft/idl/flyteidl/admin/matchable_resource';
import { QualityOfService, QualityOfService_Tier as Tier } from '@aloft/idl/flyteidl/core/execution';
import type { AttributeScope } from './attributes.repository.js';
import { priorityOf, type Target } from './attribute-kinds.js';
import { tierNames, type DefaultsConfig } from './defaults-config.js';

export interface ConfiguredAttributes {
  scope: AttributeScope;
  target: Target;
}

/** S-20: the configuration's defaults in the form of attributes, most specific first. */
export function configuredAttributes(defaults: readonly DefaultsConfig[]): ConfiguredAttributes[] {
  return defaults
    .flatMap((entry) => {
      const scope = { org: '', project: entry.project, domain: entry.domain, workflow: '', launchPlan: '' };
      return targetsOf(entry).map((target) => ({ scope, target }));
    })
    .sort((a, b) => priorityOf(b.scope) - priorityOf(a.scope));
}

function targetsOf(entry: DefaultsConfig): Target[] {
  const { taskResources, executions, queueTags, clusterLabel, clusterPool, clusterResources, pluginOverrides } = entry;
  const targets: Parameters<typeof MatchingAttributes.fromPartial>[0]['target'][] = [];
  if (taskResources) targets.push({ $case: 'taskResourceAttributes', value: taskResources });
  if (entry.qualityOfService !== '')
    targets.push({ $case: 'qualityOfService', value: qualityOf(entry.qualityOfService) });
  if (queueTags.length > 0) targets.push({ $case: 'executionQueueAttributes', value: { tags: queueTags } });
  if (clusterLabel !== '') targets.push({ $case: 'executionClusterLabel', value: { value: clusterLabel } });
  if (clusterPool !== '') targets.push({ $case: 'clusterAssignment', value: { clusterPoolName: clusterPool } });
  if (Object.keys(clusterResources).length > 0)
    targets.push({ $case: 'clusterResourceAttributes', value: { attributes: clusterResources } });
  const overrides = Object.entries(pluginOverrides).map(([taskType, { plugins, missing }]) => ({
    taskType,
    pluginId: plugins,
    missingPluginBehavior: Missing[missing],
  }));
  if (overrides.length > 0) targets.push({ $case: 'pluginOverrides', value: { overrides } });
  if (executions) targets.push({ $case: 'workflowExecutionConfig', value: executionConfig(executions) });
  return targets.map((target) => MatchingAttributes.fromPartial({ target }).target!);
}

export function qualityOf(text: string): QualityOfService {
  const tier = tierNames.find((name) => name === text);
  if (tier) return { designation: { $case: 'tier', value: Tier[tier] } };
  return QualityOfService.fromPartial({
    designation: { $case: 'spec', value: { queueingBudget: parseDuration(text) } },
  });
}

function executionConfig(settings: NonNullable<DefaultsConfig['executions']>) {
  const { maxParallelism, interruptible, overwriteCache, rawOutputPrefix, serviceAccount, role } = settings;
  const { labels, annotations, envs } = settings;
  const filled = (map: Record<string, string>) => (Object.keys(map).length > 0 ? { values: map } : undefined);
  return {
    maxParallelism,
    interruptible,
    overwriteCache,
    labels: filled(labels),
    annotations: filled(annotations),
    envs: filled(envs) && { values: Object.entries(envs).map(([key, value]) => ({ key, value })) },
    securityContext:
      serviceAccount === '' && role === ''
        ? undefined
        : { runAs: { k8sServiceAccount: serviceAccount, iamRole: role } },
    rawOutputDataConfig: rawOutputPrefix === '' ? undefined : { outputLocationPrefix: rawOutputPrefix },
  };
}
