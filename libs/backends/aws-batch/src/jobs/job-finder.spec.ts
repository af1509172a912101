import type { TaskAttempt } from '@aloft/idl/aloft/v1/bus';
import type { JobSummary } from '@aws-sdk/client-batch';
import { itemLaunch } from '../testing/items.js';
import { JobFinder } from './job-finder.js';
import { jobName } from './names.js';

describe('jobs that were created and not written down (C-186)', () => {
  const attemptOf = (name: string): TaskAttempt => ({
    ...itemLaunch({ index: 0, size: 1 }).attempt,
    name,
    index: undefined,
  });

  function finder() {
    const jobs: JobSummary[] = [];
    let lists = 0;
    const calls = {
      list: async () => {
        lists += 1;
        return [...jobs];
      },
      describe: async () => [],
    };
    const submit = (attempt: TaskAttempt) => jobs.push({ jobId: `id-${attempt.name}`, jobName: jobName(attempt) });
    const made = new JobFinder(calls, { queues: ['all'], settleMs: 0 });
    return { find: made.find.bind(made), submit, count: () => lists };
  }

  it('one that another host submitted after this one had listed the run is found when that host is lost', async () => {
    const { find, submit, count } = finder();
    const [first, second] = [attemptOf('n0-0'), attemptOf('n0-1')];
    submit(first);
    expect(await find(first, performance.now())).toEqual({ id: 'id-n0-0' });
    submit(second);
    expect(await find(second, performance.now())).toEqual({ id: 'id-n0-1' });
    expect(count()).toBe(2);
  });

  it('all that are looked for at the same time, or were doubtful before, are found in one listing', async () => {
    const { find, submit, count } = finder();
    const attempts = Array.from({ length: 100 }, (_, i) => attemptOf(`n${i}-0`));
    for (const attempt of attempts) submit(attempt);
    const before = performance.now();
    const found = await Promise.all(attempts.map((attempt) => find(attempt, performance.now())));
    expect(found.map((job) => job?.id)).toEqual(attempts.map(({ name }) => `id-${name}`));
    expect(await find(attempts[7]!, before)).toEqual({ id: 'id-n7-0' });
    expect(count()).toBe(1);
  });
});
