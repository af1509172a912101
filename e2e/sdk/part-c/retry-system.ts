import { t, task, workflow } from '@aloft/sdk';

const killed = task(
  { name: 'retry-system.killed', inputs: { times: t.int }, outputs: { o: t.int } },
  ({ times }, { attempt }) => {
    if (attempt < times) process.kill(process.pid, 'SIGKILL');
    return { o: attempt };
  },
);

export const wf = workflow({ inputs: { times: t.int }, outputs: { o: t.int } }, ({ times }) => ({
  o: killed({ times }).o,
}));
