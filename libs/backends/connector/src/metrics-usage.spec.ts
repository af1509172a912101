import { usageOfMetrics } from './metrics-usage.js';

const matrix = (...series: [number, string | number][][]) => ({
  resultType: 'matrix',
  result: series.map((values) => ({ metric: {}, values })),
});
const cpu = 'EXECUTION_METRIC_USED_CPU_AVG';
const memory = 'EXECUTION_METRIC_USED_MEMORY_BYTES_AVG';
const ran = { since: new Date(1_000_000), until: new Date(1_100_000) };

describe('U-25: what a job used by its connector’s metrics (A-161)', () => {
  it('is the mean by time of what was in use, for as long as it ran; each sample holds until the next', () => {
    const usage = usageOfMetrics(
      { [cpu]: matrix([[1000, '1'], [1010, '3'], [1040, '0']]), [memory]: matrix([[1000, 100], [1050, 300], [1060, 0]]) }, // prettier-ignore
      ran,
    );
    // (10 · 1 + 30 · 3) / 40 = 2.5 processors in 100 s; (50 · 100 + 10 · 300) / 60 bytes.
    expect(usage).toMatchObject({ cpuSeconds: 250, peakMemoryBytes: 300n, reserved: false });
    expect(usage?.memoryByteSeconds).toBeCloseTo((8_000 / 60) * 100, 6);
    expect(usage?.startedAt?.seconds).toBe(1_000n);
    expect(usage?.endedAt?.seconds).toBe(1_100n);
  });

  it('series of several containers are added up', () => {
    const one: [number, string][] = [
      [1, '1'],
      [2, '1'],
    ];
    expect(usageOfMetrics({ [cpu]: matrix(one, one) }, ran)?.cpuSeconds).toBe(200);
  });

  it('one value is the mean; metrics that reach back further than was seen count', () => {
    const one = { resultType: 'vector', result: [{ metric: {}, value: [1_050, '0.5'] }] };
    expect(usageOfMetrics({ [cpu]: one }, ran)?.cpuSeconds).toBe(50);
    const long = matrix([[0, '1'], [1_000, '1']]); // prettier-ignore
    expect(usageOfMetrics({ [cpu]: long }, { ...ran, since: undefined })?.cpuSeconds).toBe(1_000);
  });

  it.each([
    {},
    { slots: { used: 3 } },
    { [cpu]: { value: 0.5 } },
    { [cpu]: { result: 'none' } },
    { [cpu]: { result: [null, { values: ['x', [1, 'NaN'], [1, -1], [1]] }] } },
  ])('%j tells nothing of it', (metrics) => {
    expect(usageOfMetrics(metrics, ran)).toBeUndefined();
  });
});
