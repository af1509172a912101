import fc from 'fast-check';
import { Driver, Oracle, Simulation, flowArbitrary, textOf, type Flow, type Step } from './testing/index.js';

/** fast-check prints the seed and the path of a failure: `fc.assert(…, { seed, path })` runs it again. */
const cases = fc.record({
  flow: flowArbitrary(),
  seed: fc.integer(),
  input: fc.nat({ max: 9 }),
  maxParallelism: fc.constantFrom(0, 0, 1, 3),
});

function alwaysFailsAfter(flow: Flow): boolean {
  const inside = (step: Step): boolean =>
    (!step.flow || step.kind === 'dynamic' || alwaysFailsAfter(step.flow)) &&
    (!step.flow || step.kind !== 'dynamic' || nestedFailAfter(step.flow)) &&
    [...(step.cases ?? []).map((each) => each.step), ...(step.otherwise ? [step.otherwise] : [])].every(inside);
  return flow.failAfter && flow.steps.every(inside);
}

/** A dynamic task's flow has its surrounding workflow's policy; only sub-workflows inside it have their own. */
function nestedFailAfter(flow: Flow): boolean {
  return alwaysFailsAfter({ ...flow, failAfter: true });
}

function check({
  flow,
  seed,
  input,
  maxParallelism,
}: {
  flow: Flow;
  seed: number;
  input: number;
  maxParallelism: number;
}): void {
  const simulation = new Simulation(flow, seed, input, maxParallelism);
  simulation.finish();
  const { driver } = simulation;
  const oracle = new Oracle(simulation.fateOf);
  const value = oracle.evaluate(flow, input);

  expect(driver.phase()).toBe(value === undefined ? 'FAILED' : 'SUCCEEDED');
  if (value !== undefined) expect(driver.outputs()).toEqual({ o: value });
  const phases = simulation.lastPhases();
  if (value !== undefined || alwaysFailsAfter(flow)) {
    expect(Object.fromEntries([...phases].sort())).toEqual(Object.fromEntries([...oracle.phases].sort()));
  }
  const { sequences } = driver.events();
  expect(sequences).toEqual(sequences.map((_, at) => at + 1));
  expect(driver.effects.filter(({ kind }) => kind === 'ended')).toHaveLength(1);
  expect(driver.launched).toEqual([]);
  expect(driver.timers.size).toBe(0);
  expect(driver.run.outstanding()).toEqual([]);
  expect(textOf(driver.replay())).toEqual(textOf(driver.effects));
}

describe('random runs', () => {
  afterEach(() => {
    Driver.restarts = false;
  });

  it('come to what the oracle says, in any order of events, and replay to the same effects', () => {
    fc.assert(fc.property(cases, check), { numRuns: 150, endOnFailure: true });
  });

  it('end at once when aborted at any moment, with nothing left in flight', () => {
    fc.assert(
      fc.property(cases, fc.nat({ max: 30 }), ({ flow, seed, input, maxParallelism }, after) => {
        const simulation = new Simulation(flow, seed, input, maxParallelism);
        simulation.finish(after);
        const { driver } = simulation;
        const over = driver.run.finished;
        expect(driver.abort()).toBe(!over);
        expect(driver.run.finished).toBe(true);
        expect(driver.launched).toEqual([]);
        expect(driver.timers.size).toBe(0);
        for (const [nodeId, phase] of simulation.lastPhases()) {
          expect([nodeId, phase]).not.toEqual([nodeId, expect.stringMatching(/QUEUED|RUNNING/)]);
        }
      }),
      { numRuns: 100, endOnFailure: true },
    );
  });

  it('do so when restored from a snapshot before every input', () => {
    Driver.restarts = true;
    fc.assert(fc.property(cases, check), { numRuns: 50, endOnFailure: true });
  });
});
