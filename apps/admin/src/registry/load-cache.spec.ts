import { jest } from '@jest/globals';
import { LoadCache } from './load-cache.js';

test('one load for all who ask at once; failures and absences are not kept', async () => {
  const cache = new LoadCache<number>({ max: 10 });
  let loads = 0;
  const load = (result: () => number | undefined) => async () => {
    loads++;
    return result();
  };
  expect(
    await Promise.all(
      [1, 2, 3].map(() =>
        cache.get(
          'a',
          load(() => 1),
        ),
      ),
    ),
  ).toEqual([1, 1, 1]);
  expect(loads).toBe(1);
  expect(
    await cache.get(
      'b',
      load(() => undefined),
    ),
  ).toBeUndefined();
  expect(
    await cache.get(
      'b',
      load(() => 2),
    ),
  ).toBe(2);
  const failing = load(() => {
    throw new Error('no');
  });
  await expect(Promise.all([cache.get('c', failing), cache.get('c', failing)])).rejects.toThrow('no');
  expect(
    await cache.get(
      'c',
      load(() => 3),
    ),
  ).toBe(3);
});

test('what is cleared while it loads is not put back', async () => {
  const cache = new LoadCache<number>({ max: 10 });
  let finish = (_value: number) => {};
  const first = cache.get('a', () => new Promise((resolve) => (finish = resolve)));
  cache.clear();
  finish(1);
  expect(await first).toBe(1);
  expect(await cache.get('a', async () => 2)).toBe(2);
});

describe('values that may change elsewhere', () => {
  let now = 1_000;
  beforeEach(() => void jest.spyOn(performance, 'now').mockImplementation(() => now));
  afterEach(() => jest.restoreAllMocks());
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test('are loaded again before their time is over, by one of those who ask, and nobody waits', async () => {
    const cache = new LoadCache<number>({ max: 10, ttlMs: 1_000 });
    let loads = 0;
    const load = async () => ++loads;
    expect(await cache.get('a', load)).toBe(1);
    now += 400;
    expect(await cache.get('a', load)).toBe(1);
    expect(loads).toBe(1);
    now += 200;
    expect(await Promise.all([cache.get('a', load), cache.get('a', load)])).toEqual([1, 1]);
    await turn();
    expect(loads).toBe(2);
    now += 450;
    expect(await cache.get('a', load)).toBe(2);
  });

  test('are never older than said, also where loading again fails', async () => {
    const cache = new LoadCache<number>({ max: 10, ttlMs: 1_000 });
    await cache.get('a', async () => 1);
    now += 900;
    expect(await cache.get('a', () => Promise.reject(new Error('away')))).toBe(1);
    await turn();
    now += 101;
    await expect(cache.get('a', () => Promise.reject(new Error('away')))).rejects.toThrow('away');
    expect(await cache.get('a', async () => 2)).toBe(2);
  });

  test('what is cleared while it is loaded again is not put back', async () => {
    const cache = new LoadCache<number>({ max: 10, ttlMs: 1_000 });
    await cache.get('a', async () => 1);
    now += 900;
    let finish = (_value: number) => {};
    await cache.get('a', () => new Promise((resolve) => (finish = resolve)));
    cache.delete('a');
    finish(2);
    await turn();
    expect(await cache.get('a', async () => 3)).toBe(3);
  });
});
