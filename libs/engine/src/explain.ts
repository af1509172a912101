import type { NodeExplanation } from './api.js';
import { NodeState, isOver, isSatisfied, nameOf } from './state/node-state.js';
import type { NodeWork } from './state/node-work.js';
import type { RunState } from './state/run-state.js';
import type { Scope } from './state/scope.js';

/** How many unmet dependencies are named. */
const maxNamed = 5;

/** Why a node isn't running, from state (U-12). `nodeId` is the unique id; undefined if the run has no such node. */
export function explain(run: RunState, nodeId: string): NodeExplanation | undefined {
  const work = run.find(nodeId);
  if (work) return { state: nameOf(work.state), waitingFor: reasonOf(run, work), since: work.since };
  for (const scope of run.scopes.values()) {
    for (let node = 0; node < scope.template.count; node++) {
      if (scope.uniqueId(node) !== nodeId) continue;
      const state = scope.states[node]!;
      const waitingFor = isOver(state) ? '' : upstreamOf(scope, node);
      return { state: nameOf(state), waitingFor, since: undefined };
    }
  }
  return undefined;
}

function upstreamOf(scope: Scope, node: number): string {
  const { firstDown, down, ids, count } = scope.template;
  const unmet: string[] = [];
  let more = 0;
  // The template has edges in one direction only: nobody but a curious person asks for the other.
  for (let upstream = 0; upstream < count; upstream++) {
    if (isSatisfied(scope.states[upstream]!)) continue;
    for (let at = firstDown[upstream]!; at < firstDown[upstream + 1]!; at++) {
      if (down[at] !== node) continue;
      if (unmet.length < maxNamed) unmet.push(`${ids[upstream]} (${nameOf(scope.states[upstream]!)})`);
      else more++;
    }
  }
  return unmet.length === 0 ? '' : `waiting for ${unmet.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function reasonOf(run: RunState, work: NodeWork): string {
  const S = NodeState;
  switch (work.state) {
    case S.Parked: {
      const position = [...run.parked].filter((other) => other.state === S.Parked).indexOf(work) + 1;
      return `waiting for one of the run's ${run.settings.maxParallelism} parallel nodes, position ${position}`;
    }
    case S.Recovering:
      return 'looking at what the recovered execution has of it';
    case S.Resolving:
      return 'its inputs are being composed';
    case S.LookingUp:
      return 'looking for its outputs in the cache';
    case S.Reserved:
      return `waiting for the cache reservation held by ${work.reservationHolder}`;
    case S.Launched:
      return 'launched; waiting for its backend to run it';
    case S.Running:
      return '';
    case S.ResolvingGraph:
      return 'the workflow that it generated is being compiled';
    case S.ScopeRunning:
      return nestedOf(run, work);
    case S.Chosen:
      return 'the chosen case runs';
    case S.Gated:
      return gateOf(work);
    case S.ChildStarting:
      return 'its child execution is being created';
    case S.ChildRunning:
      return `waiting for child execution ${work.child?.name ?? ''}`;
    case S.ArrayRunning:
      return itemsOf(work);
    case S.StoringOutputs:
      return 'its outputs are being written';
    case S.BackingOff:
      return 'waiting for the time of its next attempt';
    case S.Populating:
      return 'its outputs are being put into the cache';
    default:
      return '';
  }
}

function itemsOf({ items }: NodeWork): string {
  if (!items) return '';
  const waiting = items.size - items.succeeded - items.failed - items.active;
  const delayed = items.delayed.size > 0 ? ` (${items.delayed.size} for their next attempt's time)` : '';
  return `${items.active} items in flight, ${waiting} waiting${delayed}, ${items.succeeded} succeeded, ${items.failed} failed`;
}

function nestedOf(run: RunState, work: NodeWork): string {
  const active = [...(run.scopes.get(work.childScope)?.active.values() ?? [])];
  const named = active.slice(0, maxNamed).map((each) => `${each.id} (${nameOf(each.state)})`);
  const more = active.length - named.length;
  return `waiting for its nodes ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function gateOf(work: NodeWork): string {
  const target = work.scope.template.specs[work.node]!.target;
  const condition = target?.$case === 'gateNode' ? target.value.condition : undefined;
  if (condition?.$case === 'sleep') return 'sleeping';
  return `waiting for ${condition?.$case === 'approve' ? 'approval' : 'signal'} "${condition?.value.signalId ?? ''}"`;
}
