import { WaitReason_Kind as Kind, type WaitReason } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { NodeExplanation, RunOverview } from '../api.js';
import { NodeState, isOver, nameOf } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { compareTimes } from '../time.js';
import { itemsWait } from './items-wait.js';
import { aheadWait, dependencyOf, firstOf } from './upstream.js';
import { childWait, conditionOf, gateWait, handedOverWait, parkedWait, reservationWait, waitOf } from './waits.js';

/** Why a node isn't running, from state (U-12). `nodeId` is the unique id; undefined if the run has no such node. */
export function explain(run: RunState, nodeId: string): NodeExplanation | undefined {
  const work = run.find(nodeId);
  if (work) return explanationOf(run, work, positions(run));
  for (const scope of run.scopes.values()) {
    for (let node = 0; node < scope.template.count; node++) {
      if (scope.uniqueId(node) !== nodeId) continue;
      const state = scope.states[node]!;
      return { nodeId, state: nameOf(state), wait: isOver(state) ? undefined : dependencyOf(run, scope, node) };
    }
  }
  return undefined;
}

/** All active nodes, those that wait in front, longest first. */
export function overview(run: RunState, limit: number): RunOverview {
  const places = positions(run);
  const nodes: NodeExplanation[] = [];
  let dependent = 0;
  for (const scope of run.scopes.values()) {
    for (const work of scope.active.values()) nodes.push(explanationOf(run, work, places));
    for (const state of scope.states) if (state === NodeState.Waiting) dependent++;
  }
  const rank = ({ wait }: NodeExplanation): number => (wait && wait.kind !== Kind.NONE ? 0 : 1);
  nodes.sort((a, b) => rank(a) - rank(b) || compareTimes(a.wait?.since ?? run.now, b.wait?.since ?? run.now));
  return { nodes: nodes.slice(0, limit), inFlight: nodes.length, dependent };
}

/** Places in the line for a permit, from 1. */
function positions(run: RunState): Map<NodeWork, number> {
  const places = new Map<NodeWork, number>();
  for (const work of run.parked) if (work.inLine) places.set(work, places.size + 1);
  return places;
}

function explanationOf(run: RunState, work: NodeWork, places: Map<NodeWork, number>): NodeExplanation {
  return { nodeId: work.id, state: nameOf(work.state), wait: reasonOf(run, work, places) };
}

function reasonOf(run: RunState, work: NodeWork, places: Map<NodeWork, number>): WaitReason | undefined {
  const S = NodeState;
  /** Milliseconds, as a rule: what the platform itself does. */
  const doing = (detail: string): WaitReason => waitOf(work, Kind.NONE, detail, work.since);
  switch (work.state) {
    case S.Parked: {
      const wait = parkedWait(run, work);
      const position = places.get(work) ?? 0;
      return { ...wait, position, detail: `${wait.detail}, position ${position}` };
    }
    case S.Recovering:
      return doing('looking at what the recovered execution has of it');
    case S.Resolving:
      return doing('its inputs are being composed');
    case S.LookingUp:
      return work.waiting ?? doing('looking for its outputs in the cache');
    case S.Reserved:
      return work.waiting ?? reservationWait(work, work.since, timerOf(run, work));
    case S.Launched:
      return work.waiting ?? launched(work);
    case S.Ahead:
      return aheadWait(run, work);
    case S.ResolvingGraph:
      return doing('the workflow that it generated is being compiled');
    case S.ScopeRunning: {
      const active = [...(run.scopes.get(work.childScope)?.active.values() ?? [])];
      const named = firstOf(active.map(({ id, state }) => ({ id, state })));
      return waitOf(work, Kind.CHILD, `waiting for its nodes ${named.text}`, work.since, named.parts);
    }
    case S.Chosen: {
      const inner = work.scope.template.branches.get(work.node)?.nodes ?? [];
      const open = inner.filter((node) => !isOver(work.scope.states[node]!));
      const named = firstOf(open.map((node) => ({ id: work.scope.uniqueId(node), state: work.scope.states[node]! })));
      return waitOf(work, Kind.CHILD, `waiting for the chosen case ${named.text}`, work.since, named.parts);
    }
    case S.Gated:
      return gateWait(work, work.since, conditionOf(work)?.$case === 'sleep' ? timerOf(run, work) : undefined);
    case S.ChildStarting:
      return doing('its child execution is being created');
    case S.ChildRunning:
      return childWait(work);
    case S.ArrayRunning:
      return itemsWait(run, work, places.get(work));
    case S.StoringOutputs:
      return doing('its outputs are being written');
    case S.BackingOff:
      return (
        work.waiting ??
        waitOf(work, Kind.BACKOFF, 'waiting for its next attempt', work.since, { until: timerOf(run, work) })
      );
    case S.Populating:
      return doing('its outputs are being put into the cache');
    default:
      return undefined;
  }
}

function timerOf(run: RunState, work: NodeWork) {
  return run.timers.get(work.waitTimer)?.at;
}

function launched(work: NodeWork): WaitReason {
  return work.taskPhase === Phase.QUEUED
    ? handedOverWait(work)
    : waitOf(work, Kind.NONE, 'its backend is starting it', work.since);
}
