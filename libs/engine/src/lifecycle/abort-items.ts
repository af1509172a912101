import type { NodeWork } from '../state/node-work.js';
import type { PackedStates } from '../state/array-items.js';
import type { RunState } from '../state/run-state.js';

export function abortItems(_run: RunState, _work: NodeWork, _items: PackedStates, _reason: string): void {}
