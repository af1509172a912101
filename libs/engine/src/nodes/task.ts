import type { LiteralsValue, TaskReport } from '@aloft/idl/aloft/v1/bus';
import { NodeExecution_Phase, TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import { attemptOf, generationOf } from '../data/attempts.js';
import { cut, systemError, userError } from '../data/failures.js';
import { executionTimeout, isCacheable, taskPolicy, templateOf, workflowId } from '../data/task-settings.js';
import { emptyValue } from '../data/values.js';
import { nodeEvent } from '../events/node-events.js';
import { taskEvent } from '../events/task-events.js';
import { enter } from '../lifecycle/active.js';
import { fail } from '../lifecycle/finish.js';
import { request } from '../lifecycle/requests.js';
import { attemptFailed, leftQueue, limitAttempt, limitQueue } from '../lifecycle/retry.js';
import { attemptPrefix, deckFile } from '../names.js';
import { attemptRoute, meansOf } from '../routing/attempt-route.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, type RunState } from '../state/run-state.js';
import { lookUpCache } from './cache.js';
import { graphResolved } from './dynamic.js';
import type { NodeKind } from './kind.js';
import { finishTask } from './task-finish.js';
import { completeOutputs } from './task-outputs.js';

const P = TaskExecution_Phase;

export const taskNode: NodeKind = {
  start(run, work) {
    const { problem } = taskPolicy(run, work.scope, work.node);
    if (problem !== undefined) return fail(run, work, userError(run, 'BadTaskSpecification', problem));
    const generatedBefore = work.attempt === 0 ? work.recovered?.graph : undefined;
    if (generatedBefore) graphResolved(run, work, generatedBefore);
    else if (!work.lookedUp && isCacheable(templateOf(work.scope, work.node))) lookUpCache(run, work);
    else launch(run, work);
  },
};

/** Hands the attempt to its backend. */
export function launch(run: RunState, work: NodeWork): void {
  const { scope, node } = work;
  const dataPrefix = work.dataPrefix(run.id);
  const means = meansOf(run, work);
  const { interruptible } = means;
  const routed = attemptRoute(run, work, means);
  enter(run, work, NodeState.Launched);
  work.taskPhase = P.QUEUED;
  run.effects.push({
    kind: 'launch',
    attempt: attemptOf(run, work),
    template: templateOf(scope, node),
    settings: run.settings,
    inputs: work.inputs ?? emptyValue,
    workflow: workflowId(scope),
    dataPrefix,
    outputPrefix: attemptPrefix(dataPrefix, work.attempt),
    prevCheckpointPrefix: work.checkpointUri,
    executionTimeout: executionTimeout(run, scope, node),
    ...means,
    routed,
  });
  limitQueue(run, work);
  taskEvent(run, work, P.QUEUED, { inputs: work.inputs, interruptible, route: routed?.route });
}

/** Phases in which an attempt hasn't begun, in which it runs, and in which it is over. */
export function rankOf(phase: TaskExecution_Phase): number {
  switch (phase) {
    case P.UNDEFINED:
    case P.UNRECOGNIZED:
      return 0;
    case P.QUEUED:
    case P.WAITING_FOR_RESOURCES:
    case P.INITIALIZING:
      return 1;
    case P.RUNNING:
      return 2;
    default:
      return 3;
  }
}

/** Whether a report says something new: hosts repeat the last one until it is known to be committed. */
export function isNews(known: { phase: TaskExecution_Phase; version: number }, report: TaskReport): boolean {
  const rank = rankOf(report.phase);
  if (rank === 0) return false;
  if (rank !== rankOf(known.phase)) return rank > rankOf(known.phase);
  return report.phase !== known.phase || report.phaseVersion > known.version;
}

/** What the backend says of the current attempt; reports of other attempts change nothing. */
export function taskReported(run: RunState, work: NodeWork, report: TaskReport): boolean {
  const attempt = report.attempt;
  if (work.state !== NodeState.Launched && work.state !== NodeState.Running) return false;
  if (attempt?.retryAttempt !== work.attempt || attempt.generation !== generationOf(work.attempt)) return false;
  if (!isNews({ phase: work.taskPhase, version: work.phaseVersion }, report)) return false;
  work.taskPhase = report.phase;
  work.phaseVersion = report.phaseVersion;
  if (rankOf(report.phase) < 3) progressed(run, work, report);
  else ended(run, work, report);
  return true;
}

function progressed(run: RunState, work: NodeWork, report: TaskReport): void {
  if (report.phase === P.RUNNING && work.state === NodeState.Launched) {
    enter(run, work, NodeState.Running);
    leftQueue(run, work);
    limitAttempt(run, work);
    if (!work.announced) {
      work.announced = true;
      announceDeck(run, work);
      const occurredAt = report.occurredAt;
      nodeEvent(run, work.scope, work.node, work, NodeExecution_Phase.RUNNING, { occurredAt });
    }
  }
  taskEvent(run, work, report.phase, { report });
}

/** C-110: where the deck will be, if the task makes one; whether it is there is known at the end. */
function announceDeck(run: RunState, work: NodeWork): void {
  if (!behaves(run, Behaviour.TellsMore) || !templateOf(work.scope, work.node).metadata?.generatesDeck) return;
  work.deckUri = deckFile(attemptPrefix(work.dataPrefix(run.id), work.attempt));
}

function ended(run: RunState, work: NodeWork, report: TaskReport): void {
  const outcome = report.outcome;
  if (outcome && outcome.checkpointUri !== '') work.checkpointUri = outcome.checkpointUri;
  if (report.phase === P.SUCCEEDED || behaves(run, Behaviour.TellsMore)) work.deckUri = outcome?.deckUri ?? '';
  if (report.phase === P.SUCCEEDED) {
    if (outcome?.result?.$case === 'futures') return generated(run, work, report, outcome.result.value.uri);
    if (outcome?.result?.$case !== 'error') {
      const result = outcome?.result?.$case === 'outputs' ? outcome.result.value : undefined;
      return produced(run, work, report, result);
    }
  }
  if (report.phase === P.ABORTED) {
    // Nobody here asked for it: somebody stopped the job at its backend, and means it.
    const error = userError(run, 'Aborted', report.reason || 'the attempt was aborted at its backend');
    taskEvent(run, work, P.ABORTED, { report, error });
    return attemptFailed(run, work, error, false);
  }
  const given = outcome?.result?.$case === 'error' ? outcome.result.value : undefined;
  const error = given
    ? { ...given, message: cut(given.message) }
    : systemError(run, 'UnknownFailure', report.reason || 'the backend reported a failure without an error');
  taskEvent(run, work, P.FAILED, { report, error });
  attemptFailed(run, work, error, report.phase === P.RETRYABLE_FAILED);
}

function produced(run: RunState, work: NodeWork, report: TaskReport, result: LiteralsValue | undefined): void {
  const outputs = completeOutputs(templateOf(work.scope, work.node), result);
  if ('missing' in outputs) {
    // C-108
    const names = outputs.missing.join(', ');
    const error = userError(run, 'OutputsNotFound', `the task succeeded without its output ${names}`);
    taskEvent(run, work, P.FAILED, { report, error });
    return attemptFailed(run, work, error, true);
  }
  taskEvent(run, work, P.SUCCEEDED, { report, outputs: outputs.value });
  finishTask(run, work, outputs.value, report.occurredAt);
}

/** C-150: the task generated a workflow, which runs under this node. */
function generated(run: RunState, work: NodeWork, report: TaskReport, futuresUri: string): void {
  taskEvent(run, work, P.SUCCEEDED, { report });
  work.futuresUri = futuresUri;
  enter(run, work, NodeState.ResolvingGraph);
  request(run, work, Purpose.ResolveGraph);
}
