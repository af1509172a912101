import type { AbortExecution } from '@aloft/idl/aloft/v1/bus';
import { WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { userError } from '../data/failures.js';
import { abortScope } from '../lifecycle/abort.js';
import { endRun } from '../lifecycle/settle.js';
import type { RunState } from '../state/run-state.js';
import { ScopeStatus } from '../state/scope.js';

/**
 * Aborts all in flight and ends the run. Child executions whose creation isn't answered yet are stopped when it is: the run
 * isn't `finished` before. A run that is over stays what it is.
 */
export function abortRequested(run: RunState, command: AbortExecution): boolean {
  if (!run.start || run.isOver) return false;
  const cause = command.cause || 'no cause was given';
  abortScope(run, run.root, cause);
  run.root.status = ScopeStatus.Over;
  const by = command.principal === '' ? '' : ` by ${command.principal}`;
  const error = userError(run, 'Aborted', `the execution was aborted${by}: ${cause}`);
  endRun(run, WorkflowExecution_Phase.ABORTED, undefined, error);
  return true;
}
