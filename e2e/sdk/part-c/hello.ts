import { t, task, workflow } from '@aloft/sdk';

const greet = task({ name: 'hello.greet', inputs: { name: t.string }, outputs: { text: t.string } }, ({ name }) => ({
  text: `Hello, ${name}!`,
}));

export const wf = workflow(
  { inputs: { name: t.string.default('world') }, outputs: { text: t.string } },
  ({ name }) => ({ text: greet({ name }).text }),
);
