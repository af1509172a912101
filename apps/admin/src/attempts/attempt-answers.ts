import { explainRoute } from '@aloft/engine';
import type { Attempt } from '@aloft/idl/aloft/v1/attempts';
import { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import { Route } from '@aloft/idl/aloft/v1/routing';
import { TaskExecutionClosure } from '@aloft/idl/flyteidl/admin/task_execution';
import { type TaskExecutionMetadata, TaskExecutionMetadata_InstanceClass } from '@aloft/idl/flyteidl/event/event';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { isTerminalTask } from '../projection/phases.js';
import { identifierOf } from '../registry/identifiers.js';
import { arrayPlugin } from './array-items.js';
import type { AttemptRow } from './attempts.repository.js';

const isInterruptible = ({ instanceClass }: TaskExecutionMetadata): boolean =>
  instanceClass === TaskExecutionMetadata_InstanceClass.INTERRUPTIBLE;

/** A row as clients see it. */
export function toAttempt(row: AttemptRow): Attempt {
  const { nodeId, retryAttempt, org, project, domain, name, version } = row;
  const { phase, createdAt, startedAt, updatedAt, taskType, metadata } = TaskExecutionClosure.decode(row.closure);
  const route = row.route ? Route.decode(row.route) : undefined;
  return {
    nodeId,
    retryAttempt,
    task: identifierOf({ org, project, domain, name, version }, ResourceType.TASK),
    taskType,
    phase,
    createdAt,
    startedAt,
    endedAt: isTerminalTask(phase) ? updatedAt : undefined,
    route,
    why: route ? explainRoute(route, taskType) : '',
    usage: row.usage ? TaskUsage.decode(row.usage) : undefined,
    interruptible: metadata && metadata.pluginIdentifier !== arrayPlugin ? isInterruptible(metadata) : undefined,
  };
}
