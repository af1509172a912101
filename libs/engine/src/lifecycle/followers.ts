import { Behaviour, behaves } from '../behaviours.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';
import { Step } from '../state/work-queue.js';

/**
 * Most upstream nodes of one whose attempt is launched ahead. AWS Batch takes as many dependencies of a job; and to find out whether a node may be
 * launched so costs their number, each time that one of them gets on.
 */
export const mostUpstream = 20;

/** Longest name of a job that is kept. */
const longestName = 256;

/** Whether attempts of this run may be launched ahead of what they wait for (S-5). */
export function launchesAhead(run: RunState): boolean {
  return behaves(run, Behaviour.LaunchesAhead) && (run.settings.routing?.nativeDependencies.length ?? 0) > 0;
}

/** The backend has said what it calls the attempt's job: what waits for the node may be launched ahead of it. */
export function jobKnown(run: RunState, work: NodeWork, job: string): void {
  if (job === '' || job === work.job || job.length > longestName || !launchesAhead(run)) return;
  work.job = job;
  lookAhead(run, work);
}

/** Has everything looked at that hangs on the node. */
export function lookAhead(run: RunState, { scope, node, job }: NodeWork): void {
  if (job === '') return;
  const { firstDown, down } = scope.template;
  for (let at = firstDown[node]!; at < firstDown[node + 1]!; at++) lookAtNode(run, scope, down[at]!);
}

/** Has one node looked at, where that can come to anything. */
export function lookAtNode(run: RunState, scope: Scope, node: number): void {
  if (scope.unmet[node]! > 0 && scope.template.unmet[node]! <= mostUpstream) run.work.push(Step.Ahead, scope, node);
}

/** The node's attempt will not be its success: whatever was launched ahead of it is taken back, before anything else happens. */
export function attemptLost(run: RunState, { scope, node, job }: NodeWork): void {
  if (job !== '') run.work.push(Step.TakeBack, scope, node);
}
