import { jest } from '@jest/globals';
import type { JobDetail } from '@aws-sdk/client-batch';
import { Describer } from './describer.js';

describe('what is known of jobs', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  const job = (jobId: string, status: JobDetail['status']): JobDetail => ({
    jobId,
    jobName: 'job',
    jobQueue: 'queue',
    jobDefinition: 'definition',
    startedAt: 1,
    status,
  });

  function describer() {
    const asked: string[] = [];
    const made = new Describer({
      describe: async (ids) => {
        asked.push(...ids);
        return ids.map((id) => job(id, 'RUNNING'));
      },
    });
    return { made, asked };
  }

  it('is given up after a while, also where events tell it all and nothing is asked for', () => {
    const { made } = describer();
    for (let i = 0; i < 1_000; i += 1) made.heard(job(`job-${i}`, 'SUCCEEDED'));
    expect(made.size).toBe(1_000);
    jest.advanceTimersByTime(31_000);
    made.heard(job('last', 'RUNNING'));
    expect(made.size).toBe(1);
  });

  it('of a job that has ended is not asked for again, of one that runs it is', async () => {
    const { made, asked } = describer();
    made.heard(job('ended', 'FAILED'));
    made.heard(job('running', 'RUNNING'));
    jest.advanceTimersByTime(5_000);
    const described = made.describe(['ended', 'running']);
    await jest.advanceTimersByTimeAsync(100);
    expect([...(await described).values()].map(({ status }) => status)).toEqual(['FAILED', 'RUNNING']);
    expect(asked).toEqual(['running']);
  });
});
