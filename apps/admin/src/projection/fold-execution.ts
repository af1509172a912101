import type { ExecutionClosure } from '@aloft/idl/flyteidl/admin/execution';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { WorkflowExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import { durationBetween } from '../time.js';
import { isTerminalExecution, judgeExecution, type Verdict } from './phases.js';

/** What events change of an execution's row. */
export interface ExecutionState {
  closure: ExecutionClosure;
  /** Encoded LiteralMap when small, else a URI; never in the closure (a client bug raises on `outputs.values`). */
  outputs: Buffer | null;
  outputsUri: string | null;
  quarantineReason: string | null;
}

/** Applies one event in place. */
export function foldExecutionEvent(state: ExecutionState, event: WorkflowExecutionEvent): Verdict {
  const { closure } = state;
  const verdict = judgeExecution(closure.phase, event.phase);
  // Aborted before its beginning was told: it stays ABORTING, and began all the same.
  if (verdict === 'backwards' && event.phase === Phase.RUNNING) closure.startedAt ??= event.occurredAt;
  if (verdict !== 'apply') return verdict;
  closure.phase = event.phase;
  closure.updatedAt = event.occurredAt;
  // The duration counts from the first RUNNING.
  if (event.phase === Phase.RUNNING && !closure.startedAt) closure.startedAt = event.occurredAt;
  if (isTerminalExecution(event.phase) && closure.startedAt && event.occurredAt)
    closure.duration = durationBetween(closure.startedAt, event.occurredAt);
  applyResult(state, event);
  return 'apply';
}

function applyResult(state: ExecutionState, { phase, outputResult }: WorkflowExecutionEvent): void {
  const { closure } = state;
  switch (outputResult?.$case) {
    case 'outputUri':
      state.outputsUri = outputResult.value;
      break;
    case 'outputData':
      state.outputs = Buffer.from(LiteralMap.encode(outputResult.value).finish());
      break;
    case 'error':
      if (phase !== Phase.ABORTED) closure.outputResult = { $case: 'error', value: outputResult.value };
      // Who aborted it and why is on record since TerminateExecution; an abort from elsewhere is told by the engine.
      else if (closure.outputResult?.$case !== 'abortMetadata')
        closure.outputResult = { $case: 'abortMetadata', value: { cause: outputResult.value.message, principal: '' } };
      break;
    case undefined:
      break;
  }
}
