import { shellTask, workflow } from '@aloft/sdk';

const first = shellTask({ name: 'kube.first', image: 'one:1', script: 'true', resources: { cpu: 0.2 } });
const second = shellTask({ name: 'kube.second', image: 'two:2', script: 'true' });

/** Two tasks of two images, each of which goes to its end whatever becomes of the other. */
export const wf = workflow({ name: 'kube.wf', onFailure: 'finish-executable' }, () => {
  first({});
  second({});
  return {};
});
