import type { LiteralsValue, TaskReport, WaitReason } from '@aloft/idl/aloft/v1/bus';
import { NodeExecution_Phase, TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { Behaviour, behaves } from '../behaviours.js';
import { attemptOf, generationOf } from '../data/attempts.js';
import { cut, systemError, userError } from '../data/failures.js';
import { isNews, rankOf } from '../data/phases.js';
import { podOverrides } from '../data/pod-overrides.js';
import { executionTimeout, isCacheable, taskPolicy, templateOf, workflowId } from '../data/task-settings.js';
import { emptyValue } from '../data/values.js';
import { nodeEvent } from '../events/node-events.js';
import { taskEvent } from '../events/task-events.js';
import { enter } from '../lifecycle/active.js';
import { fail } from '../lifecycle/finish.js';
import { attemptLost, jobKnown } from '../lifecycle/followers.js';
import { request } from '../lifecycle/requests.js';
import { attemptFailed, leftQueue, limitAttempt, limitQueue, toNextAttempt } from '../lifecycle/retry.js';
import { attemptPrefix, deckFile } from '../names.js';
import { attemptRoute, meansOf } from '../routing/attempt-route.js';
import { NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import { Purpose, type RunState } from '../state/run-state.js';
import { Step } from '../state/work-queue.js';
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
  enter(run, work, NodeState.Launched);
  handOver(run, work);
}

/** `ahead`: jobs that the attempt depends on, and what to tell of that. */
export function handOver(run: RunState, work: NodeWork, ahead?: { jobs: string[]; waiting: WaitReason }): void {
  const { scope, node } = work;
  const dataPrefix = work.dataPrefix(run.id);
  const means = meansOf(run, work);
  const { interruptible } = means;
  const routed = attemptRoute(run, work, means);
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
    overrides: podOverrides(run, scope, node),
    ...(ahead ? { dependsOn: ahead.jobs } : {}),
  });
  if (!ahead) limitQueue(run, work);
  const waiting = ahead?.waiting;
  taskEvent(run, work, P.QUEUED, { inputs: work.inputs, interruptible, route: routed?.route, waiting });
}

/** What the backend says of the current attempt; reports of other attempts change nothing. */
export function taskReported(run: RunState, work: NodeWork, report: TaskReport): boolean {
  const { attempt } = report;
  const { state, held } = work;
  if (state !== NodeState.Launched && state !== NodeState.Running && state !== NodeState.Ahead) return false;
  if (attempt?.retryAttempt !== work.attempt || attempt.generation !== generationOf(work.attempt)) return false;
  const known = held ?? { phase: work.taskPhase, phaseVersion: work.phaseVersion };
  if (!isNews({ phase: known.phase, version: known.phaseVersion }, report)) return false;
  jobKnown(run, work, report.job);
  if (state === NodeState.Ahead) work.held = report;
  else heard(run, work, report);
  return true;
}

/** What is said of the attempt counts. */
export function heard(run: RunState, work: NodeWork, report: TaskReport): void {
  work.taskPhase = report.phase;
  work.phaseVersion = report.phaseVersion;
  if (rankOf(report.phase) < 3) progressed(run, work, report);
  else if (report.upstreamFailed && work.launchedAhead) neverBegan(run, work, report);
  else ended(run, work, report);
}

/** Upstream nodes succeeded otherwise than by the jobs that it depended on. That is nobody's failure. */
function neverBegan(run: RunState, work: NodeWork, report: TaskReport): void {
  taskEvent(run, work, P.ABORTED, { report });
  attemptLost(run, work);
  toNextAttempt(run, work);
  work.replaced++;
  run.work.push(Step.Attempt, work.scope, work.node);
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
  // Its job was not all of it.
  attemptLost(run, work);
  work.futuresUri = futuresUri;
  enter(run, work, NodeState.ResolvingGraph);
  request(run, work, Purpose.ResolveGraph);
}
