import fc from 'fast-check';
import { choose, eligible, type Target } from './placement.js';

const target = (name: string, more: Partial<Target> = {}): Target => ({
  name,
  weight: 1,
  labels: [],
  pools: [],
  draining: false,
  ...more,
});
const placement = (clusterLabel: string) => ({ clusterLabel, clusterPool: '' }) as never;
const keys = Array.from({ length: 4_000 }, (_, i) => `uid/run${i}-n0-0`);

describe('which cluster gets an attempt (S-26)', () => {
  it('those with the run’s label; without one, any', () => {
    const targets = [target('a'), target('b', { labels: ['production'] })];
    expect(eligible(targets, placement('production')).map(({ name }) => name)).toEqual(['b']);
    expect(eligible(targets, placement('nowhere'))).toEqual([]);
    expect(eligible(targets, undefined)).toHaveLength(2);
  });

  it('by weight', () => {
    const targets = [target('a', { weight: 3 }), target('b')];
    const a = keys.filter((key) => choose(targets, key)?.name === 'a').length / keys.length;
    expect(a).toBeGreaterThan(0.72);
    expect(a).toBeLessThan(0.78);
  });

  it('one that drains gets nothing; the others’ shares stay where they are', () => {
    fc.assert(
      fc.property(fc.constantFrom(...keys), (key) => {
        const all = [target('a'), target('b'), target('c')];
        const before = choose(all, key)?.name;
        const after = choose([target('a', { draining: true }), target('b'), target('c')], key)?.name;
        expect(after).not.toBe('a');
        if (before !== 'a') expect(after).toBe(before);
      }),
    );
    expect(choose([target('a', { draining: true })], 'x')).toBeUndefined();
  });

  it('weight 0 is for what may go nowhere else', () => {
    const targets = [target('a', { weight: 0 }), target('b')];
    expect(keys.every((key) => choose(targets, key)?.name === 'b')).toBe(true);
    expect(choose([target('a', { weight: 0 })], 'x')?.name).toBe('a');
  });
});
