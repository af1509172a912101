import { approve, t, task, workflow } from '@aloft/sdk';

const io = { inputs: { n: t.int }, outputs: { o: t.int } };
const double = task({ name: 'approve.double', ...io }, ({ n }) => ({ o: n * 2 }));

export const wf = workflow(io, ({ n }) => ({
  o: double({ n: approve('let-it-pass', double({ n }).o, { timeout: '1h' }) }).o,
}));
