import { describe, expect, it } from '@jest/globals';
import { pairs, surplus } from './share.js';

describe('shares of partitions', () => {
  it('the highest partitions beyond the share are given', () => {
    expect(surplus([3, 0, 2, 1], 2)).toEqual([2, 3]);
    expect(surplus([3, 0], 2)).toEqual([]);
  });

  it('a partition is owned only with both of its leases', () => {
    const lease = (topic: string, partition: number) => ({
      stream: { topic, partition },
      epoch: 1n,
      expiresAt: new Date(0),
    });
    const held = pairs([lease('executions.commands', 0), lease('tasks.reports', 0), lease('executions.commands', 1)]);
    expect([...held.keys()]).toEqual([0]);
  });
});
