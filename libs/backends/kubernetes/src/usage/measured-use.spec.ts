import { MeasuredUse, type Sample } from './measured-use.js';

const at = (seconds: number) => Date.UTC(2026, 0, 1) + seconds * 1000;
const sample = (seconds: number, more: Partial<Sample>): Sample => ({
  namespace: 'n',
  pod: 'p',
  container: 'main',
  at: at(seconds),
  memoryBytes: 0,
  ...more,
});

// U-25
describe('what a pod was seen to use', () => {
  it('is nothing where nothing was seen', () => {
    expect(new MeasuredUse().figures(at(60), 60_000)).toBeUndefined();
  });

  it('of a counter: its last value, and what it grew by of late for as long as the end is behind it', () => {
    const use = new MeasuredUse();
    use.add(sample(10, { cpuSeconds: 4, memoryBytes: 100 }), at(0));
    use.add(sample(20, { cpuSeconds: 24, memoryBytes: 300 }), at(0));
    expect(use.figures(at(25), 60_000)).toEqual({
      cpuSeconds: 34,
      memoryByteSeconds: 10 * 100 + 10 * 200 + 5 * 300,
      peakMemoryBytes: 300n,
    });
  });

  it('of cores in use: those, for the time until then', () => {
    const use = new MeasuredUse();
    use.add(sample(10, { cpuCores: 0.5 }), at(0));
    use.add(sample(40, { cpuCores: 2 }), at(0));
    expect(use.figures(at(41), 60_000)?.cpuSeconds).toBe(0.5 * 10 + 2 * 30 + 2);
  });

  it('what is told twice, or late, counts once', () => {
    const use = new MeasuredUse();
    for (const seconds of [10, 20, 20, 15]) use.add(sample(seconds, { cpuCores: 1, memoryBytes: 10 }), at(0));
    expect(use.figures(at(20), 60_000)).toEqual({ cpuSeconds: 20, memoryByteSeconds: 200, peakMemoryBytes: 10n });
  });

  it('adds up containers and pods; nothing is reckoned for long of one that is not seen any more', () => {
    const use = new MeasuredUse();
    use.add(sample(10, { container: 'before', cpuCores: 1, memoryBytes: 50 }), at(0));
    use.add(sample(110, { cpuSeconds: 30, memoryBytes: 70 }), at(10));
    use.add(sample(110, { pod: 'p-worker-0', cpuSeconds: 5, memoryBytes: 7, startedAt: at(60) }), undefined);
    const { cpuSeconds, peakMemoryBytes } = use.figures(at(110), 20_000)!;
    expect(cpuSeconds).toBe(10 + 20 + 30 + 5);
    expect(peakMemoryBytes).toBe(127n);
  });
});
