import { appendFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { t, task, workflow } from '@aloft/sdk';

const io = { inputs: { n: t.int, marks: t.string }, outputs: { o: t.int } };
const expensive = task(
  { name: 'cache-serialize.expensive', ...io, cache: { version: '1', serialize: true } },
  async ({ n, marks }) => {
    await appendFile(marks, 'x');
    await delay(3_000);
    return { o: n + 1 };
  },
);

export const wf = workflow(io, (given) => ({ o: expensive(given).o }));
