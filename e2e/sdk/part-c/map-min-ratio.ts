import { map, t, task, workflow } from '@aloft/sdk';

const evenOnly = task({ name: 'map-min-ratio.even-only', inputs: { n: t.int }, outputs: { o: t.int } }, ({ n }) => {
  if (n % 2 === 1) throw new Error(`${n} is odd`);
  return { o: n };
});

export const wf = workflow(
  { inputs: { values: t.list(t.int) }, outputs: { o: t.list(t.optional(t.int)) } },
  ({ values }) => ({ o: map(evenOnly, { each: { n: values }, minSuccessRatio: 0.5 }).o }),
);
