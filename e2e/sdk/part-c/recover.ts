import { existsSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { map, t, task, workflow } from '@aloft/sdk';

const prepare = task(
  { name: 'recover.prepare', inputs: { count: t.int, marks: t.string }, outputs: { o: t.list(t.int) } },
  async ({ count, marks }) => {
    await appendFile(`${marks}/prepare`, 'x');
    return { o: Array.from({ length: count }, (_, at) => at) };
  },
);

/** Three of them fail, once they are told to, until somebody mends the world. */
const item = task(
  { name: 'recover.item', inputs: { n: t.int, marks: t.string }, outputs: { o: t.int } },
  async ({ n, marks }) => {
    await appendFile(`${marks}/item-${n}`, 'x');
    while ([3, 7, 11].includes(n) && !existsSync(`${marks}/mended`)) {
      if (existsSync(`${marks}/fail`)) throw new Error(`item ${n} is broken`);
      await delay(100);
    }
    return { o: n * 10 };
  },
);

const total = task(
  { name: 'recover.total', inputs: { values: t.list(t.int), marks: t.string }, outputs: { o: t.int } },
  async ({ values, marks }) => {
    await appendFile(`${marks}/total`, 'x');
    return { o: values.reduce((sum, value) => sum + value, 0) };
  },
);

export const wf = workflow(
  { inputs: { count: t.int, marks: t.string }, outputs: { values: t.list(t.int), total: t.int } },
  ({ count, marks }) => {
    const values = map(item, { each: { n: prepare({ count, marks }).o }, same: { marks } }).o;
    return { values, total: total({ values, marks }).o };
  },
);
