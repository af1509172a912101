import type { StartExecution } from '@aloft/idl/aloft/v1/bus';
import type {
  NodeExecution_Phase,
  TaskExecution_Phase,
  WorkflowExecution_Phase,
} from '@aloft/idl/flyteidl/core/execution';
import type { Identifier, WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';

/** Events as a propeller tells them; `at` is in seconds. */

const time = (at: number) => ({ seconds: BigInt(at), nanos: 0 });
type Run = Pick<StartExecution, 'id'>;
const idOf = (run: Run) => run.id as WorkflowExecutionIdentifier;

export function workflow(
  phase: WorkflowExecution_Phase,
  at: number,
  result: { error?: object; outputData?: object } = {},
) {
  const [[$case, value] = []] = Object.entries(result);
  const outputResult = $case === undefined ? {} : { outputResult: { $case, value } as never };
  return { event: { $case: 'workflow' as const, value: { phase, occurredAt: time(at), ...outputResult } } };
}

export function node(run: Run, nodeId: string, phase: NodeExecution_Phase, at: number, rest: object = {}) {
  const id = { nodeId, executionId: idOf(run) };
  return { event: { $case: 'node' as const, value: { id, phase, occurredAt: time(at), specNodeId: nodeId, ...rest } } };
}

export function task(
  run: Run,
  taskId: Identifier,
  nodeId: string,
  retryAttempt: number,
  phase: TaskExecution_Phase,
  at: number,
  rest: object = {},
) {
  const parentNodeExecutionId = { nodeId, executionId: idOf(run) };
  const value = {
    taskId,
    parentNodeExecutionId,
    retryAttempt,
    phase,
    occurredAt: time(at),
    taskType: 'python-task',
    ...rest,
  };
  return { event: { $case: 'task' as const, value } };
}
