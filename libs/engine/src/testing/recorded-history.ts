import { gunzipSync, gzipSync } from 'node:zlib';
import { ExecutionEvent, LiteralsValue } from '@aloft/idl/aloft/v1/bus';
import { RecordedHistory } from '@aloft/idl/aloft/v1/history';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { ExecutionError, WorkflowExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Effect, Graph } from '../api.js';
import { compileGraph } from '../graph/compile-graph.js';
import { hexOf } from '../graph/identifiers.js';
import { createRun, restoreRun } from '../runs.js';
import type { Driver } from './driver.js';

/** What a history must come to under every later version, in a form that doesn't change with codecs and added fields. */
export type Outcome = Pick<RecordedHistory, 'events' | 'phase' | 'outputs' | 'error' | 'outstanding' | 'effects'>;

/** A driver's run as an entry of the corpus. */
export function recordHistory(driver: Driver, name: string, description: string): RecordedHistory {
  const graphs = [...driver.graphs].map(([digest, { closure }]) => ({
    digest: Buffer.from(digest, 'hex'),
    closure: Buffer.from(CompiledWorkflowClosure.encode(closure).finish()),
  }));
  const recorded = RecordedHistory.fromPartial({ name, description, graphs, entries: driver.log });
  // As it is read from the log: what was made in memory may differ from that in fields that say nothing.
  const stored = RecordedHistory.decode(RecordedHistory.encode(recorded).finish());
  return { ...stored, ...replayHistory(stored) };
}

/** Folds the entries; with `restartEvery`, the run goes through a snapshot before every so many of them. */
export function replayHistory({ graphs, entries }: RecordedHistory, restartEvery = Infinity): Outcome {
  const compiled = new Map<string, Graph>();
  const lookup = (digest: string): Graph => {
    let graph = compiled.get(digest);
    if (graph) return graph;
    const found = graphs.find((each) => hexOf(each.digest) === digest);
    if (!found) throw new Error(`testing: the history has no graph ${digest}`);
    graph = compileGraph(CompiledWorkflowClosure.decode(found.closure), digest);
    compiled.set(digest, graph);
    return graph;
  };
  let run = createRun();
  const effects: Effect[] = [];
  for (const [at, entry] of entries.entries()) {
    if (at > 0 && at % restartEvery === 0) run = restoreRun(run.snapshot(), lookup);
    if (!run.apply(entry, lookup)) throw new Error(`testing: entry ${at + 1} changed nothing`);
    effects.push(...run.takeEffects());
  }
  const ended = effects.find((effect) => effect.kind === 'ended');
  return {
    events: effects.flatMap((effect) => (effect.kind === 'event' ? [effect.event] : [])),
    phase: run.phase,
    outputs: ended?.outputs,
    error: ended?.error,
    outstanding: run.outstanding().map(subjectOf),
    effects: effects.filter(({ kind }) => kind !== 'event').map(subjectOf),
  };
}

/** What an effect is about: fields that are added to it later don't make it another. */
function subjectOf(effect: Effect): string {
  switch (effect.kind) {
    case 'launch':
    case 'abort':
    case 'release-reservation':
      return `${effect.kind} ${effect.attempt.name} generation ${effect.attempt.generation}`;
    case 'set-timer':
      return `set-timer ${effect.timer} at ${effect.at.seconds}.${effect.at.nanos}`;
    case 'cancel-timer':
      return `cancel-timer ${effect.timer}`;
    case 'request':
      return `request ${effect.request} ${effect.ask.kind}`;
    case 'abort-child':
      return `abort-child ${effect.child.name}`;
    case 'ended':
      return `ended ${WorkflowExecution_Phase[effect.phase]}`;
    default:
      return effect.kind;
  }
}

/** An outcome as plain values, without fields that have their type's default: comparable over versions of the messages. */
export function plainOutcome({ events, phase, outputs, error, outstanding, effects }: Outcome): unknown {
  return withoutDefaults({
    events: events.map((event) => ExecutionEvent.decode(ExecutionEvent.encode(event).finish())),
    phase: WorkflowExecution_Phase[phase],
    outputs: outputs && LiteralsValue.decode(LiteralsValue.encode(outputs).finish()),
    error: error && ExecutionError.decode(ExecutionError.encode(error).finish()),
    outstanding,
    effects,
  });
}

function withoutDefaults(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.length === 0 ? undefined : Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.map(withoutDefaults);
  if (typeof value === 'bigint') return value === 0n ? undefined : `${value}n`;
  if (typeof value !== 'object' || value === null)
    return value === '' || value === 0 || value === false ? undefined : value;
  const fields = Object.entries(value).flatMap(([name, inner]) => {
    const kept = name === '_unknownFields' ? undefined : withoutDefaults(inner);
    return kept === undefined ? [] : [[name, kept] as const];
  });
  return Object.fromEntries(fields);
}

export function encodeHistory(history: RecordedHistory): Uint8Array {
  return gzipSync(RecordedHistory.encode(history).finish(), { level: 9 });
}

export function decodeHistory(bytes: Uint8Array): RecordedHistory {
  return RecordedHistory.decode(gunzipSync(bytes));
}
