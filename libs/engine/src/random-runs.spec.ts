import { ArrayParallelism, type RetryPolicy } from '@aloft/idl/aloft/v1/bus';
import fc from 'fast-check';
import { parseRetryPolicy } from './settings/retry-policy.js';
import {
  Driver,
  fickleRouting,
  nativeRouting,
  Oracle,
  Past,
  Simulation,
  flowArbitrary,
  textOf,
  type Flow,
  type Step,
} from './testing/index.js';

/** fast-check prints the seed and the path of a failure: `fc.assert(…, { seed, path })` runs it again. */
const cases = fc.record({
  flow: flowArbitrary(),
  seed: fc.integer(),
  input: fc.nat({ max: 9 }),
  /** When hosts say of what they are told to end that it is over. */
  aborts: fc.constantFrom('answered', 'late'),
  settings: fc.record({
    maxParallelism: fc.constantFrom(0, 0, 1, 3),
    arrayParallelism: fc.constantFrom(ArrayParallelism.UNLIMITED, ArrayParallelism.WORKFLOW, ArrayParallelism.HYBRID),
    retryPolicy: fc.constantFrom(undefined, undefined, policyOf('delay=1s factor=2'), policyOf('delay=100ms')),
    queueTimeout: fc.constantFrom(undefined, { seconds: 100_000n, nanos: 0 }),
    interruptible: fc.boolean(),
    routing: fc.constantFrom(undefined, fickleRouting),
  }),
});
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

/** Workflows whose steps often only wait for the end of others, where backends have dependencies between jobs (S-5). */
const aheadCases = cases.chain((given) =>
  flowArbitrary({ maxSteps: 7, maxDepth: 1, orderOnly: true }).map((flow): Case => ({
    ...given,
    flow,
    settings: { ...given.settings, routing: nativeRouting },
  })),
);

