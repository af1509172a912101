import { RecoverableError, t, task, workflow } from '@aloft/sdk';

const flaky = task(
  { name: 'retry-user.flaky', inputs: { failures: t.int }, outputs: { o: t.int }, retries: 2 },
  ({ failures }, { attempt }) => {
    if (attempt < failures) throw new RecoverableError(`attempt ${attempt} has no luck`);
    return { o: attempt };
  },
);

export const wf = workflow({ inputs: { failures: t.int }, outputs: { o: t.int } }, ({ failures }) => ({
  o: flaky({ failures }).o,
}));
