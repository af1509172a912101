import type { EngineInput } from '@aloft/idl/aloft/v1/engine';
import type { GraphLookup, Run, RunObserver, RunStatics } from './api.js';
import { hexOf } from './graph/identifiers.js';
import { ExecutionRun } from './run.js';
import { graphsOf as digestsOf, readSnapshot } from './snapshot/read-snapshot.js';

/** An empty run; its first entry is `started`. */
export function createRun(observer?: RunObserver): Run {
  const run = new ExecutionRun();
  run.state.observer = observer;
  return run;
}

/** The run as it was when the snapshot was taken; its later log entries bring it up to date. */
export function restoreRun(snapshot: Uint8Array, graphs: GraphLookup, observer?: RunObserver): Run {
  const run = new ExecutionRun(readSnapshot(snapshot, graphs));
  run.state.observer = observer;
  return run;
}

/** Hex digests of the graphs that a snapshot needs. */
export function graphsOf(snapshot: Uint8Array): string[] {
  return digestsOf(snapshot);
}

/** The graph that an input needs before it can be applied, if any. */
export function graphOf(input: EngineInput): { digest: string; uri: string } | undefined {
  if (input.input?.$case === 'started') {
    return { digest: hexOf(input.input.value.closureDigest), uri: input.input.value.closureUri };
  }
  const answer = input.input?.$case === 'answered' ? input.input.value.answer : undefined;
  // What a recovered run's dynamic task generated is run again as it was (C-82).
  const graph =
    answer?.$case === 'graph' ? answer.value : answer?.$case === 'recovered' ? answer.value.graph : undefined;
  return graph && { digest: hexOf(graph.closureDigest), uri: graph.closureUri };
}

export const runs: RunStatics = { create: createRun, restore: restoreRun, graphsOf, graphOf };
