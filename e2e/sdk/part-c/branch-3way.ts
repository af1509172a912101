import { and, ge, lt, t, task, when, workflow } from '@aloft/sdk';

const io = { inputs: { n: t.int }, outputs: { o: t.int } };
const double = task({ name: 'branch-3way.double', ...io }, ({ n }) => ({ o: n * 2 }));
const square = task({ name: 'branch-3way.square', ...io }, ({ n }) => ({ o: n * n }));
const negate = task({ name: 'branch-3way.negate', ...io }, ({ n }) => ({ o: -n }));

export const wf = workflow(io, ({ n }) => ({
  o: when(lt(n, 10), () => double({ n }))
    .elseWhen(and(ge(n, 10), lt(n, 100)), () => square({ n }))
    .otherwise(() => negate({ n })).o,
}));
