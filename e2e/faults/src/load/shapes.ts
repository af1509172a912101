import type { Expectation, StepExpectation } from '../evidence/evidence.js';
import type { Random } from '../random.js';

/** One run to be launched: which workflow, with which inputs, and what must come of it. */
export interface PlannedRun {
  shape: string;
  /** Launch plan. */
  workflow: string;
  inputs: Record<string, number | string | number[] | { float: number }>;
  expect: Expectation;
  /** Terminated so long after its launch, ms. */
  abortAfterMs?: number;
  /** Shape of its child execution, if it has one. */
  child?: { shape: string; expect: Expectation };
}

const once = (...steps: string[]): StepExpectation[] => steps.map((step) => ({ step, starts: 1 }));

type Maker = (random: Random, pace: { x: number; ms: number; seconds: { float: number } }) => Omit<PlannedRun, 'shape'>;

const makers: Record<string, Maker> = {
  chain: (_, pace) => ({
    workflow: 'tasks.chain',
    inputs: pace,
    expect: {
      phase: 'SUCCEEDED',
      outputs: { x: pace.x + 3 },
      steps: once('a0', 's1', 's2', 'a3', 's4', 'a5'),
    },
  }),
  fan: (_, pace) => ({
    workflow: 'tasks.fan',
    inputs: pace,
    expect: {
      phase: 'SUCCEEDED',
      outputs: { x: 2 * (pace.x + 1) ** 2 },
      steps: once('a0', 's1', 's2', 's3', 's4', 's5', 'b1', 'b2', 'j'),
    },
  }),
  mapped: (random, pace) => {
    const xs = Array.from({ length: random.int(2, 5) }, () => random.int(0, 9));
    return {
      workflow: 'tasks.mapped',
      inputs: { ...pace, xs },
      expect: {
        phase: 'SUCCEEDED',
        outputs: { x: xs.reduce((sum, x) => sum + x * x, 0) },
        steps: [...xs.map((_x, index) => ({ step: 'm', index, starts: 1 })), ...once('j')],
      },
    };
  },
  dynamical: (random, pace) => {
    const n = random.int(1, 3);
    const steps = Array.from({ length: n }, (_, i) => `d${i}`);
    return {
      workflow: 'tasks.dynamical',
      inputs: { ...pace, n },
      expect: {
        phase: 'SUCCEEDED',
        outputs: { x: pace.x + 1 + steps.reduce((sum, _step, i) => sum + i * i, 0) },
        steps: once('dyn', ...steps, 'dsum', 'a1', 'j'),
      },
    };
  },
  parent: (_, pace) => ({
    workflow: 'tasks.parent',
    inputs: pace,
    expect: { phase: 'SUCCEEDED', outputs: { x: pace.x + 2 }, steps: once('s1', 'a2') },
    child: {
      shape: 'child',
      expect: { phase: 'SUCCEEDED', outputs: { x: pace.x + 1 }, steps: once('a0', 's1') },
    },
  }),
  retried: (_, pace) => ({
    workflow: 'tasks.retried',
    inputs: pace,
    expect: {
      phase: 'SUCCEEDED',
      outputs: { x: pace.x + 2 },
      steps: [{ step: 'r0', starts: 2 }, { step: 'r1', starts: 2 }, ...once('a2')],
    },
  }),
  cached: (random, pace) => {
    const key = `key-${random.int(1, 40)}`;
    return {
      workflow: 'tasks.cached',
      inputs: { ...pace, key },
      expect: {
        phase: 'SUCCEEDED',
        steps: [...once('s0'), { step: 'k1', starts: 1, optional: true, cacheKey: key }],
      },
    };
  },
  branched: (_, pace) => {
    const first = pace.x > 10 ? pace.x + 1 : pace.x * pace.x;
    return {
      workflow: 'tasks.branched',
      inputs: pace,
      expect: {
        phase: 'SUCCEEDED',
        outputs: { x: first + 1 },
        steps: once(pace.x > 10 ? 'hi' : 'lo', 'a0', 's1'),
      },
    };
  },
  aborted: (random, pace) => ({
    workflow: 'tasks.endless',
    inputs: pace,
    abortAfterMs: random.duration(50, 5000),
    expect: {
      phase: 'ABORTED',
      steps: ['a0', 'l1', 'l2'].map((step) => ({ step, starts: 1, optional: true })),
    },
  }),
  // What follows the first step is on its way, or just begins, when the failure beside it ends it.
  'fail-fast': (_, pace) => ({
    workflow: 'tasks.failfast',
    inputs: pace,
    expect: {
      phase: 'FAILED',
      error: 'fails by plan',
      steps: [...once('f1'), ...['a0', 'b2', 's3'].map((step) => ({ step, starts: 1, optional: true }))],
    },
  }),
  failing: (_, pace) => ({
    workflow: 'tasks.failing',
    inputs: pace,
    expect: { phase: 'FAILED', error: 'fails by plan', steps: once('f0', 's1', 's2', 'fn0') },
  }),
};

export const shapeNames: readonly string[] = Object.keys(makers);

/** The next run of the load: its shapes take turns, so that even a short round has them all. */
export function planRun(random: Random, index: number, pace = 1): PlannedRun {
  const shape = shapeNames[index % shapeNames.length] as string;
  const given = {
    x: random.int(0, 20),
    ms: Math.round(random.duration(20, 1500) * pace),
    seconds: { float: Math.round(random.duration(20, 1500) * pace) / 1000 },
  };
  return { shape, ...(makers[shape] as Maker)(random, given) };
}
