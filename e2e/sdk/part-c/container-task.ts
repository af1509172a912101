import { readFile, writeFile } from 'node:fs/promises';
import { containerTask, FlyteFile, t, task, workflow } from '@aloft/sdk';

const area = containerTask({
  name: 'container-task.area',
  image: 'busybox:1.37',
  inputs: { a: t.int, b: t.int, note: t.file() },
  outputs: { area: t.int, report: t.file() },
  command: [
    '/bin/sh',
    '-c',
    'echo $(( {{.inputs.a}} * $(cat /var/inputs/b) )) > /var/outputs/area && ' +
      '(cat /var/inputs/note; echo; cat /var/inputs/inputs.json) > /var/outputs/report',
  ],
});
const refuses = containerTask({
  name: 'container-task.refuses',
  image: 'busybox:1.37',
  inputs: { a: t.int },
  outputs: { area: t.int },
  command: ['/bin/sh', '-c', 'echo not a number > /var/outputs/area'],
});
const writeNote = task(
  { name: 'container-task.write-note', inputs: { text: t.string }, outputs: { note: t.file() } },
  async ({ text }, { file }) => {
    await writeFile(file('note.txt'), text);
    return { note: new FlyteFile(file('note.txt')) };
  },
);
const readBack = task(
  { name: 'container-task.read-back', inputs: { report: t.file() }, outputs: { text: t.string } },
  async ({ report }) => ({ text: await readFile(await report.path(), 'utf8') }),
);

export const wf = workflow(
  { inputs: { a: t.int, b: t.int, note: t.string }, outputs: { area: t.int, report: t.string } },
  ({ a, b, note }) => {
    const made = area({ a, b, note: writeNote({ text: note }).note });
    return { area: made.area, report: readBack({ report: made.report }).text };
  },
);

export const badOutput = workflow({ inputs: { a: t.int }, outputs: { area: t.int } }, ({ a }) => ({
  area: refuses({ a }).area,
}));
