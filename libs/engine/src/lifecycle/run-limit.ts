import { WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import { timeoutError } from '../data/failures.js';
import { ScopeStatus } from '../state/scope.js';
import { TimerPurpose, type RunState } from '../state/run-state.js';
import { addDuration, isPositive } from '../time.js';
import { abortScope, endScope } from './abort.js';
import { endRun } from './settle.js';
import { setTimer } from './timers.js';

/** C-54: starts the clock of the whole run, if it has a limit. */
export function limitRun(run: RunState): void {
  const { timeout } = run.settings;
  if (isPositive(timeout)) setTimer(run, TimerPurpose.Run, undefined, addDuration(run.now, timeout));
}

/** C-54 Ours: everything is aborted and the run ends TIMED_OUT. Its failure node isn't run: there is no time left for it. */
export function runTimedOut(run: RunState): void {
  if (run.root.status === ScopeStatus.Ending) return;
  const error = timeoutError(run);
  if (behaves(run, Behaviour.AbortsHearBackends)) return endScope(run, run.root, error.message);
  abortScope(run, run.root, error.message);
  run.root.status = ScopeStatus.Over;
  endRun(run, WorkflowExecution_Phase.TIMED_OUT, undefined, error);
}
