import { appendFile } from 'node:fs/promises';
import { t, task, workflow } from '@aloft/sdk';

const io = { inputs: { n: t.int, marks: t.string }, outputs: { o: t.int } };
const expensive = task({ name: 'cache-hit.expensive', ...io, cache: { version: '1' } }, async ({ n, marks }) => {
  await appendFile(marks, 'x');
  return { o: n + 1 };
});

export const wf = workflow(io, (given) => ({ o: expensive(given).o }));
