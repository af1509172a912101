import { ExecutionError_ErrorKind, TaskExecution_Phase, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import { cut, userError } from '../data/failures.js';
import { executionTimeout, systemFailureBudget, userAttempts } from '../data/task-settings.js';
import type { NodeWork } from '../state/node-work.js';
import { TimerPurpose, type RunState } from '../state/run-state.js';
import { Step } from '../state/work-queue.js';
import { addDuration, describeDuration } from '../time.js';
import { stopAttempt } from './abort.js';
import { fail } from './finish.js';
import { cancelTimer, setTimer } from './timers.js';

/** How much of which budget a failure used up (C-30). */
export interface Budget {
  spent: number;
  allowed: number;
}

/** C-30: the failure's kind chooses the budget; what the system lost doesn't count against the user's attempts. */
export function budgetOf(
  kind: ExecutionError_ErrorKind,
  attempts: number,
  systemFailures: number,
  allowed: { user: number; system: number },
): Budget {
  return kind === ExecutionError_ErrorKind.SYSTEM
    ? { spent: systemFailures, allowed: allowed.system }
    : { spent: attempts - systemFailures, allowed: allowed.user };
}

/** C-32. */
export function exhausted(error: ExecutionError, budget: Budget): ExecutionError {
  const kind = error.kind === ExecutionError_ErrorKind.SYSTEM ? 'SYSTEM' : 'USER';
  return {
    ...error,
    code: `RetriesExhausted|${error.code}`,
    message: cut(`attempt ${budget.spent} of ${budget.allowed} failed; last error: ${kind}: ${error.message}`),
  };
}

/** An attempt failed: the next one starts if its budget allows (C-30…C-33), else the node fails. */
export function attemptFailed(run: RunState, work: NodeWork, error: ExecutionError, retryable: boolean): void {
  if (error.kind === ExecutionError_ErrorKind.SYSTEM) work.systemFailures++;
  if (!retryable) return fail(run, work, error);
  const budget = budgetOf(error.kind, work.attempt + 1, work.systemFailures, {
    user: userAttempts(run, work.scope, work.node),
    system: systemFailureBudget(run),
  });
  if (budget.spent >= budget.allowed) return fail(run, work, exhausted(error, budget));
  cancelTimer(run, work.executionTimer);
  cancelTimer(run, work.waitTimer);
  work.executionTimer = work.waitTimer = 0;
  work.attempt++;
  work.taskPhase = TaskExecution_Phase.UNDEFINED;
  work.phaseVersion = 0;
  work.deckUri = '';
  work.graphUri = '';
  work.child = undefined;
  run.work.push(Step.Attempt, work.scope, work.node);
}

/** Starts the clock of the attempt's time limit, if it has one (C-50). */
export function limitAttempt(run: RunState, work: NodeWork): void {
  const limit = executionTimeout(work.scope, work.node);
  if (limit && work.executionTimer === 0) {
    work.executionTimer = setTimer(run, TimerPurpose.Execution, work, addDuration(run.now, limit));
  }
}

/** C-50: the attempt took too long; another may follow. */
export function attemptTimedOut(run: RunState, work: NodeWork): void {
  work.executionTimer = 0;
  const limit = executionTimeout(work.scope, work.node);
  const message = `attempt ${work.attempt} ran longer than its limit of ${limit ? describeDuration(limit) : '?'}`;
  stopAttempt(run, work, message);
  attemptFailed(run, work, userError(run, 'TimeoutExpired', message), true);
}

/** C-51: all attempts together took too long; no other follows. */
export function nodeTimedOut(run: RunState, work: NodeWork): void {
  work.activeTimer = 0;
  const message = `the node was active longer than twice its time limit, over ${work.attempt + 1} attempts`;
  stopAttempt(run, work, message);
  fail(run, work, userError(run, 'TimeoutExpired', message), true);
}
