import { LoadCurves } from './load-curves.js';

describe('how many attempts ran at once (S-2)', () => {
  const curves = () => new LoadCurves(1_000, 2_000, 4);
  const local = (from: number, to: number, width = 1) => ({ backend: 'local', from, to, width });

  it('the most of each part; what went on before and goes on after counts where it ran', () => {
    const load = curves();
    load.add(local(0, 1_300));
    load.add(local(1_100, 1_200));
    load.add(local(1_900, Infinity));
    load.add({ ...local(1_260, 1_270), backend: 'kubernetes' });
    expect(load.answer()).toEqual([
      { backend: 'kubernetes', running: [0, 1, 0, 0] },
      { backend: 'local', running: [2, 1, 0, 1] },
    ]);
  });

  it('one behind the other in one slot is never two', () => {
    const load = curves();
    for (let at = 1_000; at < 1_250; at += 10) load.add(local(at, at + 10));
    expect(load.answer()).toEqual([{ backend: 'local', running: [1, 1, 0, 0] }]);
  });

  it('an array is as wide as its items ran at once', () => {
    const load = curves();
    load.add(local(1_250, 1_499, 199.6));
    expect(load.answer()[0]?.running).toEqual([0, 200, 0, 0]);
  });

  it('what did not run then is left out', () => {
    const load = curves();
    load.add(local(0, 999));
    load.add(local(2_000, 3_000));
    expect(load.answer()).toEqual([]);
  });
});
