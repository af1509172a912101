import type { AbortExecution, TaskReport } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import { attemptOf } from '../data/attempts.js';
import { userError } from '../data/failures.js';
import { templateOf } from '../data/task-settings.js';
import { Kind } from '../graph/graph.js';
import { abortScope } from '../lifecycle/abort.js';
import { endRun } from '../lifecycle/settle.js';
import { cancelTimer, setTimer } from '../lifecycle/timers.js';
import { NodeState } from '../state/node-state.js';
import { type Aborting, TimerPurpose, type RunState } from '../state/run-state.js';
import { ScopeStatus } from '../state/scope.js';
import { addDuration } from '../time.js';

/** How long a backend has to say what became of an attempt that it was told to end: nobody waits for one that is gone. */
const patience = { seconds: 30n, nanos: 0 };

/**
 * Aborts all in flight and ends the run. Child executions whose creation isn't answered yet are stopped when it is: the run
 * isn't `finished` before. A run that is over stays what it is.
 */
export function abortRequested(run: RunState, command: AbortExecution): boolean {
  if (!run.start || run.isOver || run.aborting) return false;
  if (!behaves(run, Behaviour.AbortsHearBackends)) {
    abort(run, command);
    return true;
  }
  run.aborting = { command, heard: new Map(), unheard: 0 };
  tellBackends(run, run.aborting);
  goOnAborting(run);
  return true;
}

/**
 * A launch may be on its way to its backend when its run is aborted, and its attempt begin after that was told. So what was launched
 * is ended first, and the abort waits until its backend has said that it is over. Called after every input while that lasts: what
 * is launched meanwhile is ended likewise.
 */
export function goOnAborting(run: RunState): void {
  const { aborting } = run;
  if (!aborting) return;
  if (run.isOver) {
    // It came to its end by itself.
    run.aborting = undefined;
    return;
  }
  if (run.effects.some(({ kind }) => kind === 'launch')) tellBackends(run, aborting);
  if (aborting.unheard === 0) finishAborting(run);
}

function tellBackends(run: RunState, aborting: Aborting): void {
  for (const scope of run.scopes.values())
    for (const work of scope.active.values()) {
      if (scope.template.kinds[work.node] !== Kind.Task) continue;
      // One that is said to run may not have come to it yet.
      if (work.state !== NodeState.Launched && work.state !== NodeState.Running) continue;
      const key = `${work.id}/${work.attempt}`;
      if (aborting.heard.has(key)) continue;
      aborting.heard.set(key, false);
      if (aborting.unheard++ === 0) setTimer(run, TimerPurpose.Abort, undefined, addDuration(run.now, patience));
      const taskType = templateOf(scope, work.node).type;
      run.effects.push({ kind: 'abort', attempt: attemptOf(run, work), taskType, reason: causeOf(aborting.command) });
    }
}

/**
 * While a run is being aborted, reports of attempts that are to end count as answers only. Returns whether it is one that was waited
 * for; undefined if the report is of another attempt.
 */
export function answersAbort(run: RunState, { attempt, phase }: TaskReport): boolean | undefined {
  const { aborting } = run;
  if (!aborting || attempt?.index !== undefined || attempt?.executionUid !== run.start?.uid) return undefined;
  const key = `${attempt?.nodeId}/${attempt?.retryAttempt}`;
  const heard = aborting.heard.get(key);
  if (heard !== false) return heard === undefined ? undefined : false;
  if (!answers.has(phase)) return false;
  aborting.heard.set(key, true);
  aborting.unheard--;
  return true;
}

const answers: ReadonlySet<Phase> = new Set([Phase.SUCCEEDED, Phase.FAILED, Phase.RETRYABLE_FAILED, Phase.ABORTED]);

/** All have answered, or their time is over. */
export function finishAborting(run: RunState): void {
  const { aborting } = run;
  if (!aborting) return;
  for (const { id, purpose } of [...run.timers.values()]) if (purpose === TimerPurpose.Abort) cancelTimer(run, id);
  abort(run, aborting.command);
  run.aborting = undefined;
}

function abort(run: RunState, command: AbortExecution): void {
  const cause = causeOf(command);
  abortScope(run, run.root, cause);
  run.root.status = ScopeStatus.Over;
  const by = command.principal === '' ? '' : ` by ${command.principal}`;
  const error = userError(run, 'Aborted', `the execution was aborted${by}: ${cause}`);
  endRun(run, WorkflowExecution_Phase.ABORTED, undefined, error);
}

const causeOf = ({ cause }: AbortExecution): string => cause || 'no cause was given';
