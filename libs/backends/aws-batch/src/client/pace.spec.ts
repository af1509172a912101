import { Pace } from './pace.js';

describe('pace', () => {
  const turns = async (pace: Pace, count: number) => {
    const begin = performance.now();
    await Promise.all(Array.from({ length: count }, () => pace.turn()));
    return performance.now() - begin;
  };

  it('gives no more turns a second than it may', async () => {
    expect(await turns(new Pace({ perSecond: 100 }), 40)).toBeGreaterThan(250);
  });

  it('halves the rate once for all turns of one storm, and comes back with those that go well', async () => {
    const pace = new Pace({ perSecond: 1_000 });
    const storm = await Promise.all(Array.from({ length: 10 }, () => pace.turn()));
    for (const turn of storm) pace.slowDown(turn);
    expect(pace.perSecond).toBe(500);
    pace.slowDown(await pace.turn());
    expect(pace.perSecond).toBe(250);
    for (let i = 0; i < 100; i += 1) pace.wentWell();
    expect(pace.perSecond).toBe(1_000);
  });

  it('never stops altogether', async () => {
    const pace = new Pace({ perSecond: 1_000 });
    for (let i = 0; i < 10; i += 1) pace.slowDown(await pace.turn());
    expect(pace.perSecond).toBe(20);
  });
});
