import fc from 'fast-check';
import { AttemptQueue, type Queued } from './attempt-queue.js';
import { formatBytes, limitsOf, parseQuantity, requestOf } from './quantity.js';
import { launchOf } from '../testing/launches.js';

const item = (
  key: string,
  cpu: number,
  more: { memory?: number; gpu?: number; group?: string; budgetMs?: number } = {},
): Queued => ({
  key,
  budgetMs: more.budgetMs,
  group: more.group ?? 'run1',
  request: { milliCpu: cpu * 1000, memoryBytes: more.memory ?? 0, gpu: more.gpu ?? 0 },
});

const takeAll = (queue: AttemptQueue<Queued>) => {
  const keys: string[] = [];
  for (let next = queue.take(); next; next = queue.take()) keys.push(next.key);
  return keys;
};

describe('AttemptQueue', () => {
  it('S-8: gives whatever fits, past what does not', () => {
    const queue = new AttemptQueue({ cpu: 4, gpu: 1 });
    for (const one of [item('a', 3), item('big', 4), item('b', 1), item('gpu', 0.1, { gpu: 1 }), item('c', 0.1)])
      queue.offer(one);
    expect(takeAll(queue)).toEqual(['a', 'b']);
    queue.release(item('b', 1).request);
    expect(takeAll(queue)).toEqual(['gpu', 'c']);
    expect(queue.waiting).toBe(1);
  });

  it('S-8: whatever comes and goes, capacity is never passed and nothing waits that fits', () => {
    const shapes = fc.record({
      cpu: fc.constantFrom(0.1, 0.5, 1, 2, 8),
      memory: fc.constantFrom(0, 1, 4, 7),
      gpu: fc.constantFrom(0, 0, 0, 1),
      group: fc.constantFrom('a', 'b', 'c'),
    });
    const steps = fc.array(fc.oneof(shapes, fc.nat(20)), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (sequence) => {
        const capacity = { cpu: 8, memoryBytes: 8, gpu: 1, slots: 10 };
        const queue = new AttemptQueue<Queued>(capacity, { now: () => 0 });
        const waiting = new Map<string, Queued>();
        const running: Queued[] = [];
        let next = 0;
        for (const step of sequence) {
          if (typeof step === 'number') {
            const [gone] = running.splice(step % Math.max(1, running.length), 1);
            if (gone) queue.release(gone.request);
          } else {
            const one = item(String(next++), step.cpu, step);
            waiting.set(one.key, one);
            queue.offer(one);
          }
          for (let taken = queue.take(); taken; taken = queue.take()) {
            running.push(taken);
            waiting.delete(taken.key);
          }
          const sum = (of: keyof Queued['request']) => running.reduce((total, { request }) => total + request[of], 0);
          const free = { milliCpu: 8000 - sum('milliCpu'), memoryBytes: 8 - sum('memoryBytes'), gpu: 1 - sum('gpu') };
          expect(Math.min(free.milliCpu, free.memoryBytes, free.gpu, 10 - running.length)).toBeGreaterThanOrEqual(0);
          if (running.length < 10)
            for (const { request } of waiting.values())
              expect(
                request.milliCpu > free.milliCpu || request.memoryBytes > free.memoryBytes || request.gpu > free.gpu,
              ).toBe(true);
          expect(queue.waiting).toBe(waiting.size);
        }
      }),
    );
  });

  it('executions take turns: a fan-out does not hold up a small run', () => {
    const queue = new AttemptQueue({ slots: 3 });
    for (let i = 0; i < 100; i++) queue.offer(item(`fan${i}`, 1, { group: 'fan' }));
    queue.offer(item('small', 1, { group: 'small' }));
    expect(takeAll(queue)).toContain('small');
  });

  it('what is too large for the free part gets its turn after a while: younger ones make room', () => {
    let now = 0;
    const queue = new AttemptQueue({ cpu: 2 }, { patienceMs: 100, now: () => now });
    queue.offer(item('small0', 1));
    expect(takeAll(queue)).toEqual(['small0']);
    queue.offer(item('big', 2));
    queue.offer(item('small1', 1));
    expect(takeAll(queue)).toEqual(['small1']);
    now = 101;
    queue.offer(item('small2', 1));
    queue.release(item('small0', 1).request);
    expect(takeAll(queue)).toEqual([]);
    queue.release(item('small1', 1).request);
    expect(takeAll(queue)).toEqual(['big']);
  });

  it('A-210: what may wait less goes first, of whatever shape, here and where another host has room', () => {
    const queue = new AttemptQueue({ slots: 0 }, { now: () => 0 });
    queue.offer(item('low', 1, { budgetMs: 7_200_000, group: 'a' }));
    queue.offer(item('medium', 2, { group: 'b' }));
    queue.offer(item('high', 3, { budgetMs: 60_000, group: 'c' }));
    queue.offer(item('high too', 1, { budgetMs: 60_000, group: 'a' }));
    const room = { milliCpu: 99_000, memoryBytes: 99, gpu: 9, slots: 9 };
    const order = ['high', 'high too', 'medium', 'low'];
    const taken = queue.takeFor(room, 9);
    expect(taken.map(({ key }) => key)).toEqual(order);
    // Back to where they were, and out again.
    for (const one of taken) queue.putBack(one);
    expect(queue.takeFor(room, 9).map(({ key }) => key)).toEqual(order);
  });

  it('A-210: urgent work never holds up the rest for longer than the difference of their budgets', () => {
    let now = 0;
    const queue = new AttemptQueue({ slots: 1 }, { now: () => now });
    queue.offer(item('low', 1, { budgetMs: 1_000, group: 'low' }));
    const started: string[] = [];
    for (; started.at(-1) !== 'low' && now < 10_000; now += 100) {
      queue.offer(item(`high${now}`, 1, { budgetMs: 200, group: 'high' }));
      const next = queue.take()!;
      started.push(next.key);
      queue.release(next.request);
    }
    // Those that came by then have had as long a wait as they may before it has.
    expect(started).toEqual([...[0, 100, 200, 300, 400, 500, 600, 700].map((at) => `high${at}`), 'low']);
  });

  it('says what is asked beyond everything there is, and what is in the way', () => {
    const queue = new AttemptQueue({ cpu: 2, memoryBytes: 2 ** 30, gpu: 0 });
    expect(queue.exceeds(item('a', 8).request)).toBe('cpu 8, and this backend has 2');
    expect(queue.exceeds(item('a', 1, { memory: 2 ** 31 }).request)).toBe('memory 2Gi, and this backend has 1Gi');
    expect(queue.exceeds(item('a', 1, { gpu: 1 }).request)).toBe('gpu 1, and this backend has 0');
    queue.occupy(item('a', 1.5).request);
    expect(queue.shortage(item('b', 1).request)).toBe('cpu 1 asked, 0.5 of 2 free');
  });
});

