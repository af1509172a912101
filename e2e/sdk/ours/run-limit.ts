import { launchPlan, sleep, t, task, workflow } from '@aloft/sdk';

const number = task({ name: 'run-limit.number', outputs: { o: t.int } }, () => ({ o: 1 }));

const slow = workflow({ name: 'run-limit.slow', outputs: { o: t.int } }, () => {
  const nap = sleep('1h');
  return { o: number({}, { after: [nap] }).o };
});

export const wf = launchPlan(slow, { annotations: { 'aloft.timeout': '3s' } });
