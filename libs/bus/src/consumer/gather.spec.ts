import { gatherTime } from './gather.js';

describe('how long a batch gathers', () => {
  it.each([
    ['a moment, where little is to do', { gatherMs: 10, maxGatherMs: 250, tookMs: 2 }, 10],
    ['twice what the last took', { gatherMs: 10, maxGatherMs: 250, tookMs: 40 }, 80],
    ['no longer than the most', { gatherMs: 10, maxGatherMs: 250, tookMs: 400 }, 250],
    ['always the same, unless a most is said', { gatherMs: 10, tookMs: 400 }, 10],
  ])('%s', (_what, times, expected) => expect(gatherTime(times)).toBe(expected));
});
