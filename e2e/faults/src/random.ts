import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus';

/** Everything random in a round comes from one seed, in streams of their own: more faults don't change the load. */
export class Random {
  private readonly generator;

  constructor(seed: number, stream = '') {
    let mixed = seed | 0;
    for (const char of stream) mixed = (Math.imul(mixed ^ char.charCodeAt(0), 0x01000193) + 0x9e3779b9) | 0;
    this.generator = xoroshiro128plus(mixed);
  }

  /** A whole number from `from` to `to`, both included. */
  int(from: number, to: number): number {
    return uniformInt(this.generator, from, to);
  }

  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.int(1, 100) <= percent;
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('there is nothing to pick from');
    return items[this.int(0, items.length - 1)] as T;
  }

  /** By weight. */
  pickWeighted<T>(items: readonly (readonly [T, number])[]): T {
    let left = this.int(
      1,
      items.reduce((sum, [, weight]) => sum + weight, 0),
    );
    for (const [item, weight] of items) if ((left -= weight) <= 0) return item;
    throw new RangeError('weights must be positive');
  }

  /** Short mostly, long now and then: between the bounds, its logarithm evenly spread. */
  duration(fromMs: number, toMs: number): number {
    const steps = 1000;
    return Math.round(fromMs * (toMs / fromMs) ** (this.int(0, steps) / steps));
  }
}

/** Seed number `index` of those derived from one. */
export function derivedSeed(seed: number, index: number): number {
  return new Random(seed, `round ${index}`).int(1, 0x7fffffff);
}
