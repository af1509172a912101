import { errorOf, Told } from '@aloft/backend-kit/testing';
import type { BlobStore } from '@aloft/blob';
import { AloftError } from '@aloft/errors';
import { testOptions } from '../testing/batch-world.js';
import { itemLaunch } from '../testing/items.js';
import { MemoryBlob } from '../testing/memory-blob.js';
import { slim, type Describer } from './describer.js';
import { JobReader } from './job-reader.js';

describe('a failed child of an array', () => {
  const parent = slim(
    {
      jobId: 'p',
      jobName: 'p',
      jobQueue: 'q',
      jobDefinition: 'd',
      status: 'FAILED',
      startedAt: 1,
      arrayProperties: { size: 2, statusSummary: { FAILED: 2 } },
      container: { environment: [{ name: 'ALOFT_ITEMS', value: '0-1' }] },
    },
    0,
  );
  const reason = 'Host EC2 (instance i-0123456789abcdef0) terminated.';
  const child = (status: 'RUNNING' | 'FAILED') =>
    slim(
      {
        jobId: 'p:0',
        jobName: 'p',
        jobQueue: 'q',
        jobDefinition: 'd',
        status,
        startedAt: 1,
        ...(status === 'FAILED' ? { statusReason: reason } : {}),
      },
      0,
    );

  it.each([
    ['is asked for once more', 'FAILED' as const],
    ['is still behind: what was listed holds', 'RUNNING' as const],
  ])('of which an event was heard late %s', async (_, asked) => {
    // What an event said last is of a time before the end.
    let known = child('RUNNING');
    const describer = {
      peek: () => undefined,
      forget: () => (known = child(asked)),
      describe: async (ids: Iterable<string>) =>
        new Map([...ids].map((id) => [id, id === 'p' ? parent : known] as const)),
    } as unknown as Describer;
    const failed = (index: number) => ({
      jobId: `p:${index}`,
      jobName: 'p',
      statusReason: reason,
      arrayProperties: { index },
    });
    const reader = new JobReader({
      calls: { list: async () => [failed(0), failed(1)], terminate: async () => undefined },
      describer,
      options: testOptions('http://localhost'),
      output: { of: async () => '' },
    });
    const context = new Told(new MemoryBlob() as unknown as BlobStore);
    const [answer] = await reader.read([
      { launch: itemLaunch({ index: 0, size: 2 }), context, handle: { id: 'p', child: 0 } },
    ]);
    if (!answer || answer instanceof AloftError) throw answer ?? new Error('no answer');
    expect(errorOf(answer)).toMatchObject({ code: 'Interrupted', message: expect.stringContaining(reason) });
  });
});
