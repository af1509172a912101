import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { TimerHeap } from './timer-heap.js';

const entry = (uid: string, at: number, timer = 1n) => ({ uid, timer, at });

describe('TimerHeap', () => {
  it('gives out what is due, earliest first, at most so many', () => {
    const heap = new TimerHeap();
    for (const [uid, at] of [
      ['c', 3],
      ['a', 1],
      ['d', 9],
      ['b', 2],
    ] as const)
      heap.set(entry(uid, at));
    expect(heap.next()).toBe(1);
    expect(heap.due(5, 2).map(({ uid }) => uid)).toEqual(['a', 'b']);
    expect(heap.due(5, 9).map(({ uid }) => uid)).toEqual(['c']);
    expect(heap.due(5, 9)).toEqual([]);
    expect(heap.next()).toBe(9);
  });

  it('forgets the cancelled, takes the last word on the moved, and does not let rows overrule memory', () => {
    const heap = new TimerHeap();
    heap.set(entry('a', 1));
    heap.set(entry('b', 2));
    heap.set(entry('a', 5));
    heap.cancel('b', 1n);
    heap.load(entry('a', 1));
    heap.load(entry('c', 4));
    expect(heap.due(9, 9).map(({ uid, at }) => [uid, at])).toEqual([
      ['c', 4],
      ['a', 5],
    ]);
    expect(heap.size).toBe(0);
    expect(heap.next()).toBeUndefined();
  });

  it('behaves as a sorted list would', () => {
    const operation = fc.record({
      uid: fc.integer({ min: 0, max: 9 }),
      at: fc.integer({ min: 0, max: 50 }),
      cancel: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(operation), fc.integer({ min: 0, max: 60 }), (operations, now) => {
        const heap = new TimerHeap();
        const model = new Map<string, number>();
        for (const { uid, at, cancel } of operations) {
          if (cancel) {
            heap.cancel(String(uid), 1n);
            model.delete(String(uid));
          } else {
            heap.set(entry(String(uid), at));
            model.set(String(uid), at);
          }
        }
        const due = heap.due(now, Infinity);
        expect(due.map(({ at }) => at)).toEqual([...model.values()].filter((at) => at <= now).sort((a, b) => a - b));
        expect(new Map(due.map(({ uid, at }) => [uid, at]))).toEqual(new Map([...model].filter(([, at]) => at <= now)));
      }),
    );
  });
});
