import { and, at, dynamic, eq, gt, launchPlan, lt, map, t, task, when, workflow } from './index.js';

/**
 * What TypeScript must accept and refuse. The type check of the workspace covers this file: an unused
 * `@ts-expect-error` fails it, so every refusal below is proved at each check.
 */
const train = task(
  {
    name: 'train',
    inputs: { data: t.file('csv'), rounds: t.int, rate: t.float.default(0.1), note: t.optional(t.string) },
    outputs: {
      model: t.file('json'),
      metrics: t.struct({ auc: t.float, rows: t.int }),
      kind: t.enum(['linear', 'tree']),
    },
  },
  async ({ rounds, rate, note, data }) => {
    const total: number = rounds + rate;
    const text: string | null = note;
    // @ts-expect-error a file is no string
    const wrong: string = data;
    void [total, text, wrong];
    return { model: data, metrics: { auc: 0.7, rows: 3 }, kind: 'linear' as const };
  },
);

const count = task({ name: 'count', inputs: { n: t.int }, outputs: { doubled: t.int } }, ({ n }) => ({
  doubled: n * 2,
}));
const label = task({ name: 'label', inputs: { text: t.string }, outputs: { length: t.int } }, ({ text }) => ({
  length: text.length,
}));
const average = task({ name: 'average', inputs: { values: t.list(t.float) }, outputs: { mean: t.float } }, () => ({
  mean: 0,
}));

// @ts-expect-error the declared output is an int
task({ name: 'x1', outputs: { n: t.int } }, () => ({ n: 'text' }));
// @ts-expect-error an output is missing
task({ name: 'x2', outputs: { n: t.int, m: t.int } }, () => ({ n: 1 }));

/** Bodies are only type-checked here, never run: each wrong line would also be refused at run time. */
export const accepted = workflow(
  {
    name: 'accepted',
    inputs: { data: t.file('csv'), n: t.int, names: t.list(t.string) },
    outputs: { auc: t.float, all: t.list(t.int) },
  },
  ({ data, n, names }) => {
    const fitted = train({ data, rounds: n });
    train({ data, rounds: 5n as unknown as number, rate: 0.5, note: 'x' }, { retries: 2, after: [fitted] });
    count({ n: fitted.metrics.rows });
    label({ text: fitted.kind });
    label({ text: at(names, 0) });
    average({ values: [fitted.metrics.auc, 0.5] });
    const doubled = map(count, { each: { n: [n, 2, fitted.metrics.rows] } });
    map(train, { each: { rounds: [1, 2] }, same: { data }, concurrency: 2 });
    const chosen = when(and(gt(fitted.metrics.auc, 0.5), eq(fitted.kind, 'linear')), () => count({ n })).otherwise(() =>
      count({ n: 0 }),
    );
    count({ n: chosen.doubled });
    return { auc: fitted.metrics.auc, all: doubled.doubled };
  },
);

export const refused = (): unknown => [
  workflow(
    {
      name: 'refused',
      inputs: { data: t.file('csv'), n: t.int, x: t.float, s: t.string, json: t.file('json') },
      outputs: { n: t.int },
    },
    (given) => {
      // @ts-expect-error a required input is missing
      train({ data: given.data });
      // @ts-expect-error a float is no int
      train({ data: given.data, rounds: given.x });
      // @ts-expect-error a json file is no csv file
      train({ data: given.json, rounds: 1 });
      // @ts-expect-error there is no such input
      count({ n: 1, m: 2 });
      // @ts-expect-error a node is not one of its outputs
      count({ n: count({ n: 1 }) });
      // @ts-expect-error there is no such output
      count({ n: count({ n: 1 }).tripled });
      // @ts-expect-error the struct has no such field
      count({ n: train({ data: given.data, rounds: 1 }).metrics.f1 });
      // @ts-expect-error the struct's field is a float
      count({ n: train({ data: given.data, rounds: 1 }).metrics.auc });
      // @ts-expect-error the list has strings
      average({ values: [given.s] });
      // @ts-expect-error an int is compared with a string
      when(gt(given.n, 'three'), () => count({ n: 1 }));
      // @ts-expect-error the enum has no such value
      when(eq(train({ data: given.data, rounds: 1 }).kind, 'forest'), () => count({ n: 1 }));
      // @ts-expect-error files cannot be compared
      when(lt(given.data, 'x'), () => count({ n: 1 }));
      // @ts-expect-error the mapped input takes a list
      map(count, { each: { n: given.n } });
      // @ts-expect-error the input that goes to all items is missing
      map(train, { each: { rounds: [1, 2] } });
      const some = map(count, { each: { n: [1] }, minSuccessRatio: 0.5 });
      // @ts-expect-error items that may have failed are null
      map(count, { each: { n: some.doubled } });
      return { n: given.n };
    },
  ),
  // @ts-expect-error the output is an int
  workflow({ name: 'wrong', inputs: { s: t.string }, outputs: { n: t.int } }, ({ s }) => ({ n: s })),
  // @ts-expect-error an output is missing
  workflow({ name: 'missing', outputs: { n: t.int } }, () => ({})),
  // @ts-expect-error the default is of another type
  launchPlan(accepted, { defaults: { n: 'three' } }),
  // @ts-expect-error the workflow has no such input
  launchPlan(accepted, { fixed: { m: 3 } }),
  // @ts-expect-error the dynamic graph gives a string for an int
  dynamic({ name: 'd', inputs: { n: t.int }, outputs: { n: t.int } }, () => ({ n: 'x' })),
  // @ts-expect-error a local run has typed inputs
  count.local({ n: 'x' }),
];

test('a local run answers values of the declared types', async () => {
  const { doubled } = await count.local({ n: 21 });
  const exact: number = doubled;
  expect(exact).toBe(42);
});
