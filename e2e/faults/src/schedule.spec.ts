import { planRun, shapeNames } from './load/shapes.js';
import { derivedSeed, Random } from './random.js';
import { planFaults, weights } from './schedule.js';

describe('the schedule', () => {
  const settings = { seed: 42, faults: 200, shape: 'distributed' as const };

  it('is the same for the same seed, another for another', () => {
    expect(planFaults(settings)).toEqual(planFaults(settings));
    expect(planFaults({ ...settings, seed: 43 })).not.toEqual(planFaults(settings));
    expect(derivedSeed(42, 1)).toBe(derivedSeed(42, 1));
    expect(new Set(Array.from({ length: 100 }, (_, i) => derivedSeed(42, i))).size).toBe(100);
  });

  it('of fewer faults is the beginning of the one of more', () => {
    expect(planFaults({ ...settings, faults: 20 })).toEqual(planFaults(settings).slice(0, 20));
  });

  it('has every kind sooner or later, and stays within its bounds', () => {
    for (const shape of ['embedded', 'distributed'] as const) {
      const faults = planFaults({ seed: 1, faults: 3000, shape });
      expect(new Set(faults.map(({ kind, role }) => `${kind} ${role}`))).toEqual(
        new Set(weights[shape].map(([name]) => name)),
      );
      expect(faults.every(({ lengthMs, gapMs }) => lengthMs >= 100 && lengthMs <= 6000 && gapMs >= 20)).toBe(true);
      expect(faults.some(({ wait }) => wait) && faults.some(({ wait }) => !wait)).toBe(true);
    }
  });

  it('can be narrowed, and says so when nothing is left', () => {
    const kills = planFaults({ ...settings, only: /^kill propeller$/ });
    expect(kills.every(({ kind, role }) => kind === 'kill' && role === 'propeller')).toBe(true);
    expect(() => planFaults({ ...settings, only: /nonsense/ })).toThrow('no fault of the distributed shape matches');
  });
});

describe('the load', () => {
  it('is the same for the same seed, and has every shape', () => {
    const plan = () => {
      const random = new Random(7, 'load');
      return Array.from({ length: 60 }, (_, i) => planRun(random, i));
    };
    expect(plan()).toEqual(plan());
    expect(new Set(plan().map(({ shape }) => shape))).toEqual(new Set(shapeNames));
  });
});
