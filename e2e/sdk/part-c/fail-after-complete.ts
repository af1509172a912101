import { setTimeout as delay } from 'node:timers/promises';
import { t, task, workflow } from '@aloft/sdk';

const io = { inputs: { n: t.int }, outputs: { o: t.int } };
const boom = task({ name: 'fail-after-complete.boom', ...io }, ({ n }): { o: number } => {
  throw new Error(`boom ${n}`);
});
const slow = task(
  { name: 'fail-after-complete.slow', inputs: { n: t.int, seconds: t.int }, outputs: { o: t.int } },
  async ({ n, seconds }, { signal }) => {
    await delay(seconds * 1000, undefined, { signal });
    return { o: n };
  },
);
const next = task({ name: 'fail-after-complete.next', ...io }, ({ n }) => ({ o: n }));

export const wf = workflow({ ...io, onFailure: 'finish-executable' }, ({ n }) => {
  const first = boom({ n: 1 });
  const goesOn = next({ n: slow({ n, seconds: 3 }).o });
  boom({ n: 2 });
  next({ n: first.o });
  return { o: goesOn.o };
});

export const atOnce = workflow(io, ({ n }) => {
  boom({ n: 1 });
  return { o: slow({ n, seconds: 60 }).o };
});
