import { t, task, workflow } from '@aloft/sdk';

const io = { inputs: { title: t.string }, outputs: { title: t.string } };
const withDeck = task({ name: 'deck.with-deck', ...io, deck: true }, ({ title }, { deck }) => {
  deck.add('report', `<h1>${title}</h1>`);
  return { title };
});

export const wf = workflow(io, ({ title }) => ({ title: withDeck({ title }).title }));
