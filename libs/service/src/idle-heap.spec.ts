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

const busy: HeapLook = { heap: 600 * MB, busy: 0.9 };
const quiet: HeapLook = { heap: 600 * MB, busy: 0.02 };
const small: HeapLook = { heap: 100 * MB, busy: 0.02 };

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
});
