import type { ControlNode } from '@aloft/idl/aloft/v1/bus';
import { NodeExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import fc from 'fast-check';
import {
  Driver,
  fickleRouting,
  nativeRouting,
  int,
  listOf,
  Oracle,
  Simulation,
  flowArbitrary,
  textOf,
  type Flow,
} from './testing/index.js';

type Control = NonNullable<ControlNode['control']>;

const rerun: Control = { $case: 'rerun', value: { inputs: undefined, task: undefined, overrides: undefined } };
const retry: Control = { $case: 'retry', value: {} };
const recomputing: readonly Control[] = [rerun, retry];
const all: readonly Control[] = [
  ...recomputing,
  { $case: 'rerun', value: { inputs: { literals: { a: int(3) } }, task: undefined, overrides: undefined } },
  { $case: 'cancel', value: { skipDownstream: false } },
  { $case: 'cancel', value: { skipDownstream: true } },
  { $case: 'setOutputs', value: { outputs: { literals: { o: int(5) } } } },
  { $case: 'setOutputs', value: { outputs: { literals: { o: listOf([int(7)]) } } } },
  { $case: 'setOutputs', value: { outputs: { literals: {} } } },
];

const cases = fc.record({
  flow: flowArbitrary(),
  seed: fc.integer(),
  input: fc.nat({ max: 9 }),
  aborts: fc.constantFrom('answered', 'late'),
  settings: fc.record({
    maxParallelism: fc.constantFrom(0, 0, 1, 3),
    queueTimeout: fc.constantFrom(undefined, undefined, { seconds: 5n, nanos: 0 }),
    interruptible: fc.boolean(),
    routing: fc.constantFrom(undefined, fickleRouting),
  }),
  /** A control after one step of so many. */
  every: fc.constantFrom(2, 4, 10),
});
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

/** With attempts launched ahead (S-5). */
const aheadCases = cases.chain((given) =>
  flowArbitrary({ maxSteps: 7, maxDepth: 1, orderOnly: true }).map((flow): Case => ({
    ...given,
    flow,
    settings: { ...given.settings, routing: nativeRouting },
  })),
);

/** Runs a flow to its end while people change nodes, at most so often. */
function simulate({ flow, seed, input, aborts, settings, every }: Case, kinds: readonly Control[]): Simulation {
  const simulation = new Simulation(flow, seed, input, { driver: { settings, aborts } });
  const { driver } = simulation;
  let left = 25;
  simulation.controls = (random) => {
    if (left === 0 || random(every) > 0) return;
    left--;
    const ids = new Set(driver.events().nodes.map(({ id }) => id?.nodeId ?? ''));
    flow.steps.forEach((_, at) => ids.add(`n${at}`));
    const nodeId = [...ids][random(ids.size)]!;
    driver.control(nodeId, kinds[random(kinds.length)]!);
  };
  simulation.finish();
  return simulation;
}

const ended = new Set([Phase.SUCCEEDED, Phase.FAILED, Phase.ABORTED, Phase.SKIPPED, Phase.TIMED_OUT, Phase.RECOVERED]);

/** What holds whatever people do. */
function checkInvariants({ driver }: Simulation): void {
  expect(driver.effects.filter(({ kind }) => kind === 'ended')).toHaveLength(1);
  expect(driver.launched).toEqual([]);
  expect(driver.timers.size).toBe(0);
  expect(driver.run.outstanding()).toEqual([]);
  const { sequences } = driver.events();
  expect(sequences).toEqual(sequences.map((_, at) => at + 1));
  const names = new Set<string>();
  const over = new Map<string, Phase>();
  let runOver = false;
  for (const effect of driver.effects) {
    if (effect.kind === 'launch') {
      const { name, nodeId } = effect.attempt;
      if (names.has(name)) throw new Error(`attempt ${name} was launched twice`);
      names.add(name);
      if (over.has(nodeId)) throw new Error(`${name} was launched after its node was ${Phase[over.get(nodeId)!]}`);
    }
    if (effect.kind !== 'event') continue;
    const { event } = effect.event;
    if (runOver) throw new Error(`${event?.$case} was told after the end of the run`);
    if (event?.$case === 'node') {
      const nodeId = event.value.id?.nodeId ?? '';
      const before = over.get(nodeId);
      if (before !== undefined)
        throw new Error(`${nodeId} was ${Phase[before]}, then ${Phase[event.value.phase]}, and not reset`);
      if (ended.has(event.value.phase)) over.set(nodeId, event.value.phase);
    } else if (event?.$case === 'nodesReset') {
      for (const nodeId of event.value.nodeIds) over.delete(nodeId);
    } else if (event?.$case === 'workflow') {
      runOver = driver.run.phase === event.value.phase;
    }
  }
  expect(textOf(driver.replay())).toEqual(textOf(driver.effects));
}

/** What the flow comes to if nothing fails for good: how often something was tried changes no value. */
function valueOf(flow: Flow, input: number): number | undefined {
  return new Oracle(() => ({ failures: 0, hopeless: false })).evaluate(flow, input);
}

describe('random controls at random moments', () => {
  afterEach(() => {
    Driver.restarts = false;
  });

  it('X-6: end every run once, with nothing left in flight, and replay to the same effects', () => {
    const check = (given: Case): void => checkInvariants(simulate(given, all));
    for (const drawn of [cases, aheadCases]) fc.assert(fc.property(drawn, check), { numRuns: 100, endOnFailure: true });
  });

  it('X-6: retries and reruns change no value', () => {
    const check = (given: Case): void => {
      const simulation = simulate(given, recomputing);
      checkInvariants(simulation);
      if (simulation.driver.phase() !== 'SUCCEEDED') return;
      expect(simulation.driver.outputs()).toEqual({ o: valueOf(given.flow, given.input) });
    };
    for (const drawn of [cases, aheadCases]) fc.assert(fc.property(drawn, check), { numRuns: 100, endOnFailure: true });
  });

  it('X-6: do so when restored from a snapshot before every input', () => {
    Driver.restarts = true;
    const check = (given: Case): void => checkInvariants(simulate(given, all));
    for (const drawn of [cases, aheadCases]) fc.assert(fc.property(drawn, check), { numRuns: 40, endOnFailure: true });
  });
});
