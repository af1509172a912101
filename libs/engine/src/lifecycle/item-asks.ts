import type { Request } from '../api.js';
import type { NodeWork } from '../state/node-work.js';
import type { PendingRequest, RunState } from '../state/run-state.js';

/** What a pending request of one item of an array asks, from the state alone. */
export function itemAskOf(_run: RunState, _work: NodeWork, _pending: PendingRequest): Request['ask'] | undefined {
  return undefined;
}
