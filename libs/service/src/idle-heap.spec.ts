import { IdleHeap, type HeapLook } from './idle-heap.js';

const MB = 2 ** 20;

/** How often the heap was compacted, after looks at it. */
function after(looks: HeapLook[]): number {
  let compacted = 0;
  let at = 0;
  const heap = new IdleHeap(
    () => compacted++,
    () => looks[at++]!,
  );
  for (let i = 0; i < looks.length; i++) heap.check();
  return compacted;
}

const busy: HeapLook = { heap: 600 * MB, used: 590 * MB, busy: 0.9 };
const quiet: HeapLook = { heap: 600 * MB, used: 590 * MB, busy: 0.02 };
const small: HeapLook = { heap: 60 * MB, used: 50 * MB, busy: 0.02 };
const spare: HeapLook = { heap: 250 * MB, used: 120 * MB, busy: 0.02 };

describe('an idle heap', () => {
  it('is compacted when there is little to do for a while', () => {
    expect(after([busy, quiet])).toBe(0);
    expect(after([busy, quiet, quiet])).toBe(1);
    expect(after([busy, quiet, busy, quiet, busy])).toBe(0);
  });

  it('is left alone where little would be won, and where little was', () => {
    expect(after([small, small, small])).toBe(0);
    expect(after([busy, quiet, quiet, quiet, quiet, quiet])).toBe(1);
    expect(after([busy, quiet, quiet, small, small])).toBe(1);
    expect(after([busy, quiet, quiet, small, busy, quiet, quiet])).toBe(2);
  });

  it('is compacted again, not for ever, where pages without objects were not given back', () => {
    expect(after([busy, quiet, quiet, spare])).toBe(2);
    expect(after([busy, quiet, quiet, spare, small, small])).toBe(2);
    expect(after([busy, quiet, quiet, spare, spare, spare, spare])).toBe(3);
    expect(after([busy, quiet, quiet, spare, spare, spare, busy, quiet, quiet])).toBe(4);
  });
});
