import type { NodeWork } from '../state/node-work.js';
import { Purpose, type PendingRequest, type RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';
import type { Request } from '../api.js';
import { itemAskOf } from './item-asks.js';
import { askOf } from './asks.js';

/** Asks the shell for something on behalf of a node; the answer finds it by the request's number. */
export function request(run: RunState, work: NodeWork, purpose: Purpose, item = -1): number {
  const pending: PendingRequest = { id: ++run.lastRequest, purpose, work, item };
  run.requests.set(pending.id, pending);
  if (item < 0) work.request = pending.id;
  run.effects.push(effectOf(run, pending));
  return pending.id;
}

/** Asks for the outputs of a node that is over (see recall.ts). */
export function requestRecall(run: RunState, scope: Scope, node: number): void {
  const id = ++run.lastRequest;
  const pending = { id, purpose: Purpose.Recall, work: undefined, item: -1, source: { scope, node } };
  run.requests.set(id, pending);
  run.effects.push(effectOf(run, pending));
}

/** The effect of a pending request, made anew from the state. */
export function effectOf(run: RunState, pending: PendingRequest): Request {
  const ask = pending.item >= 0 && pending.work ? itemAskOf(run, pending.work, pending) : askOf(run, pending);
  if (!ask) throw new Error(`engine: request ${pending.id} has the unknown purpose ${pending.purpose}`);
  return { kind: 'request', request: BigInt(pending.id), ask };
}
