import { describe, expect, it } from '@jest/globals';
import { Marks } from './marks.js';

const of = (sequence: number, at: number) => ({ source: 'propeller', sequence: BigInt(sequence), at });

describe('what has been seen of each source', () => {
  it('a repeat is known by its number, also by whoever goes on from a stored mark', () => {
    const marks = new Marks(0n, undefined);
    expect(
      [of(1, 100), of(2, 110), of(1, 100), of(3, 120)].map((each, i) => marks.take(BigInt(i + 1), each, '')),
    ).toEqual([true, true, false, true]);
    const successor = new Marks(3n, marks.at(3n));
    expect(successor.take(4n, of(3, 120), '')).toBe(true);
    expect(successor.take(5n, of(2, 110), '')).toBe(false);
  });

  it('a repeat is one also where the clock of the publisher went back after it', () => {
    const marks = new Marks(0n, undefined);
    marks.take(1n, of(1, 1_000), '');
    marks.take(2n, of(2, 950), '');
    expect(marks.take(3n, of(1, 1_000), '')).toBe(false);
    const successor = new Marks(3n, marks.at(3n));
    expect(successor.take(4n, of(1, 1_000), '')).toBe(false);
    expect(successor.take(5n, of(3, 960), '')).toBe(true);
    expect(successor.take(6n, of(1, 1_000), '')).toBe(false);
  });

  it('a hole is a loss; an old number with a new time is a restored database', () => {
    const marks = new Marks(0n, undefined);
    marks.take(1n, of(1, 100), '');
    marks.take(2n, of(2, 110), '');
    expect(() => marks.take(3n, of(4, 120), 'a/0')).toThrow('numbers 3 to 3 of source "propeller" are missing');
    expect(() => marks.take(3n, of(2, 200), 'a/0')).toThrow('restored from a backup');
  });
});
