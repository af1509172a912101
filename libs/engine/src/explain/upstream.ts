import { WaitReason, WaitReason_Kind as Kind } from '@aloft/idl/aloft/v1/bus';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { upstreamOf as allUpstreamOf } from '../graph/upstream.js';
import { NodeState, isOver, nameOf } from '../state/node-state.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { ScopeStatus, type Scope } from '../state/scope.js';
import { waitOf } from './waits.js';

/** How many nodes are named. */
const maxNamed = 5;

interface Named {
  id: string;
  state: number;
}

/** The first few by name, the others counted. */
export function firstOf(nodes: readonly Named[]): {
  text: string;
  parts: Pick<WaitReason, 'upstream' | 'moreUpstream'>;
} {
  const named = nodes.slice(0, maxNamed);
  const more = nodes.length - named.length;
  const text = named.map(({ id, state }) => `${id} (${nameOf(state)})`).join(', ');
  return {
    text: `${text}${more > 0 ? ` and ${more} more` : ''}`,
    parts: { upstream: named.map(({ id }) => id), moreUpstream: more },
  };
}

/** What a node that isn't active yet waits for (C-22). Walks all edges of its scope. */
export function dependencyOf(run: RunState, scope: Scope, node: number): WaitReason {
  const base = { ...WaitReason.create(), nodeId: scope.uniqueId(node), since: beginningOf(run, scope) };
  if (scope.status !== ScopeStatus.Running) {
    return { ...base, kind: Kind.NONE, detail: 'it will not start: the workflow around it has failed' };
  }
  const { branchOf, failureNode } = scope.template;
  if (node === failureNode) return { ...base, kind: Kind.NONE, detail: 'it runs only if the workflow around it fails' };
  const unmet = upstreamOf(scope, node);
  const branch = branchOf[node]!;
  if (branch >= 0 && !isOver(scope.states[branch]!) && scope.states[branch] !== NodeState.Chosen) {
    unmet.unshift({ id: scope.uniqueId(branch), state: scope.states[branch]! });
  }
  const { text, parts } = firstOf(unmet);
  return { ...base, kind: Kind.DEPENDENCY, detail: `waiting for ${text}`, ...parts };
}

/** What a node waits for whose attempt was launched ahead, or is to be (S-5). Costs the number of its upstream nodes. */
export function aheadWait(run: RunState, work: NodeWork): WaitReason {
  const { scope, node } = work;
  const open = [...allUpstreamOf(scope.template, node)].filter((each) => !isOver(scope.states[each]!));
  const { text, parts } = firstOf(open.map((each) => ({ id: scope.uniqueId(each), state: scope.states[each]! })));
  const where = work.taskPhase === Phase.UNDEFINED ? '' : ', already at its backend';
  return waitOf(work, Kind.DEPENDENCY, `waiting for ${text}${where}`, work.since, parts);
}

function upstreamOf(scope: Scope, node: number): Named[] {
  const { firstDown, down, count } = scope.template;
  const unmet: Named[] = [];
  // The template has edges in one direction only: nobody but a curious person asks for the other.
  for (let upstream = 0; upstream < count; upstream++) {
    if (isOver(scope.states[upstream]!)) continue;
    for (let at = firstDown[upstream]!; at < firstDown[upstream + 1]!; at++) {
      if (down[at] === node) unmet.push({ id: scope.uniqueId(upstream), state: scope.states[upstream]! });
    }
  }
  return unmet;
}

/** Since when the scope is there: its nodes wait since then. */
function beginningOf(run: RunState, scope: Scope) {
  return scope.parent?.since ?? run.start?.createdAt;
}
