import type { ClusterAssignment } from '@aloft/idl/flyteidl/admin/cluster_assignment';
import type { ExecutionSpec } from '@aloft/idl/flyteidl/admin/execution';
import type { LaunchPlanSpec } from '@aloft/idl/flyteidl/admin/launch_plan';
import type {
  ClusterResourceAttributes,
  ExecutionClusterLabel,
  ExecutionQueueAttributes,
  PluginOverrides,
  TaskResourceAttributes,
  WorkflowExecutionConfig,
} from '@aloft/idl/flyteidl/admin/matchable_resource';
import type { QualityOfService } from '@aloft/idl/flyteidl/core/execution';
import type { AdminConfig } from '../config.js';

/** Everything that the settings of one run are merged from, most specific first within each list. */
export interface SettingSources {
  /** Name of the run with its project and domain: what is drawn by lot is drawn from it. */
  name: string;
  request: ExecutionSpec;
  plan: LaunchPlanSpec;
  /** The most specific attribute that applies, then the project's, then the configuration's defaults; so the others, without the project's. */
  configs: readonly WorkflowExecutionConfig[];
  taskResources: readonly TaskResourceAttributes[];
  pluginOverrides: readonly PluginOverrides[];
  clusterLabels: readonly ExecutionClusterLabel[];
  clusterAssignments: readonly ClusterAssignment[];
  clusterResources: readonly ClusterResourceAttributes[];
  queueTags: readonly ExecutionQueueAttributes[];
  qualityOfService: readonly QualityOfService[];
  workflowQualityOfService: QualityOfService | undefined;
  projectLabels: Readonly<Record<string, string>>;
  config: AdminConfig;
  defaultRawOutputPrefix: string;
  principal: string;
  /** The run whose node starts this one. */
  parent: { nesting: number; clusterLabel: string; principal: string } | undefined;
}
