import { dynamic, t, task, workflow, type Task } from '@aloft/sdk';

const io = { inputs: { n: t.int }, outputs: { o: t.int } };
const add = task(
  { name: 'dynamic-recursive.add', inputs: { a: t.int, b: t.int }, outputs: { o: t.int } },
  ({ a, b }) => ({
    o: a + b,
  }),
);

/** n + (n − 1) + … + 0, a level of nesting for each. */
const addUp: Task<typeof io.inputs, typeof io.outputs> = dynamic(
  { name: 'dynamic-recursive.add-up', ...io },
  ({ n }) => ({
    o: n === 0 ? add({ a: 0, b: 0 }).o : add({ a: n, b: addUp({ n: n - 1 }).o }).o,
  }),
);

export const wf = workflow(io, ({ n }) => ({ o: addUp({ n }).o }));
