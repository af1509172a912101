import { launchPlan, t, task, workflow } from '@aloft/sdk';

const half = task({ name: 'child-lp.half', inputs: { n: t.int }, outputs: { o: t.int } }, ({ n }) => {
  if (n % 2 === 1) throw new Error(`${n} is odd`);
  return { o: n / 2 };
});
const double = task({ name: 'child-lp.double', inputs: { n: t.int }, outputs: { o: t.int } }, ({ n }) => ({
  o: n * 2,
}));

const halving = workflow({ name: 'child-lp.halving', inputs: { n: t.int }, outputs: { o: t.int } }, ({ n }) => ({
  o: half({ n }).o,
}));
const plan = launchPlan(halving, { name: 'child-lp.plan' });

export const wf = workflow({ inputs: { n: t.int }, outputs: { o: t.int } }, ({ n }) => ({
  o: double({ n: plan({ n }).o }).o,
}));