describe('quantities', () => {
  it.each([
    ['500m', 0.5],
    ['2', 2],
    ['1.5Gi', 1.5 * 2 ** 30],
    ['1e3', 1000],
    ['250M', 250e6],
    ['.5', 0.5],
    ['100k', 1e5],
  ])('%s is %d', (text, value) => expect(parseQuantity(text)).toBeCloseTo(value, 9));

  it.each(['', 'lots', '-1', '1Zi', '1 Gi', '0x10'])('"%s" is none, and that is said', (text) =>
    expect(() => parseQuantity(text)).toThrow(`"${text}" is not a quantity`),
  );

  it('S-27: requests and limits of a launch; a limit alone is the request, too', () => {
    const launch = launchOf({ name: 'a', cpu: '1500m', memory: '1Gi', gpu: '1' });
    expect(requestOf(launch)).toEqual({ milliCpu: 1500, memoryBytes: 2 ** 30, gpu: 1 });
    expect(limitsOf(launch)).toEqual({ milliCpu: undefined, memoryBytes: 2 ** 30 });
    if (launch.resources) launch.resources.requests = [];
    expect(requestOf(launch).memoryBytes).toBe(2 ** 30);
    expect(() => requestOf(launchOf({ name: 'a', cpu: 'many' }))).toThrow('resources: cpu: "many" is not a quantity');
  });

  it('bytes for people', () =>
    expect([2 ** 30, 1.5 * 2 ** 30, 2 ** 20, 1000].map(formatBytes)).toEqual(['1Gi', '1536Mi', '1Mi', '1000']));
});
