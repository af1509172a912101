import type { LogEntry } from '@aloft/idl/aloft/v1/engine';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import type { WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Effect, GraphLookup, NodeExplanation, Run, RunOverview } from './api.js';
import { explain, overview } from './explain/explain.js';
import { applyInput } from './inputs/apply-input.js';
import { performHeld } from './inputs/node-controlled.js';
import { drain } from './lifecycle/schedule.js';
import { effectOf } from './lifecycle/requests.js';
import { writeSnapshot } from './snapshot/write-snapshot.js';
import { RunState } from './state/run-state.js';

/** One execution: the fold of its log. */
export class ExecutionRun implements Run {
  constructor(readonly state: RunState = new RunState()) {}

  get id(): WorkflowExecutionIdentifier {
    return this.state.id;
  }

  get uid(): string {
    return this.state.start?.uid ?? '';
  }

  get phase(): WorkflowExecution_Phase {
    return this.state.phase;
  }

  get time(): Timestamp {
    return this.state.now;
  }

  get finished(): boolean {
    return this.state.isOver && this.state.requests.size === 0;
  }

  apply(entry: LogEntry, graphs: GraphLookup): boolean {
    const { state } = this;
    const input = entry.input?.input;
    if (!input) throw new Error('engine: a log entry without an input');
    if (!entry.time) throw new Error('engine: a log entry without its time');
    const before = state.now;
    state.now = entry.time;
    state.graphLookup = graphs;
    const changed = applyInput(state, input, entry.behaviourFlags);
    if (!changed) {
      state.now = before;
      return false;
    }
    do drain(state);
    while (state.held.length > 0 && performHeld(state));
    return true;
  }

  takeEffects(): Effect[] {
    const { effects } = this.state;
    this.state.effects = [];
    return effects;
  }

  outstanding(): Effect[] {
    const { state } = this;
    const effects: Effect[] = [];
    for (const pending of state.requests.values()) effects.push(effectOf(state, pending));
    for (const timer of state.timers.values()) {
      effects.push({ kind: 'set-timer', timer: BigInt(timer.id), at: timer.at });
    }
    return effects;
  }

  explain(nodeId: string): NodeExplanation | undefined {
    return explain(this.state, nodeId);
  }

  overview(limit: number): RunOverview {
    return overview(this.state, limit);
  }

  snapshot(): Uint8Array {
    return writeSnapshot(this.state);
  }
}
