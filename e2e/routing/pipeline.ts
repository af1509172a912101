import { shellTask, workflow } from '@aloft/sdk';

/** Two tasks that differ in what they ask for. Nothing here says where they run. */
const small = shellTask({
  name: 'routing.small',
  script: 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done',
  resources: { cpu: 0.2 },
});
const big = shellTask({ name: 'routing.big', script: 'echo big', resources: { cpu: 2, memory: '64Mi' } });

const nap = shellTask({ name: 'routing.nap', script: 'sleep 0.2', resources: { cpu: 0.2 } });

export const burst = workflow({ name: 'routing.burst' }, () => {
  for (let i = 0; i < 200; i++) nap({});
  return {};
});

export const wf = workflow({ name: 'routing.wf' }, () => {
  small({});
  big({});
  return {};
});
