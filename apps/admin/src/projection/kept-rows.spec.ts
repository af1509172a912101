import { KeptRows, noRows, type RunRows } from './kept-rows.js';
import type { ProjectedNode } from './projection.repository.js';

const rows = (sequence: bigint, nodes = 0): RunRows => ({
  ...noRows(true),
  sequence,
  nodes: new Map(Array.from({ length: nodes }, (_, i) => [`n${i}`, {} as ProjectedNode])),
});

describe('rows kept between batches', () => {
  it('are given once, and only at the sequence that is stored', () => {
    const kept = new KeptRows(10);
    const mine = rows(5n);
    kept.put('a', mine);
    expect(kept.take('a', 5n)).toBe(mine);
    expect(kept.take('a', 5n)).toBeUndefined();
    kept.put('a', mine);
    expect(kept.take('a', 6n)).toBeUndefined();
    expect(kept.take('a', 5n)).toBeUndefined();
  });

  it('make room, the oldest first; what is too large alone is not kept', () => {
    const kept = new KeptRows(10);
    kept.put('a', rows(1n, 3));
    kept.put('b', rows(1n, 3));
    kept.put('a', rows(2n, 4));
    kept.put('c', rows(1n, 2));
    expect(kept.take('b', 1n)).toBeUndefined();
    expect([kept.take('a', 2n), kept.take('c', 1n)]).toEqual([rows(2n, 4), rows(1n, 2)]);
    kept.put('d', rows(1n, 10));
    expect(kept.take('d', 1n)).toBeUndefined();
  });
});
