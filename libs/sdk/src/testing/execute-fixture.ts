import { writeFile } from 'node:fs/promises';
import { dynamic, FlyteDirectory, FlyteFile, RecoverableError, t, task } from '../index.js';

/** Tasks that `aloft-execute` runs in its tests. */
export const greet = task(
  { inputs: { name: t.string, times: t.int.default(1) }, outputs: { greeting: t.string }, deck: true },
  ({ name, times }, { deck, execution }) => {
    deck.add('Greeting', `<p>in ${execution.name}</p>`);
    return { greeting: `hello ${name} `.repeat(times).trim() };
  },
);

export const pipe = task(
  { inputs: { file: t.file('txt') }, outputs: { file: t.file('txt'), folder: t.directory() } },
  async ({ file }, context) => {
    const text = await file.text();
    await writeFile(context.file('upper.txt'), text.toUpperCase());
    return { file: new FlyteFile(context.file('upper.txt')), folder: new FlyteDirectory(context.file('.')) };
  },
);

export const fail = task({ inputs: { how: t.string } }, ({ how }) => {
  if (how === 'recoverable') throw new RecoverableError('try me again');
  throw new RangeError(`broken: ${how}`, { cause: new Error('the root of it') });
});

export const resume = task({ outputs: { text: t.string } }, async (_inputs, { checkpoint, attempt, secret }) => {
  const before = Buffer.from((await checkpoint.previous()) ?? []).toString();
  await checkpoint.save(Buffer.from(`${before}${attempt}`));
  return { text: `${before}|${await secret('token', 'svc')}` };
});

export const square = task(
  { inputs: { n: t.int, add: t.int }, outputs: { n: t.int, index: t.int } },
  ({ n, add }, { index }) => ({ n: n * n + add, index: index ?? -1 }),
);

export const fan = dynamic({ inputs: { n: t.int }, outputs: { all: t.list(t.int) } }, ({ n }) => ({
  all: Array.from({ length: n }, (_, i) => square({ n: i, add: 1 }).n),
}));
