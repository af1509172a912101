import { EventQueue } from './event-queue.js';

const never = new AbortController().signal;

test('gives all that is there, in order', async () => {
  const queue = new EventQueue<number>(10, () => {});
  queue.push(1);
  queue.push(2);
  expect(await queue.next(never)).toEqual({ items: [1, 2] });
  const waiting = queue.next(never);
  queue.push(3);
  expect(await waiting).toEqual({ items: [3] });
});

test('is bounded: a slow watcher is told of the newest event that it missed, once', async () => {
  const queue = new EventQueue<number>(2, () => {});
  for (const item of [1, 2, 3, 4]) queue.push(item);
  expect(await queue.next(never)).toEqual({ dropped: 4 });
  queue.push(5);
  expect(await queue.next(never)).toEqual({ items: [5] });
});

test('ends when its reader goes, and fails when the server does', async () => {
  let closed = false;
  const queue = new EventQueue<number>(2, () => (closed = true));
  const gone = new AbortController();
  const waiting = queue.next(gone.signal);
  gone.abort();
  expect(await waiting).toBeUndefined();
  const failing = queue.next(never);
  queue.fail(new Error('shuts down'));
  await expect(failing).rejects.toThrow('shuts down');
  queue.close();
  expect(closed).toBe(true);
});
