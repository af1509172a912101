import { at, t, task, workflow } from '@aloft/sdk';

const makePoint = task(
  {
    name: 'attr-path.make-point',
    inputs: { x: t.int },
    outputs: {
      p: t.struct({ x: t.int, labels: t.list(t.string), nested: t.map(t.float), inner: t.struct({ rate: t.float }) }),
    },
  },
  ({ x }) => ({ p: { x, labels: ['first', 'second'], nested: { pi: 3.14 }, inner: { rate: 0.25 } } }),
);
const makeList = task({ name: 'attr-path.make-list', outputs: { o: t.list(t.map(t.int)) } }, () => ({
  o: [{ a: 1 }, { a: 2 }],
}));
const describe = task(
  {
    name: 'attr-path.describe',
    inputs: { x: t.int, label: t.string, labels: t.list(t.string), pi: t.float, rate: t.float, second: t.int },
    outputs: { text: t.string },
  },
  ({ x, label, labels, pi, rate, second }) => ({ text: `${x} ${label} ${labels.join(',')} ${pi} ${rate} ${second}` }),
);

export const wf = workflow({ inputs: { x: t.int }, outputs: { text: t.string } }, ({ x }) => {
  const { p } = makePoint({ x });
  return {
    text: describe({
      x: p.x,
      label: at(p.labels, 1),
      labels: p.labels,
      pi: at(p.nested, 'pi'),
      rate: p.inner.rate,
      second: at(at(makeList().o, 1), 'a'),
    }).text,
  };
});

const labelOf = task(
  { name: 'attr-path.label-of', inputs: { label: t.string }, outputs: { text: t.string } },
  (given) => ({
    text: given.label,
  }),
);

export const outOfRange = workflow({ inputs: { x: t.int }, outputs: { text: t.string } }, ({ x }) => ({
  text: labelOf({ label: at(makePoint({ x }).p.labels, 5) }).text,
}));
