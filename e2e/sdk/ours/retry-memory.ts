import { shellTask, t, workflow } from '@aloft/sdk';

/** About 180 MB: too much for its 128 Mi, not for twice that. */
const greedy = shellTask({
  name: 'retry-memory.greedy',
  outputs: { bytes: t.int },
  resources: { memory: '128Mi' },
  retries: 1,
  retryPolicy: 'delay=2s jitter=0 memory=2',
  script: `"${process.execPath}" -e 'const much = Buffer.alloc(14e7, 1); setTimeout(() => console.log(much.length), 1500)' > $OUTPUTS/bytes`,
});

export const wf = workflow({ outputs: { bytes: t.int } }, () => ({ bytes: greedy().bytes }));
