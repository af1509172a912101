import { dynamic, gt, launchPlan, map, RecoverableError, t, task, taskReference, when, workflow } from '@aloft/sdk';
import { mark, pause } from './marks-of-task.js';

// The workflows of the load. Every step's node id is the name by which it marks itself, so marks and API can be compared.

export const version = 'faults';
const step = { step: t.string, ms: t.int };

/** Runs the body between two marks. */
async function marked<T>(
  { step: name, ms }: { step: string; ms: number },
  signal: AbortSignal,
  body: () => T,
  value?: (result: T) => string,
): Promise<T> {
  mark('start', name);
  try {
    await pause(ms, signal);
    const result = body();
    mark('end', name, 'ok', value?.(result));
    return result;
  } catch (error) {
    mark('end', name, signal.aborted ? 'aborted' : 'failed');
    throw error;
  }
}

/** `sh` in a container task (load/shell-task.ts): the cheap kind. */
export const shell = taskReference({
  name: 'faults.shell',
  version,
  inputs: { step: t.string, seconds: t.float, fails: t.int },
  outputs: {},
});

export const add = task({ inputs: { ...step, x: t.int }, outputs: { x: t.int } }, (inputs, { signal }) =>
  marked(inputs, signal, () => ({ x: inputs.x + 1 })),
);

export const square = task({ inputs: { ...step, x: t.int }, outputs: { x: t.int } }, (inputs, { signal }) =>
  marked(inputs, signal, () => ({ x: inputs.x * inputs.x })),
);

export const sum = task({ inputs: { ...step, xs: t.list(t.int) }, outputs: { x: t.int } }, (inputs, { signal }) =>
  marked(inputs, signal, () => ({ x: inputs.xs.reduce((total, x) => total + x, 0) })),
);

/** Fails by plan until its attempt `fails`. */
export const flaky = task(
  { inputs: { ...step, x: t.int, fails: t.int }, outputs: { x: t.int }, retries: 3 },
  (inputs, { signal, attempt }) =>
    marked(inputs, signal, () => {
      if (attempt < inputs.fails) throw new RecoverableError(`attempt ${attempt} fails by plan`);
      return { x: inputs.x + 1 };
    }),
);

export const doomed = task({ inputs: { ...step, x: t.int }, outputs: { x: t.int } }, (inputs, { signal }) =>
  marked(inputs, signal, (): { x: number } => {
    throw new Error('this step fails by plan');
  }),
);

/** A value that nobody could make twice: who computed it shows in the result. */
export const costly = task(
  {
    inputs: { ...step, key: t.string },
    outputs: { made: t.string },
    cache: { version: '1', serialize: true, ignoredInputs: ['step', 'ms'] },
  },
  (inputs, { signal }) =>
    marked(
      inputs,
      signal,
      () => ({ made: `${inputs.key}/${process.pid}/${Date.now()}` }),
      ({ made }) => made,
    ),
);

export const spread = dynamic({ inputs: { ms: t.int, n: t.int }, outputs: { x: t.int } }, ({ ms, n }) => {
  mark('start', 'dyn');
  const parts = Array.from({ length: n }, (_, i) => square({ step: `d${i}`, ms, x: i }, { nodeId: `d${i}` }).x);
  const total = sum({ step: 'dsum', ms: 0, xs: parts }, { nodeId: 'dsum' });
  mark('end', 'dyn');
  return { x: total.x };
});

const pace = { x: t.int, ms: t.int, seconds: t.float };

export const chain = workflow({ inputs: pace, outputs: { x: t.int } }, ({ x, ms, seconds }) => {
  const a0 = add({ step: 'a0', ms, x }, { nodeId: 'a0' });
  const s1 = shell({ step: 's1', seconds, fails: 0 }, { nodeId: 's1', after: [a0] });
  const s2 = shell({ step: 's2', seconds, fails: 0 }, { nodeId: 's2', after: [s1] });
  const a3 = add({ step: 'a3', ms, x: a0.x }, { nodeId: 'a3', after: [s2] });
  const s4 = shell({ step: 's4', seconds, fails: 0 }, { nodeId: 's4', after: [a3] });
  return { x: add({ step: 'a5', ms, x: a3.x }, { nodeId: 'a5', after: [s4] }).x };
});

export const fan = workflow({ inputs: pace, outputs: { x: t.int } }, ({ x, ms, seconds }) => {
  const a0 = add({ step: 'a0', ms, x }, { nodeId: 'a0' });
  const shells = [1, 2, 3, 4, 5].map((i) =>
    shell({ step: `s${i}`, seconds, fails: 0 }, { nodeId: `s${i}`, after: [a0] }),
  );
  const parts = [1, 2].map((i) => square({ step: `b${i}`, ms, x: a0.x }, { nodeId: `b${i}` }).x);
  return { x: sum({ step: 'j', ms: 0, xs: parts }, { nodeId: 'j', after: shells }).x };
});

