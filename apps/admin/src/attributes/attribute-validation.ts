import { invalidArgument } from '@aloft/errors';
import { PluginOverride_MissingPluginBehavior as Missing } from '@aloft/idl/flyteidl/admin/matchable_resource';
import { requireLabels } from '../registry/labels.js';
import { requireQuality } from '../executions/placement.js';
import { requirePolicies } from '../executions/run-policies.js';
import type { Target } from './attribute-kinds.js';
import { requireQuantities } from './task-resources.js';

const where = 'attributes.matching_attributes';
/** Bytes of a row: what applies to every run of a project is read with every run. */
const maxBytes = 64 * 1024;

/** refuses what no run could be given, where it is written. */
export function requireAttributes(target: Target, encoded: Uint8Array, maxLabels: number): void {
  if (encoded.length > maxBytes)
    throw invalidArgument(`${where}: ${encoded.length} bytes; at most ${maxBytes} are allowed`);
  switch (target.$case) {
    case 'taskResourceAttributes':
      requireQuantities(target.value.defaults, `${where}.task_resource_attributes.defaults`);
      requireQuantities(target.value.limits, `${where}.task_resource_attributes.limits`);
      return;
    case 'workflowExecutionConfig':
      if (target.value.maxParallelism < 0)
        throw invalidArgument(
          `${where}.workflow_execution_config.max_parallelism: ${target.value.maxParallelism} must not be negative`,
        );
      requireLabels(target.value.labels?.values, `${where}.workflow_execution_config.labels`, maxLabels);
      requirePolicies(target.value, `${where}.workflow_execution_config`);
      return;
    case 'qualityOfService':
      requireQuality(target.value, `${where}.quality_of_service`);
      if (!target.value.designation)
        throw invalidArgument(`${where}.quality_of_service: empty; set a tier or a spec with a queueing_budget`);
      return;
    case 'pluginOverrides':
      for (const [i, { taskType, pluginId, missingPluginBehavior }] of target.value.overrides.entries()) {
        const at = `${where}.plugin_overrides.overrides[${i}]`;
        if (taskType === '') throw invalidArgument(`${at}.task_type: missing; say which tasks it is for, e.g. spark`);
        if (pluginId.includes('')) throw invalidArgument(`${at}.plugin_id: holds an empty name`);
        if (!(missingPluginBehavior in Missing))
          throw invalidArgument(
            `${at}.missing_plugin_behavior: ${missingPluginBehavior} is neither FAIL nor USE_DEFAULT`,
          );
      }
      return;
    case 'executionQueueAttributes':
      if (target.value.tags.includes(''))
        throw invalidArgument(`${where}.execution_queue_attributes.tags: holds an empty tag`);
      return;
    default:
  }
}
