import type { LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { NodeExecution_Phase, TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { BindingError, composeInputs, literalsOf, releaseSources } from '../data/compose.js';
import { isCacheable, taskPolicy, templateOf } from '../data/task-settings.js';
import { fitsInline, inlineValue } from '../data/values.js';
import { nodeEvent } from '../events/node-events.js';
import { aheadWait } from '../explain/upstream.js';
import { handedOverWait } from '../explain/waits.js';
import { Kind } from '../graph/graph.js';
import { upstreamOf } from '../graph/upstream.js';
import { awaitsBackends, stopAttempt } from '../lifecycle/abort.js';
import { close, enter, open, releasePermit, workOf } from '../lifecycle/active.js';
import { backedOff } from '../lifecycle/backing-off.js';
import { advance } from '../lifecycle/finish.js';
import { lookAhead, mostUpstream } from '../lifecycle/followers.js';
import { isFull, takePermit } from '../lifecycle/parallelism.js';
import { limitNode } from '../lifecycle/prepare.js';
import { limitQueue, toNextAttempt } from '../lifecycle/retry.js';
import { isAnew, setOutputsOf } from '../lifecycle/revisions.js';
import { tellWait } from '../lifecycle/waits.js';
import { attemptRoute, meansOf } from '../routing/attempt-route.js';
import { Because } from '../state/ending.js';
import { isOver, NodeState } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { ScopeStatus, type Scope } from '../state/scope.js';
import { Step } from '../state/work-queue.js';
import { laterOf } from '../time.js';
import { handOver, heard } from './task.js';

/**
 * Launches ahead (S-5): where a backend has dependencies between its jobs, a task that only waits for the end of others is handed to it while those
 * are under way. What is said of such an attempt counts once they have succeeded. If one of them does not, the attempt ends, and the node waits again.
 */

/** Launches the node's attempt ahead of what it waits for, if that can be; else it begins when its turn comes. */
export function launchAhead(run: RunState, scope: Scope, node: number): void {
  if (!couldGoAhead(run, scope, node)) return;
  const known = scope.active.get(node);
  const work = known ?? workOf(run, scope, node);
  const jobs = jobsBefore(run, work);
  if (!jobs) return;
  if (!known) {
    const inputs = inputsOf(scope, node);
    if (!inputs) return;
    releaseSources(scope, node);
    work.inputs = inputs;
    work.queuedAt = run.now;
    open(run, scope, node, work);
  }
  enter(run, work, NodeState.Ahead);
  takePermit(run, work);
  work.launchedAhead = true;
  work.taskPhase = TaskExecution_Phase.QUEUED;
  const waiting = aheadWait(run, work);
  if (!known) nodeEvent(run, scope, node, work, NodeExecution_Phase.QUEUED, { inputs: work.inputs, waiting });
  handOver(run, work, { jobs, waiting });
}

/**
 * Of tasks alone, and of these only what takes nothing over: neither from the cache nor from another run. A permit is taken only where nobody who is
 * ready waits for one (C-70).
 */
function couldGoAhead(run: RunState, scope: Scope, node: number): boolean {
  const { template, states, blocked } = scope;
  if (scope.status !== ScopeStatus.Running || blocked[node] || isFull(run) || run.inLine > 0) return false;
  const work = scope.active.get(node);
  const isTakenBack = states[node] === NodeState.Ahead && work?.taskPhase === TaskExecution_Phase.UNDEFINED;
  if (work?.ending || !(states[node] === NodeState.Waiting || isTakenBack)) return false;
  if (template.kinds[node] !== Kind.Task || template.branchOf[node]! >= 0 || node === template.failureNode)
    return false;
  if (template.unmet[node]! > mostUpstream) return false;
  if (setOutputsOf(scope, node) || (run.start?.recoverFrom && !isAnew(scope, node))) return false;
  return !isCacheable(templateOf(scope, node)) && taskPolicy(run, scope, node).problem === undefined;
}

/** The jobs that its own has to wait for: of all upstream nodes that aren't over. Undefined where it waits for anything else, or for their outputs. */
function jobsBefore(run: RunState, work: NodeWork): string[] | undefined {
  const { scope, node } = work;
  const { template, states, unmet } = scope;
  const backend = nativeBackend(run, work);
  if (backend === undefined) return undefined;
  const { firstSource, sources } = template;
  const read = new Set(sources.subarray(firstSource[node], firstSource[node + 1]));
  const jobs: string[] = [];
  for (const upstream of upstreamOf(template, node)) {
    if (isOver(states[upstream]!)) continue;
    const before = scope.active.get(upstream);
    if (!before || before.job === '' || before.ending || !isUnderWay(before) || read.has(upstream)) return undefined;
    if (nativeBackend(run, before) !== backend) return undefined;
    jobs.push(before.job);
  }
  // It may wait for outputs that are being recalled, too.
  return jobs.length > 0 && jobs.length === unmet[node] ? jobs : undefined;
}

function isUnderWay({ state }: NodeWork): boolean {
  return state === NodeState.Launched || state === NodeState.Running || state === NodeState.Ahead;
}

/** Where the node's attempt goes, if jobs depend on each other there. A backend is one place for all of them. */
function nativeBackend(run: RunState, work: NodeWork): string | undefined {
  const route = attemptRoute(run, work, meansOf(run, work))?.route;
  return route?.nativeDependencies ? route.backend : undefined;
}

/** Undefined where they have to be stored first: then it is not worth the while. */
function inputsOf(scope: Scope, node: number): LiteralsValue | undefined {
  try {
    const literals = literalsOf(composeInputs(scope, node));
    return literals && fitsInline(literals) ? inlineValue(literals) : undefined;
  } catch (error) {
    if (error instanceof BindingError) return undefined;
    throw error;
  }
}

/** All upstream nodes are over: what its backend has said of the attempt counts from now on. */
export function upstreamOver(run: RunState, work: NodeWork): void {
  const { scope, node } = work;
  // It comes back when its attempt is over.
  if (work.ending) return;
  const isLaunched = work.taskPhase !== TaskExecution_Phase.UNDEFINED;
  if (scope.blocked[node]) {
    if (isLaunched) return endAhead(run, work, 'what it was to run after did not succeed');
    enter(run, work, NodeState.Skipped);
    nodeEvent(run, scope, node, work, NodeExecution_Phase.SKIPPED);
    close(run, work);
    return advance(run, scope, node);
  }
  limitNode(run, work);
  if (!isLaunched) return backedOff(run, work);
  const { held } = work;
  work.held = undefined;
  enter(run, work, NodeState.Launched);
  limitQueue(run, work);
  // There may be permits now for what waits for this one.
  lookAhead(run, work);
  // No event says that it began before it might.
  if (held) heard(run, work, { ...held, occurredAt: laterOf(held.occurredAt ?? run.now, run.now) });
  else tellWait(run, work, handedOverWait(work));
}

/** An attempt of the node came to nothing: what was launched ahead of it ends. What was launched ahead of that has a step of its own. */
export function takeBack(run: RunState, scope: Scope, node: number): void {
  const { firstDown, down } = scope.template;
  for (let at = firstDown[node]!; at < firstDown[node + 1]!; at++) {
    const work = scope.active.get(down[at]!);
    if (work?.state !== NodeState.Ahead || work.taskPhase === TaskExecution_Phase.UNDEFINED || work.ending) continue;
    endAhead(run, work, `an attempt of node ${scope.uniqueId(node)}, which it was to run after, did not succeed`);
  }
}

function endAhead(run: RunState, work: NodeWork, reason: string): void {
  if (!awaitsBackends(run, work, { because: Because.Upstream, reason })) takenBack(run, work, reason);
}

/** Its attempt is over. It counts against no budget: the next one begins with another of what it waits for, or after that. */
export function takenBack(run: RunState, work: NodeWork, reason: string): void {
  const { scope, node } = work;
  stopAttempt(run, work, reason);
  toNextAttempt(run, work);
  work.replaced++;
  releasePermit(run, work);
  if (scope.unmet[node]! > 0) tellWait(run, work, aheadWait(run, work));
  run.work.push(scope.unmet[node]! > 0 ? Step.Ahead : Step.Ready, scope, node);
}
