import { writeFile } from 'node:fs/promises';
import { FlyteFile, launchPlan, map, t, task, workflow } from '@aloft/sdk';

/** What the CLI's tests bundle, register and run. */
export const shout = task(
  {
    inputs: { text: t.file('txt'), loud: t.boolean.default(false) },
    outputs: { text: t.file('txt') },
    cache: { version: '1' },
  },
  async ({ text, loud }, { file }) => {
    const words = await text.text();
    if (words.includes('fail')) throw new RangeError('asked to fail');
    await writeFile(file('loud.txt'), `${words.toUpperCase()}${loud ? '!' : ''}`);
    return { text: new FlyteFile(file('loud.txt')) };
  },
);

export const add = task({ inputs: { n: t.int, by: t.int }, outputs: { n: t.int } }, ({ n, by }) => ({ n: n + by }));

export const pipeline = workflow(
  {
    description: 'For tests',
    inputs: {
      text: t.file('txt').describe('what to shout'),
      numbers: t.list(t.int),
      some_factor: t.float.default(0.5),
      mode: t.enum(['fast', 'slow']).default('fast'),
      loud: t.boolean.default(false),
      note: t.optional(t.string),
    },
    outputs: { text: t.file('txt'), all: t.list(t.int) },
  },
  ({ text, numbers, loud }) => ({
    text: shout({ text, loud }).text,
    all: map(add, { each: { n: numbers }, same: { by: 1 } }).n,
  }),
);

export const nightly = launchPlan(pipeline, {
  fixed: { numbers: [1] },
  schedule: { cron: '0 3 * * *' },
});

/** Calls a launch plan of this file: that has to be registered before it. */
export const again = workflow({ inputs: { text: t.file('txt') }, outputs: { all: t.list(t.int) } }, ({ text }) => ({
  all: nightly({ text }).all,
}));
