import { MatchableResource, type MatchingAttributes } from '@aloft/idl/flyteidl/admin/matchable_resource';
import type { AttributeScope } from './attributes.repository.js';

export type Target = NonNullable<MatchingAttributes['target']>;
export type Kind = Target['$case'];
export type TargetOf<K extends Kind> = Extract<Target, { $case: K }>['value'];

/** what can be set, and what the lists call it. */
export const resourceTypes: Record<Kind, MatchableResource> = {
  taskResourceAttributes: MatchableResource.TASK_RESOURCE,
  clusterResourceAttributes: MatchableResource.CLUSTER_RESOURCE,
  executionQueueAttributes: MatchableResource.EXECUTION_QUEUE,
  executionClusterLabel: MatchableResource.EXECUTION_CLUSTER_LABEL,
  qualityOfService: MatchableResource.QUALITY_OF_SERVICE_SPECIFICATION,
  pluginOverrides: MatchableResource.PLUGIN_OVERRIDE,
  workflowExecutionConfig: MatchableResource.WORKFLOW_EXECUTION_CONFIG,
  clusterAssignment: MatchableResource.CLUSTER_ASSIGNMENT,
};

/** the most specific row wins; nothing is merged between levels. */
export function priorityOf(scope: AttributeScope): number {
  if (scope.launchPlan !== '') return 1000;
  if (scope.workflow !== '') return 100;
  if (scope.project !== '' && scope.domain !== '') return 10;
  if (scope.project !== '') return 5;
  return scope.domain !== '' ? 1 : 0;
}

export function covers(row: AttributeScope, asked: AttributeScope): boolean {
  return (['project', 'domain', 'workflow', 'launchPlan'] as const).every(
    (part) => row[part] === '' || row[part] === asked[part],
  );
}
