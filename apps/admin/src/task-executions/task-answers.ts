import { TaskExecutionClosure, type TaskExecution } from '@aloft/idl/flyteidl/admin/task_execution';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { flyteUrl } from '../data-proxy/flyte-urls.js';
import { identifierOf, type NameKey } from '../registry/identifiers.js';
import type { TaskExecutionRow } from './task-executions.repository.js';

/** A row as clients see it; inline literals get a URI that the data proxy resolves. */
export function toTaskExecution(execution: NameKey, row: TaskExecutionRow): TaskExecution {
  const { nodeId, retryAttempt, taskOrg: org, taskProject: project, taskDomain: domain, taskName: name } = row;
  const closure = TaskExecutionClosure.decode(row.closure);
  if (!closure.outputResult && row.outputs)
    closure.outputResult = { $case: 'outputUri', value: flyteUrl(execution, nodeId, 'outputs', retryAttempt) };
  return {
    id: {
      taskId: identifierOf({ org, project, domain, name, version: row.taskVersion }, ResourceType.TASK),
      nodeExecutionId: { nodeId, executionId: execution },
      retryAttempt,
    },
    inputUri: row.inputUri || (row.inputs ? flyteUrl(execution, nodeId, 'inputs', retryAttempt) : ''),
    closure,
    isParent: row.isParent,
  };
}
