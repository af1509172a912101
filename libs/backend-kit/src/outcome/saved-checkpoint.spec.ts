import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalBlobStore } from '@aloft/blob';
import { TaskExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { launchOf } from '../testing/launches.js';
import { failure } from './phases.js';
import { withCheckpoint } from './saved-checkpoint.js';

describe('withCheckpoint', () => {
  const dir = mkdtempSync(join(tmpdir(), 'aloft-checkpoint-'));
  const blob = createLocalBlobStore({ dir, durable: false });
  afterAll(() => rm(dir, { recursive: true }));

  const failed = failure({ code: 'Oops', message: 'oops', kind: 'USER', retryable: true });
  const launched = (name: string, args: (prefix: string) => string[]) => {
    const checkpointPrefix = `s3://aloft/data/${name}/_flytecheckpoints`;
    return { ...launchOf({ name, args: args(checkpointPrefix) }), checkpointPrefix };
  };
  const asked = (prefix: string) => ['pyflyte-execute', '--checkpoint-path', prefix];

  it('C-109: an attempt that failed or was ended says where it saved', async () => {
    const launch = launched('a', asked);
    await blob.put(`${launch.checkpointPrefix}/_dst_cp`, Buffer.from('3'));
    const report = await withCheckpoint(launch, blob, failed);
    expect(report).toMatchObject({ ...failed, outcome: { checkpointUri: launch.checkpointPrefix } });
    const ended = await withCheckpoint(launch, blob, { phase: Phase.ABORTED, reason: 'too long' });
    expect(ended).toMatchObject({
      phase: Phase.ABORTED,
      reason: 'too long',
      outcome: { result: undefined, checkpointUri: launch.checkpointPrefix },
    });
  });

  it('nothing of one that saved nothing, of a task that was never told where, of a success', async () => {
    expect(await withCheckpoint(launched('b', asked), blob, failed)).toBe(failed);
    const other = launched('c', () => ['sh', '-c', 'exit 1']);
    await blob.put(`${other.checkpointPrefix}/_dst_cp`, Buffer.from('3'));
    expect(await withCheckpoint(other, blob, failed)).toBe(failed);
    const fine = { phase: Phase.SUCCEEDED };
    expect(await withCheckpoint(launched('a', asked), blob, fine)).toBe(fine);
  });
});
