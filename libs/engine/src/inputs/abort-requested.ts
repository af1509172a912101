import type { AbortExecution } from '@aloft/idl/aloft/v1/bus';
import { WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import { abortError, causeOf } from '../data/failures.js';
import { abortScope, endScope } from '../lifecycle/abort.js';
import { endRun } from '../lifecycle/settle.js';
import type { RunState } from '../state/run-state.js';
import { ScopeStatus } from '../state/scope.js';

/**
 * Aborts all in flight; the run is over when nothing of it runs any more. Child executions whose creation isn't answered yet are stopped
 * when it is: the run isn't `finished` before. A run that is over, or comes to its end by its time limit, stays what it is.
 */
export function abortRequested(run: RunState, command: AbortExecution): boolean {
  if (!run.start || run.isOver || run.root.status === ScopeStatus.Ending) return false;
  const cause = causeOf(command);
  if (behaves(run, Behaviour.AbortsHearBackends)) {
    run.aborting = command;
    endScope(run, run.root, cause);
    return true;
  }
  abortScope(run, run.root, cause);
  run.root.status = ScopeStatus.Over;
  endRun(run, WorkflowExecution_Phase.ABORTED, undefined, abortError(run, command));
  return true;
}
