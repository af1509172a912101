import { AloftError } from '@aloft/errors';
import { describe, expect, it } from '@jest/globals';
import { Limiter } from './limiter.js';
import { unreachable, withRetries } from './retry.js';

const policy = { tries: 3, firstPauseMs: 1, maxPauseMs: 2, retried: unreachable };

describe('withRetries', () => {
  it('repeats what fails for a passing reason, so many times', async () => {
    let tries = 0;
    const flaky = async () => {
      tries += 1;
      if (tries < 3) throw new AloftError('UNAVAILABLE', 'not yet');
      return tries;
    };
    expect(await withRetries(flaky, policy, new AbortController().signal)).toBe(3);
    tries = -10;
    await expect(withRetries(flaky, policy, new AbortController().signal)).rejects.toThrow('not yet');
    expect(tries).toBe(-7);
  });

  it('passes on at once what no repeat would change, as it was thrown', async () => {
    const failure = new TypeError('wrong');
    await expect(withRetries(() => Promise.reject(failure), policy, new AbortController().signal)).rejects.toBe(
      failure,
    );
  });
});

describe('Limiter', () => {
  it('runs so many at once and the others in order', async () => {
    const limiter = new Limiter(2);
    let running = 0;
    let most = 0;
    const order: number[] = [];
    const work = (i: number) =>
      limiter.run(async () => {
        running += 1;
        most = Math.max(most, running);
        order.push(i);
        await new Promise((resolve) => setImmediate(resolve));
        running -= 1;
        if (i === 1) throw new Error('one fails');
      });
    const results = await Promise.allSettled([0, 1, 2, 3, 4].map(work));
    expect(most).toBe(2);
    expect(order).toEqual([0, 1, 2, 3, 4]);
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
      'fulfilled',
    ]);
  });
});
