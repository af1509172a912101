import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PositionTracker } from './position-tracker.js';

describe('PositionTracker', () => {
  it('stops before the first that is not applied', () => {
    const tracker = new PositionTracker(10n);
    const [a, b, c] = [11n, 12n, 15n].map((position) => tracker.take(position));
    c!();
    expect(tracker.applied).toBe(10n);
    a!();
    expect(tracker.applied).toBe(11n);
    expect(tracker.waiting).toBe(2);
    b!();
    expect(tracker.applied).toBe(15n);
    expect(tracker.waiting).toBe(0);
  });

  it('knows repeats, also when nothing waits', () => {
    const tracker = new PositionTracker(10n);
    expect(tracker.seen(10n)).toBe(true);
    expect(tracker.seen(11n)).toBe(false);
    const applied = tracker.take(11n);
    expect(tracker.seen(11n)).toBe(true);
    applied();
    expect(tracker.seen(11n)).toBe(true);
    expect(tracker.seen(12n)).toBe(false);
  });

  it('ends at the last one in whatever order they are applied', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(
          Array.from({ length: 3000 }, (_, i) => i),
          { minLength: 3000 },
        ),
        (order) => {
          const tracker = new PositionTracker(0n);
          const applied = order.map((_, i) => tracker.take(BigInt(i + 1)));
          const done = new Set<number>();
          for (const i of order) {
            applied[i]!();
            done.add(i);
            if (done.size % 1000 === 0) {
              let prefix = 0;
              while (done.has(prefix)) prefix += 1;
              expect(tracker.applied).toBe(BigInt(prefix));
            }
          }
          expect(tracker.applied).toBe(3000n);
        },
      ),
      { numRuns: 5 },
    );
  });
});
