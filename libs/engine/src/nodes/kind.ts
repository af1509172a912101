import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';

/** What a kind of node does once its inputs are at hand, and again for each further attempt. */
export interface NodeKind {
  start(run: RunState, work: NodeWork): void;
}
