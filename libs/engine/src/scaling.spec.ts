import { StartExecution, TaskReport } from '@aloft/idl/aloft/v1/bus';
import { Routing } from '@aloft/idl/aloft/v1/routing';
import { LogEntry, type EngineInput } from '@aloft/idl/aloft/v1/engine';
import { TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { LaunchTaskEffect } from './api.js';
import { currentBehaviours } from './behaviours.js';
import { compileGraph } from './graph/compile-graph.js';
import { ExecutionRun } from './run.js';
import { closure, INT, int, task, type Value } from './testing/closures.js';
import { randomOf } from './testing/simulate.js';

/** Where jobs of the only backend depend on each other. */
const native = Routing.fromPartial({ defaultBackend: 'batch', backends: ['batch'], nativeDependencies: ['batch'] });

/** A random graph of tasks, each of two earlier ones' outputs; with `onlyWait` each only waits for these two. */
function randomGraph(count: number, onlyWait: boolean) {
  const random = randomOf(count);
  const nodes = Array.from({ length: count }, (_, at) => {
    const input = (): Value => (at === 0 ? int(1) : `n${random(at)}.o`);
    if (!onlyWait) return task(`n${at}`, 't', { a: input(), b: input() });
    const after = at === 0 ? [] : [`n${random(at)}`, `n${random(at)}`];
    return task(`n${at}`, 't', { a: int(1), b: int(1) }, { after });
  });
  const tasks = { t: { inputs: { a: INT, b: INT }, outputs: { o: INT } } };
  return compileGraph(closure({ tasks, nodes, outputs: { r: `n${count - 1}.o` } }), '01');
}

/** Runs it to its end; returns the steps taken and edges followed for each event. */
function costPerEvent(count: number, ahead = false): number {
  const graph = randomGraph(count, ahead);
  const run = new ExecutionRun();
  const ready: LaunchTaskEffect[] = [];
  const behaviourFlags = ahead ? currentBehaviours : 0n;
  let events = 0;
  let launchedAhead = 0;
  const apply = (input: EngineInput['input']): void => {
    events++;
    run.apply({ ...LogEntry.create(), behaviourFlags, time: { seconds: 1n, nanos: 0 }, input: { input } }, () => graph);
    for (const effect of run.takeEffects()) {
      if (effect.kind !== 'launch') continue;
      ready.push(effect);
      if (effect.dependsOn) launchedAhead++;
    }
  };
  const start = StartExecution.create({
    id: { project: 'p', domain: 'd', name: 'e' },
    uid: 'u',
    settings: ahead ? { routing: native } : {},
    closureDigest: Buffer.of(1),
  });
  apply({ $case: 'started', value: start });
  // What starting costs is the start node's out-degree; what each event costs is asked here.
  const before = run.state.work.taken;
  for (let next = ready.pop(); next; next = ready.pop()) {
    if (ahead) {
      const named = TaskReport.create({ phase: TaskExecution_Phase.INITIALIZING, job: next.attempt.name });
      apply({ $case: 'taskReported', value: { ...named, attempt: next.attempt } });
    }
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
  if (ahead) expect(launchedAhead).toBeGreaterThan(count / 10);
  return (run.state.work.taken - before) / events;
}

describe('cost', () => {
  it('C-7: an event costs its node’s out-degree, from 100 to 100,000 nodes', () => {
    const costs = [100, 1_000, 10_000, 100_000].map((count) => costPerEvent(count));
    // One step for the node, two edges on average into each, some to the end node.
    for (const cost of costs) expect(cost).toBeGreaterThan(2);
    for (const cost of costs) expect(cost).toBeLessThan(4.5);
    expect(costs.at(-1)! / costs[1]!).toBeLessThan(1.1);
  }, 60_000);

  it('S-5: and so where attempts are launched ahead', () => {
    const costs = [100, 1_000, 10_000, 50_000].map((count) => costPerEvent(count, true));
    for (const cost of costs) expect(cost).toBeLessThan(4.5);
    expect(costs.at(-1)! / costs[1]!).toBeLessThan(1.1);
  }, 60_000);
});
