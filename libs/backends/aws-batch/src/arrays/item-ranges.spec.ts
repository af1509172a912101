import { dice } from '@aloft/backend-kit/testing';
import { childOfIndex, readRanges, splitRanges, writeRanges } from './item-ranges.js';

describe('items of an array job as text', () => {
  it.each([
    [[0, 1, 2, 3], '0-3'],
    [[7], '7'],
    [[3, 17, 99, 100, 101], '3 17 99-101'],
    [[], ''],
  ])('%j is %s', (indices, text) => {
    expect(writeRanges(indices)).toBe(text);
    expect(readRanges(text)).toEqual(indices);
  });

  it('any set is read as it was written, each child is found, and no part is larger or longer than it may be', () => {
    const seed = Date.now() % 1e9;
    const next = dice(seed);
    for (let round = 0; round < 50; round += 1) {
      const share = next();
      const indices = Array.from({ length: 2_000 }, (_, i) => i).filter(() => next() < share);
      const parts = [...splitRanges(indices, 700, 300)];
      try {
        expect(parts.flat()).toEqual(indices);
        for (const part of parts) {
          const text = writeRanges(part);
          expect(part.length).toBeLessThanOrEqual(700);
          expect(text.length).toBeLessThanOrEqual(300);
          expect(readRanges(text)).toEqual(part);
          for (const child of [0, part.length >> 1, part.length - 1])
            expect(childOfIndex(text, part[child] as number)).toBe(child);
        }
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error });
      }
    }
    expect(childOfIndex('0-3 7', 5)).toBeUndefined();
  });
});
