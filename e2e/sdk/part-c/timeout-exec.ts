import { setTimeout as delay } from 'node:timers/promises';
import { t, task, workflow } from '@aloft/sdk';

const slow = task(
  { name: 'timeout-exec.slow', inputs: { patientFrom: t.int }, outputs: { o: t.int }, timeout: '10s', retries: 1 },
  async ({ patientFrom }, { attempt }) => {
    if (attempt < patientFrom) await delay(60_000);
    return { o: attempt };
  },
);

export const wf = workflow({ inputs: { patientFrom: t.int }, outputs: { o: t.int } }, ({ patientFrom }) => ({
  o: slow({ patientFrom }).o,
}));
