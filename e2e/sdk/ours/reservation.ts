import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { t, task, workflow } from '@aloft/sdk';

const io = { inputs: { go: t.string }, outputs: { o: t.int } };
const expensive = task(
  { name: 'reservation.expensive', ...io, cache: { version: '1', serialize: true } },
  async ({ go }) => {
    while (!existsSync(go)) await delay(100);
    return { o: 1 };
  },
);

export const wf = workflow(io, ({ go }) => ({ o: expensive({ go }).o }));
