import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { t, task, workflow } from '@aloft/sdk';

const boom = task({ name: 'nearest-policy.boom', outputs: { o: t.int } }, (): { o: number } => {
  throw new Error('boom');
});
const patient = task(
  { name: 'nearest-policy.patient', inputs: { go: t.string }, outputs: { o: t.int } },
  async ({ go }) => {
    while (!existsSync(go)) await delay(100);
    return { o: 1 };
  },
);
const next = task({ name: 'nearest-policy.next', inputs: { n: t.int }, outputs: { o: t.int } }, ({ n }) => ({ o: n }));

const inner = workflow(
  { name: 'nearest-policy.inner', inputs: { go: t.string }, outputs: { o: t.int }, onFailure: 'finish-executable' },
  ({ go }) => {
    boom();
    return { o: next({ n: patient({ go }).o }).o };
  },
);

/** Its own policy is to fail at once; the failure is in a workflow that lets the rest end. */
export const wf = workflow({ inputs: { go: t.string }, outputs: { o: t.int } }, ({ go }) => ({ o: inner({ go }).o }));
