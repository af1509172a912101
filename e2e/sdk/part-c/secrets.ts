import { createHash } from 'node:crypto';
import { t, task, workflow } from '@aloft/sdk';

/** Proves that it has them without telling them. */
const digest = task(
  {
    name: 'secrets.digest',
    outputs: { digest: t.string },
    secrets: [
      { group: 'team', key: 'token', mount: 'env' },
      { group: 'team', key: 'certificate', mount: 'file' },
    ],
  },
  async (_, { secret }) => {
    const both = (await secret('token', 'team')) + (await secret('certificate', 'team'));
    return { digest: createHash('sha256').update(both).digest('hex') };
  },
);
/** Whether a task that asked for none sees any. */
const others = task({ name: 'secrets.others', outputs: { seen: t.boolean } }, () => ({
  seen: Object.keys(process.env).some((name) => /^(_FSEC_|ALOFT_SECRET_)/.test(name)),
}));

export const wf = workflow({ outputs: { digest: t.string, seen: t.boolean } }, () => ({
  digest: digest().digest,
  seen: others().seen,
}));
