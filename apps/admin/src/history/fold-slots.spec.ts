import { FoldSlots } from './fold-slots.js';

test('so many at once, the others in order, and no more than may wait', async () => {
  const slots = new FoldSlots(1, 1);
  const order: string[] = [];
  let end: () => void = () => undefined;
  const first = slots.with(() => new Promise<void>((resolve) => (end = resolve)));
  const second = slots.with(async () => void order.push('second'));
  await expect(slots.with(async () => undefined)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  expect(order).toEqual([]);
  end();
  await Promise.all([first, second]);
  expect(order).toEqual(['second']);
  await expect(slots.with(() => Promise.reject(new Error('it failed')))).rejects.toThrow('it failed');
  expect(await slots.with(async () => 'free again')).toBe('free again');
});
