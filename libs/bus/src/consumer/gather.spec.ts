import type { IncomingMessage, ReadBatch } from '../port.js';
import { gather, gatherTime, urgentTime } from './gather.js';

describe('how long a batch gathers', () => {
  it.each([
    ['a moment, where little is to do', { gatherMs: 10, maxGatherMs: 250, tookMs: 2 }, 10],
    ['twice what the last took', { gatherMs: 10, maxGatherMs: 250, tookMs: 40 }, 80],
    ['no longer than the most', { gatherMs: 10, maxGatherMs: 250, tookMs: 400 }, 250],
    ['always the same, unless a most is said', { gatherMs: 10, tookMs: 400 }, 10],
  ])('%s', (_what, times, expected) => expect(gatherTime(times)).toBe(expected));
});

describe('how long a batch with something urgent in it gathers', () => {
  it.each([
    ['not at all, where batches are quick', { gatherMs: 10, maxGatherMs: 250, tookMs: 10 }, 0],
    ['as long as the last took', { gatherMs: 10, maxGatherMs: 250, tookMs: 40 }, 40],
    ['no longer than the most', { gatherMs: 10, maxGatherMs: 250, tookMs: 400 }, 250],
  ])('%s', (_what, times, expected) => expect(urgentTime(times)).toBe(expected));
});

describe('gathering', () => {
  const batch = (...ids: string[]): ReadBatch => ({
    messages: ids.map((id) => ({ envelope: { id } }) as IncomingMessage),
    acknowledge: () => undefined,
    reject: () => undefined,
  });
  const urgent = ({ envelope }: IncomingMessage) => envelope.id === 'urgent';
  const hour = 3_600_000;

  /** Gives these one by one, each as soon as it is asked for, then nothing more for ever. */
  const reader = (...left: string[]) => ({
    poll: () => (left.length > 0 ? batch(left.shift()!) : undefined),
    ready: () => (left.length > 0 ? Promise.resolve() : new Promise<void>(() => undefined)),
  });
  const idsOf = ({ messages }: ReadBatch) => messages.map(({ envelope }) => envelope.id);

  it('ends with what is urgent', async () => {
    const options = { maxBatch: 10, gatherMs: hour, urgent };
    expect(idsOf(await gather(reader('b', 'urgent', 'c'), batch('a'), options))).toEqual(['a', 'b', 'urgent']);
  });

  it('goes on behind it for as long as that may wait, from the beginning', async () => {
    const options = { maxBatch: 10, gatherMs: hour, urgent, urgentMs: 20 };
    expect(idsOf(await gather(reader('b', 'c'), batch('urgent'), options))).toEqual(['urgent', 'b', 'c']);
    expect(idsOf(await gather(reader('urgent', 'c'), batch('a'), options))).toEqual(['a', 'urgent', 'c']);
  });

  it('ends when it is full', async () => {
    expect(idsOf(await gather(reader('b', 'c'), batch('a'), { maxBatch: 2, gatherMs: hour }))).toEqual(['a', 'b']);
  });
});
