import { writeFile } from 'node:fs/promises';
import { t, task, workflow } from '@aloft/sdk';

const io = { inputs: { path: t.string }, outputs: { path: t.string } };
const fine = task({ name: 'failure-node.fine', ...io }, ({ path }) => ({ path }));
const boom = task({ name: 'failure-node.boom', ...io }, ({ path }): { path: string } => {
  throw new Error(`no luck with ${path}`);
});
const tidy = task(
  { name: 'failure-node.tidy', inputs: { path: t.string, err: t.optional(t.error) } },
  async ({ path, err }) => {
    await writeFile(path, `${err?.failedNodeId}\n${err?.message}`);
    return {};
  },
);

export const wf = workflow({ ...io, failureNode: ({ path }, err) => tidy({ path, err }) }, ({ path }) => ({
  path: boom({ path: fine({ path }).path }).path,
}));
