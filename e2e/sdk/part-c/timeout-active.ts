import { setTimeout as delay } from 'node:timers/promises';
import { t, task, workflow } from '@aloft/sdk';

const io = { inputs: { n: t.int }, outputs: { o: t.int } };
const slow = task({ name: 'timeout-active.slow', ...io, retries: 5, activeTimeout: '3s' }, async ({ n }) => {
  await delay(60_000);
  return { o: n };
});

export const wf = workflow(io, ({ n }) => ({ o: slow({ n }).o }));
