import { sleep, t, task, workflow } from '@aloft/sdk';

const io = { inputs: { n: t.int }, outputs: { o: t.int } };
const double = task({ name: 'sleep.double', ...io }, ({ n }) => ({ o: n * 2 }));

export const wf = workflow(io, ({ n }) => {
  const nap = sleep('2s');
  return { o: double({ n }, { after: [nap] }).o };
});