export const mapped = workflow({ inputs: { ...pace, xs: t.list(t.int) }, outputs: { x: t.int } }, ({ xs, ms }) => {
  const squares = map(square, { each: { x: xs }, same: { step: 'm', ms }, concurrency: 3, nodeId: 'm' });
  return { x: sum({ step: 'j', ms: 0, xs: squares.x }, { nodeId: 'j' }).x };
});

export const dynamical = workflow({ inputs: { ...pace, n: t.int }, outputs: { x: t.int } }, ({ x, ms, n }) => {
  const grown = spread({ ms, n }, { nodeId: 'dyn' });
  const a1 = add({ step: 'a1', ms, x }, { nodeId: 'a1' });
  return { x: sum({ step: 'j', ms: 0, xs: [grown.x, a1.x] }, { nodeId: 'j' }).x };
});

export const small = workflow({ inputs: pace, outputs: { x: t.int } }, ({ x, ms, seconds }) => {
  const a0 = add({ step: 'a0', ms, x }, { nodeId: 'a0' });
  shell({ step: 's1', seconds, fails: 0 }, { nodeId: 's1', after: [a0] });
  return { x: a0.x };
});

const child = launchPlan(small, { name: 'faults.child' });

export const parent = workflow({ inputs: pace, outputs: { x: t.int } }, ({ x, ms, seconds }) => {
  const c = child({ x, ms, seconds }, { nodeId: 'c' });
  const s1 = shell({ step: 's1', seconds, fails: 0 }, { nodeId: 's1' });
  return { x: add({ step: 'a2', ms, x: c.x }, { nodeId: 'a2', after: [s1] }).x };
});

export const retried = workflow({ inputs: pace, outputs: { x: t.int } }, ({ x, ms, seconds }) => {
  const r0 = flaky({ step: 'r0', ms, x, fails: 1 }, { nodeId: 'r0' });
  const r1 = shell({ step: 'r1', seconds, fails: 1 }, { nodeId: 'r1', retries: 3 });
  return { x: add({ step: 'a2', ms, x: r0.x }, { nodeId: 'a2', after: [r1] }).x };
});

export const cached = workflow(
  { inputs: { ...pace, key: t.string }, outputs: { made: t.string } },
  ({ ms, seconds, key }) => {
    const s0 = shell({ step: 's0', seconds, fails: 0 }, { nodeId: 's0' });
    return { made: costly({ step: 'k1', ms, key }, { nodeId: 'k1', after: [s0] }).made };
  },
);

export const branched = workflow({ inputs: pace, outputs: { x: t.int } }, ({ x, ms, seconds }) => {
  const chosen = when(gt(x, 10), () => add({ step: 'hi', ms, x }, { nodeId: 'hi' })).otherwise(() =>
    square({ step: 'lo', ms, x }, { nodeId: 'lo' }),
  );
  const inner = small({ x: chosen.x, ms, seconds }, { nodeId: 'sub' });
  return { x: inner.x };
});

/** Runs longer than anybody waits: it is aborted in the middle. */
export const endless = workflow({ inputs: pace, outputs: { x: t.int } }, ({ x, ms }) => {
  const a0 = add({ step: 'a0', ms, x }, { nodeId: 'a0' });
  shell({ step: 'l1', seconds: 900, fails: 0 }, { nodeId: 'l1' });
  const l2 = add({ step: 'l2', ms: 900_000, x: a0.x }, { nodeId: 'l2' });
  return { x: add({ step: 'never', ms, x: l2.x }, { nodeId: 'never' }).x };
});

/** Fails about when its first step is over, and the next ones begin. */
export const failfast = workflow({ inputs: pace, outputs: { x: t.int } }, ({ x, ms }) => {
  const a0 = add({ step: 'a0', ms, x }, { nodeId: 'a0' });
  const f1 = doomed({ step: 'f1', ms, x }, { nodeId: 'f1' });
  const b2 = add({ step: 'b2', ms: 900_000, x: a0.x }, { nodeId: 'b2' });
  shell({ step: 's3', seconds: 900, fails: 0 }, { nodeId: 's3', after: [a0] });
  return { x: add({ step: 'never', ms, x: f1.x }, { nodeId: 'never', after: [b2] }).x };
});

export const cleanUp = task({ inputs: { ...step, x: t.int } }, (inputs, { signal }) =>
  marked(inputs, signal, () => ({})),
);

export const failing = workflow(
  {
    inputs: pace,
    outputs: { x: t.int },
    onFailure: 'finish-executable',
    failureNode: ({ x, ms }) => cleanUp({ step: 'fn0', ms, x }),
  },
  ({ x, ms, seconds }) => {
    const f0 = doomed({ step: 'f0', ms, x }, { nodeId: 'f0' });
    const never = add({ step: 'never', ms, x: f0.x }, { nodeId: 'never' });
    const s1 = shell({ step: 's1', seconds, fails: 0 }, { nodeId: 's1' });
    shell({ step: 's2', seconds, fails: 0 }, { nodeId: 's2', after: [s1] });
    return { x: never.x };
  },
);

/** Says that the platform does new work: a command, a launch, a report, events. */
export const probe = workflow({}, () => {
  shell({ step: 'p', seconds: 0, fails: 0 }, { nodeId: 'p' });
  return {};
});
