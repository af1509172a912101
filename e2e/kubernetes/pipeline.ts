import { shellTask, workflow } from '@aloft/sdk';

const first = shellTask({ name: 'kube.first', image: 'one:1', script: 'true', resources: { cpu: 0.2 } });
const second = shellTask({ name: 'kube.second', image: 'two:2', script: 'true' });

/** Two tasks of two images. */
export const wf = workflow({ name: 'kube.wf' }, () => {
  first({});
  second({});
  return {};
});
