import PQueue from 'p-queue';
import { Cleaning } from './cleaning.js';

describe('cleaning', () => {
  const open = ({ most = 100, perSecond = 1 } = {}) => {
    const urgent = new PQueue({ concurrency: 4 });
    return { urgent, cleaning: new Cleaning(urgent, { concurrency: 2, quietMs: 50, perSecond, most }) };
  };
  const slow = (ms: number) => () => new Promise<void>((resolve) => setTimeout(resolve, ms));

  it('is done at once where nothing else is', async () => {
    const { cleaning } = open();
    await expect(cleaning.add(async () => 7)).resolves.toBe(7);
  });

  it('waits while something more urgent is under way, and a moment longer', async () => {
    const { urgent, cleaning } = open();
    const order: string[] = [];
    const creations = [1, 2, 3].map((n) => urgent.add(slow(n * 20)).then(() => order.push('created')));
    const deletions = [1, 2].map(() => cleaning.add(async () => order.push('deleted')));
    await Promise.all([...creations, ...deletions]);
    expect(order).toEqual(['created', 'created', 'created', 'deleted', 'deleted']);
  });

  it('waits while the cluster tells of work that goes on', async () => {
    const { cleaning } = open();
    cleaning.hold();
    let deleted = 0;
    const deletions = [1, 2].map(() => cleaning.add(async () => void deleted++));
    for (let i = 0; i < 5; i++) {
      await slow(20)();
      cleaning.hold();
    }
    expect(deleted).toBe(0);
    await Promise.all(deletions);
  });

  it('goes on little by little in a cluster that is never quiet', async () => {
    const { urgent, cleaning } = open({ perSecond: 20 });
    const creating = urgent.add(slow(1_000));
    let deleted = 0;
    for (let i = 0; i < 50; i++) void cleaning.add(async () => void deleted++);
    await creating;
    expect(deleted).toBeGreaterThan(5);
    expect(deleted).toBeLessThanOrEqual(20);
    cleaning.stop();
  });

  it('does not wait for ever: what is too much goes, whatever else is under way', async () => {
    const { urgent, cleaning } = open({ most: 3 });
    let over = false;
    const creating = urgent.add(slow(2_000)).then(() => (over = true));
    let deleted = 0;
    const deletions = Array.from({ length: 10 }, () => cleaning.add(async () => void deleted++));
    while (deleted < 6) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(over).toBe(false);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(deleted).toBeLessThan(10);
    await Promise.all([creating, ...deletions]);
    expect(deleted).toBe(10);
  });
});
