import { t, task, waitForSignal, workflow } from '@aloft/sdk';

const scale = task({ name: 'signal.scale', inputs: { n: t.int, factor: t.int }, outputs: { o: t.int } }, (given) => ({
  o: given.n * given.factor,
}));

export const wf = workflow({ inputs: { n: t.int }, outputs: { o: t.int } }, ({ n }) => ({
  o: scale({ n, factor: waitForSignal('factor', t.int, { timeout: '1h' }) }).o,
}));