function policyOf(text: string): RetryPolicy {
  const parsed = parseRetryPolicy(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return parsed.policy;
}

/** C-70, C-71: what is in flight never exceeds the run's budget, where items count against it too. */
function checkBudget(driver: Driver, { maxParallelism, arrayParallelism }: Case['settings']): void {
  if (maxParallelism === 0) return;
  const everyItem = arrayParallelism !== ArrayParallelism.UNLIMITED;
  const inFlight = new Set(driver.launched.map(({ attempt }) => (everyItem ? attempt.name : attempt.nodeId)));
  expect(inFlight.size).toBeLessThanOrEqual(maxParallelism);
}

function lastAttempt(driver: Driver, nodeId: string): number {
  const attempts = driver.effects.flatMap((effect) =>
    effect.kind === 'launch' && effect.attempt.nodeId === nodeId ? [effect.attempt.retryAttempt] : [],
  );
  return Math.max(0, ...attempts);
}

/** S-5, C-22: as it is told, nothing runs or ends before what it has to run after has succeeded. */
function checkOrder(driver: Driver, { steps }: Flow): void {
  const succeeded = new Set<string>();
  for (const told of driver.phases()) {
    const [nodeId = '', phase = ''] = told.split(':');
    if (phase === 'SUCCEEDED') succeeded.add(nodeId);
    if (!['RUNNING', 'SUCCEEDED', 'FAILED'].includes(phase)) continue;
    const after = steps[/^n(\d+)$/.test(nodeId) ? Number(nodeId.slice(1)) : -1]?.after ?? [];
    for (const ref of after) expect([told, `n${ref}`, succeeded.has(`n${ref}`)]).toEqual([told, `n${ref}`, true]);
  }
}

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

/** Returns how many attempts were launched ahead. */
function check({ flow, seed, input, aborts, settings }: Case): number {
  const simulation = new Simulation(flow, seed, input, { driver: { settings, aborts } });
  const { driver } = simulation;
  while (!driver.run.finished) {
    simulation.finish(1);
    checkBudget(driver, settings);
  }
  const oracle = new Oracle(simulation.fateOf, (nodeId) => lastAttempt(driver, nodeId));
  const value = oracle.evaluate(flow, input);
  checkOrder(driver, flow);

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
  return simulation.jobs.ahead;
}

function checkAbort({ flow, seed, input, aborts, settings }: Case, after: number): void {
  const simulation = new Simulation(flow, seed, input, { driver: { settings, aborts } });
  simulation.finish(after);
  const { driver } = simulation;
  const over = driver.run.finished;
  expect(driver.abort()).toBe(!over);
  while (driver.stopped.length > 0) driver.hear(Math.abs(seed) % driver.stopped.length);
  expect(driver.run.finished).toBe(true);
  expect(driver.launched).toEqual([]);
  expect(driver.timers.size).toBe(0);
  for (const [nodeId, phase] of simulation.lastPhases()) {
    expect([nodeId, phase]).not.toEqual([nodeId, expect.stringMatching(/QUEUED|RUNNING/)]);
  }
}

describe('random runs', () => {
  afterEach(() => {
    Driver.restarts = false;
  });

  it('come to what the oracle says, in any order of events, and replay to the same effects', () => {
    fc.assert(
      fc.property(cases, (given) => void check(given)),
      { numRuns: 150, endOnFailure: true },
    );
  });

  it('end when aborted at any moment as soon as their hosts have answered, with nothing left in flight', () => {
    fc.assert(fc.property(cases, fc.nat({ max: 30 }), checkAbort), { numRuns: 100, endOnFailure: true });
  });

  it('C-80…C-84: recovered after their end or an abort at any moment, they come to the same, and nothing that succeeded runs again', () => {
    const healthy = () => ({ failures: 0, hopeless: false });
    fc.assert(
      fc.property(cases, fc.nat({ max: 40 }), ({ flow, seed, input, aborts, settings }, after) => {
        const first = new Simulation(flow, seed, input, { driver: { settings, aborts } });
        first.finish(after);
        first.driver.abort();
        while (first.driver.stopped.length > 0) first.driver.hear(0);
        const past = new Past(first.driver);
        const second = new Simulation(flow, seed + 1, input, {
          fateOf: healthy,
          driver: {
            settings,
            start: { recoverFrom: { ...first.driver.run.id, name: 'old' }, recoverFromUid: 'old' },
          },
        });
        const { driver } = second;
        while (!driver.run.finished) {
          for (const [request, ask] of driver.requests) {
            if (ask.kind !== 'recovered-node') continue;
            driver.answer(
              request,
              past.answer(ask.specPath, (task) => second.generatedBy(task)),
            );
          }
          if (!driver.run.finished) second.finish(1);
        }
        expect(driver.phase()).toBe('SUCCEEDED');
        expect(driver.outputs()).toEqual({ o: new Oracle(healthy).evaluate(flow, input) });
        const paths = new Past(driver);
        for (const effect of driver.effects) {
          if (effect.kind !== 'launch') continue;
          const { nodeId, index } = effect.attempt;
          const path = paths.pathOf(nodeId);
          expect([path, past.succeeded(path)]).toEqual([path, false]);
          if (index !== undefined) expect([path, index, past.succeededItem(path, index)]).toEqual([path, index, false]);
        }
      }),
      { numRuns: 150, endOnFailure: true },
    );
  });

  it('S-5: come to that with attempts launched ahead, too', () => {
    let ahead = 0;
    fc.assert(
      fc.property(aheadCases, (given) => {
        ahead += check(given);
      }),
      { numRuns: 300, endOnFailure: true },
    );
    expect(ahead).toBeGreaterThan(50);
  });

  it('S-5: end when aborted at any moment with attempts launched ahead', () => {
    fc.assert(fc.property(aheadCases, fc.nat({ max: 30 }), checkAbort), { numRuns: 100, endOnFailure: true });
  });

  it('do so when restored from a snapshot before every input', () => {
    Driver.restarts = true;
    for (const drawn of [cases, aheadCases])
      fc.assert(
        fc.property(drawn, (given) => void check(given)),
        { numRuns: 50, endOnFailure: true },
      );
  });
});
