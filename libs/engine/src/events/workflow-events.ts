import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import type { ExecutionError, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { WorkflowExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import { inlined, storedUri } from '../data/values.js';
import type { RunState } from '../state/run-state.js';
import { emit, producer } from './emit.js';

/** The run entered a phase. */
export function workflowEvent(
  run: RunState,
  phase: WorkflowExecution_Phase,
  result: { outputs?: LiteralsValue; error?: ExecutionError } = {},
): void {
  run.phase = phase;
  const event = WorkflowExecutionEvent.create();
  event.executionId = run.id;
  event.producerId = producer;
  event.phase = phase;
  event.occurredAt = run.now;
  event.outputResult = outcomeOf(result);
  emit(run, { $case: 'workflow', value: event });
}

/** The `output_result` of workflow, node and task events alike. */
export function outcomeOf(result: { outputs?: LiteralsValue; error?: ExecutionError }) {
  if (result.error) return { $case: 'error' as const, value: result.error };
  const uri = storedUri(result.outputs);
  if (uri !== undefined) return { $case: 'outputUri' as const, value: uri };
  const literals = inlined(result.outputs);
  return literals ? { $case: 'outputData' as const, value: { literals } } : undefined;
}

/** The `input_value` of node and task events. */
export function inputOf(inputs: LiteralsValue | undefined) {
  const uri = storedUri(inputs);
  if (uri !== undefined) return { $case: 'inputUri' as const, value: uri };
  const literals = inlined(inputs);
  return literals ? { $case: 'inputData' as const, value: { literals } } : undefined;
}
