import { setTimeout as delay } from 'node:timers/promises';
import { RecoverableError, t, task, workflow } from '@aloft/sdk';

const countTo = task(
  { name: 'checkpoint.count-to', inputs: { goal: t.int }, outputs: { o: t.int }, retries: 3 },
  async ({ goal }, { checkpoint }) => {
    const previous = await checkpoint.previous();
    const reached = previous ? Number(Buffer.from(previous).toString()) : 0;
    await checkpoint.save(Buffer.from(String(reached + 1)));
    if (reached < goal) throw new RecoverableError(`got to ${reached}`);
    return { o: reached };
  },
);

export const wf = workflow({ inputs: { goal: t.int }, outputs: { o: t.int } }, ({ goal }) => ({
  o: countTo({ goal }).o,
}));

const slow = task(
  { name: 'checkpoint.slow', inputs: { text: t.string }, outputs: { o: t.string }, retries: 1, timeout: '15s' },
  async ({ text }, { checkpoint }) => {
    const previous = await checkpoint.previous();
    if (previous) return { o: Buffer.from(previous).toString() };
    await checkpoint.save(Buffer.from(text));
    await delay(60_000);
    return { o: 'too late' };
  },
);

export const afterTimeout = workflow({ inputs: { text: t.string }, outputs: { o: t.string } }, ({ text }) => ({
  o: slow({ text }).o,
}));
