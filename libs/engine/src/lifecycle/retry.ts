import { ExecutionError_ErrorKind, TaskExecution_Phase, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import { backoffMillis, mayRetry, ranOutOfMemory } from '../data/backoff.js';
import { cut, systemError, userError } from '../data/failures.js';
import {
  activeTimeout,
  executionTimeout,
  queueTimeout,
  retryPolicyOf,
  systemFailureBudget,
  userAttempts,
} from '../data/task-settings.js';
import { Because } from '../state/ending.js';
import type { NodeWork } from '../state/node-work.js';
import { TimerPurpose, type RunState } from '../state/run-state.js';
import { Step } from '../state/work-queue.js';
import { addDuration, describeDuration } from '../time.js';
import { awaitsBackends, stopAttempt } from './abort.js';
import { backOff } from './backing-off.js';
import { fail } from './finish.js';
import { attemptLost } from './followers.js';
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
  allowed: { user: number; system: number; merged: boolean },
): Budget {
  // C-31
  if (allowed.merged) return { spent: attempts, allowed: allowed.user };
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

/** The budgets of a node, or of each item of an array (C-142). */
export function budgetsOf(run: RunState, { scope, node }: NodeWork): { user: number; system: number; merged: boolean } {
  return {
    user: userAttempts(run, scope, node),
    system: systemFailureBudget(run),
    merged: run.settings.ignoreRetryCause,
  };
}

/**
 * An attempt failed: the next one starts if the policy and its budget allow (C-30…C-33), after a wait if the policy says so (C-36);
 * else the node fails.
 */
export function attemptFailed(run: RunState, work: NodeWork, error: ExecutionError, retryable: boolean): void {
  const policy = retryPolicyOf(run, work.scope, work.node);
  attemptLost(run, work);
  if (error.kind === ExecutionError_ErrorKind.SYSTEM) work.systemFailures++;
  if (ranOutOfMemory(error)) work.outOfMemory++;
  if (!mayRetry(policy, error, retryable)) return fail(run, work, error);
  const budget = budgetOf(error.kind, work.attempt + 1 - work.replaced, work.systemFailures, budgetsOf(run, work));
  if (budget.spent >= budget.allowed) return fail(run, work, exhausted(error, budget));
  toNextAttempt(run, work);
  const wait = backoffMillis(policy, work.attempt, `${work.id}/${run.start?.uid}`);
  if (wait > 0) backOff(run, work, wait, error);
  else run.work.push(Step.Attempt, work.scope, work.node);
}

/** Forgets what was the last attempt's alone. */
export function toNextAttempt(run: RunState, work: NodeWork): void {
  cancelTimer(run, work.executionTimer);
  cancelTimer(run, work.waitTimer);
  work.executionTimer = work.waitTimer = 0;
  work.attempt++;
  work.taskPhase = TaskExecution_Phase.UNDEFINED;
  work.phaseVersion = 0;
  work.job = '';
  work.launchedAhead = false;
  work.held = undefined;
  work.deckUri = '';
  work.graphUri = '';
  work.child = undefined;
}

/** Starts the clock of the attempt's time limit, if it has one (C-50). */
export function limitAttempt(run: RunState, work: NodeWork): void {
  const limit = executionTimeout(run, work.scope, work.node);
  if (limit && work.executionTimer === 0) {
    work.executionTimer = setTimer(run, TimerPurpose.Execution, work, addDuration(run.now, limit));
  }
}

/** C-50: the attempt took too long; another may follow. */
export function attemptTimedOut(run: RunState, work: NodeWork): void {
  work.executionTimer = 0;
  const limit = executionTimeout(run, work.scope, work.node);
  const message = `attempt ${work.attempt} ran longer than its limit of ${limit ? describeDuration(limit) : '?'}`;
  const error = userError(run, 'TimeoutExpired', message);
  if (awaitsBackends(run, work, { because: Because.Execution, reason: message })) return;
  stopAttempt(run, work, message, error);
  attemptFailed(run, work, error, true);
}

/** Starts the clock of the attempt's wait for its backend, if that has a limit (C-52). */
export function limitQueue(run: RunState, work: NodeWork): void {
  const limit = queueTimeout(run, work.scope, work.node);
  if (limit) work.waitTimer = setTimer(run, TimerPurpose.Queue, work, addDuration(run.now, limit));
}

/** The backend runs the attempt. */
export function leftQueue(run: RunState, work: NodeWork): void {
  cancelTimer(run, work.waitTimer);
  work.waitTimer = 0;
}

/** C-52 Ours: nobody ran the attempt in time. That is the system's fault: another try may find room, if need be on demand (C-41). */
export function queueTimedOut(run: RunState, work: NodeWork): void {
  work.waitTimer = 0;
  const message = queueMessage(run, work, `attempt ${work.attempt}`);
  const error = systemError(run, 'QueueTimeoutExpired', message);
  if (awaitsBackends(run, work, { because: Because.Queue, reason: message })) return;
  stopAttempt(run, work, message, error);
  attemptFailed(run, work, error, true);
}

export function queueMessage(run: RunState, work: NodeWork, what: string): string {
  const limit = queueTimeout(run, work.scope, work.node);
  return `${what} waited longer for its backend to run it than its limit of ${limit ? describeDuration(limit) : '?'}`;
}

/** C-51: all attempts together took too long; no other follows. */
export function nodeTimedOut(run: RunState, work: NodeWork): void {
  work.activeTimer = 0;
  const limit = activeTimeout(run, work.scope, work.node);
  const what = behaves(run, Behaviour.OwnActiveTimeout)
    ? `its limit of ${limit ? describeDuration(limit) : '?'}`
    : 'twice its time limit';
  const message = `the node was active longer than ${what}, over ${work.attempt + 1} attempts`;
  const error = userError(run, 'TimeoutExpired', message);
  if (awaitsBackends(run, work, { because: Because.Active, reason: message })) return;
  stopAttempt(run, work, message, error);
  fail(run, work, error, true);
}
