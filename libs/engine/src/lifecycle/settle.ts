import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { type ExecutionError, NodeExecution_Phase, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { abortError, scopeError, timeoutError } from '../data/failures.js';
import { nodeEvent } from '../events/node-events.js';
import { workflowEvent } from '../events/workflow-events.js';
import { END, Kind } from '../graph/graph.js';
import { finishTask } from '../nodes/task-finish.js';
import type { RunState } from '../state/run-state.js';
import { ScopeStatus, type Scope } from '../state/scope.js';
import { open } from './active.js';
import { scopeEnded } from './ending.js';
import { fail, succeed } from './finish.js';
import { begin } from './prepare.js';
import { cancelTimer } from './timers.js';

/** Brings a scope to its end if nothing in it runs any more: its outputs go up, or its failure does (C-60…C-62). */
export function settle(run: RunState, scope: Scope): void {
  if (scope.status === ScopeStatus.Over || scope.active.size > 0) return;
  if (scope.status === ScopeStatus.Ending) return scope.parent ? scopeEnded(run, scope.parent) : stopped(run);
  // Nodes of it are to begin anew.
  if (run.held.some((control) => control.scope === scope)) return;
  if (scope.failures.length === 0) return finishScope(run, scope);
  const { failureNode } = scope.template;
  if (failureNode < 0 || scope.status === ScopeStatus.HandlingFailure) return finishScope(run, scope);
  scope.status = ScopeStatus.HandlingFailure;
  if (scope.parent) {
    const { parent } = scope;
    nodeEvent(run, parent.scope, parent.node, parent, NodeExecution_Phase.FAILING, { error: scopeError(scope) });
  } else {
    workflowEvent(run, WorkflowExecution_Phase.FAILING, { error: scopeError(scope) });
  }
  begin(run, open(run, scope, failureNode));
}

function finishScope(run: RunState, scope: Scope): void {
  scope.status = ScopeStatus.Over;
  const outputs = scope.outputs.get(END);
  const error = scope.failures.length > 0 ? scopeError(scope) : undefined;
  const { parent } = scope;
  if (!parent) {
    const phase = error ? WorkflowExecution_Phase.FAILED : WorkflowExecution_Phase.SUCCEEDED;
    return endRun(run, phase, error ? undefined : outputs, error);
  }
  run.scopes.delete(scope.id);
  parent.childScope = -1;
  // C-152: a failing child isn't a reason to try the parent again.
  if (error) fail(run, parent, error);
  else if (parent.scope.template.kinds[parent.node] === Kind.Task) finishTask(run, parent, outputs);
  else succeed(run, parent, outputs);
}

/** Nothing runs any more of a run that was told to end (C-54, C-60). */
function stopped(run: RunState): void {
  const { aborting } = run;
  run.root.status = ScopeStatus.Over;
  if (!aborting) return endRun(run, WorkflowExecution_Phase.TIMED_OUT, undefined, timeoutError(run));
  run.aborting = undefined;
  endRun(run, WorkflowExecution_Phase.ABORTED, undefined, abortError(run, aborting));
}

/** The run's end: its last event, and the word to whoever waits for it. */
export function endRun(
  run: RunState,
  phase: WorkflowExecution_Phase,
  outputs: LiteralsValue | undefined,
  error: ExecutionError | undefined,
): void {
  for (const timer of [...run.timers.keys()]) cancelTimer(run, timer);
  run.parked.clear();
  run.inLine = 0;
  run.outputs = outputs;
  run.error = error;
  workflowEvent(run, phase, { outputs, error });
  run.effects.push({ kind: 'ended', phase, outputs, error });
}
