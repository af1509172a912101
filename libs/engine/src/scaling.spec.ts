import { StartExecution, TaskReport } from '@aloft/idl/aloft/v1/bus';
import { LogEntry, type EngineInput } from '@aloft/idl/aloft/v1/engine';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { LaunchTaskEffect } from './api.js';
import { compileGraph } from './graph/compile-graph.js';
import { ExecutionRun } from './run.js';
import { closure, INT, int, task, type Value } from './testing/closures.js';
import { randomOf } from './testing/simulate.js';

/** A random graph of tasks, each of two earlier ones' outputs. */
function randomGraph(count: number) {
  const random = randomOf(count);
  const nodes = Array.from({ length: count }, (_, at) => {
    const input = (): Value => (at === 0 ? int(1) : `n${random(at)}.o`);
    return task(`n${at}`, 't', { a: input(), b: input() });
  });
  const tasks = { t: { inputs: { a: INT, b: INT }, outputs: { o: INT } } };
  return compileGraph(closure({ tasks, nodes, outputs: { r: `n${count - 1}.o` } }), '01');
}

/** Runs it to its end; returns the steps taken and edges followed for each event. */
function costPerEvent(count: number): number {
  const graph = randomGraph(count);
  const run = new ExecutionRun();
  const ready: LaunchTaskEffect[] = [];
  let events = 0;
  const apply = (input: EngineInput['input']): void => {
    events++;
    run.apply({ ...LogEntry.create(), time: { seconds: 1n, nanos: 0 }, input: { input } }, () => graph);
    for (const effect of run.takeEffects()) if (effect.kind === 'launch') ready.push(effect);
  };
  const start = StartExecution.create({
    id: { project: 'p', domain: 'd', name: 'e' },
    uid: 'u',
    settings: {},
    closureDigest: Buffer.of(1),
  });
  apply({ $case: 'started', value: start });
  // What starting costs is the start node's out-degree; what each event costs is asked here.
  const before = run.state.work.taken;
  for (let next = ready.pop(); next; next = ready.pop()) {
    const report = TaskReport.create({ phase: TaskExecution_Phase.SUCCEEDED });
    report.attempt = next.attempt;
    report.outcome = {
      result: { $case: 'outputs', value: { value: { $case: 'inline', value: { literals: { o: int(1) } } } } },
      deckUri: '',
      checkpointUri: '',
    };
    apply({ $case: 'taskReported', value: report });
  }
  expect(run.finished).toBe(true);
  return (run.state.work.taken - before) / events;
}

describe('cost', () => {
  it('C-7: an event costs its node’s out-degree, from 100 to 100,000 nodes', () => {
    const costs = [100, 1_000, 10_000, 100_000].map(costPerEvent);
    // One step for the node, two edges on average into each, some to the end node.
    for (const cost of costs) expect(cost).toBeGreaterThan(2);
    for (const cost of costs) expect(cost).toBeLessThan(4.5);
    expect(costs.at(-1)! / costs[1]!).toBeLessThan(1.1);
  }, 60_000);
});
