import { t, task, workflow } from '@aloft/sdk';

const add = task({ name: 'subwf.add', inputs: { a: t.int, b: t.int }, outputs: { o: t.int } }, ({ a, b }) => ({
  o: a + b,
}));
const divide = task(
  { name: 'subwf.divide', inputs: { a: t.int, b: t.int }, outputs: { quotient: t.int, remainder: t.int } },
  ({ a, b }) => ({ quotient: Math.floor(a / b), remainder: a % b }),
);

const inner = workflow(
  { name: 'subwf.inner', inputs: { a: t.int, b: t.int }, outputs: { total: t.int, quotient: t.int } },
  ({ a, b }) => {
    const parts = divide({ a, b });
    return { total: add({ a: parts.quotient, b: parts.remainder }).o, quotient: parts.quotient };
  },
);

const middle = workflow({ name: 'subwf.middle', inputs: { a: t.int }, outputs: { o: t.int } }, ({ a }) => {
  const { total, quotient } = inner({ a, b: 7 });
  return { o: add({ a: total, b: quotient }).o };
});

export const wf = workflow({ inputs: { a: t.int }, outputs: { o: t.int } }, ({ a }) => ({
  o: add({ a: middle({ a }).o, b: 0 }).o,
}));
