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
