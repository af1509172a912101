import { readFile, writeFile } from 'node:fs/promises';
import { FlyteFile, shellTask, t, task, workflow } from '@aloft/sdk';

const shout = shellTask({
  name: 'shell-task.shout',
  inputs: { text: t.file(), mark: t.string },
  outputs: { loud: t.file() },
  script: 'tr a-z A-Z < $INPUTS/text > $OUTPUTS/loud; cat $INPUTS/mark >> $OUTPUTS/loud',
});
const write = task(
  { name: 'shell-task.write', inputs: { text: t.string }, outputs: { text: t.file() } },
  async ({ text }, { file }) => {
    await writeFile(file('quiet.txt'), text);
    return { text: new FlyteFile(file('quiet.txt')) };
  },
);
const read = task(
  { name: 'shell-task.read', inputs: { file: t.file() }, outputs: { text: t.string } },
  async ({ file }) => ({ text: await readFile(await file.path(), 'utf8') }),
);

export const wf = workflow({ inputs: { text: t.string }, outputs: { text: t.string } }, ({ text }) => ({
  text: read({ file: shout({ text: write({ text }).text, mark: '!' }).loud }).text,
}));
