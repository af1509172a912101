import type { OutgoingMessage } from '@aloft/bus';
import { createLogger } from '@aloft/telemetry';
import { ReportSender } from './report-sender.js';

const logger = createLogger('sender', { level: 'silent' });
const message = (text: string, size = 10) =>
  ({ topic: 't', envelope: { id: text, payload: Buffer.alloc(size) } }) as unknown as OutgoingMessage;

/** Deliveries wait here until the test settles them. */
function setUp(options: Partial<ConstructorParameters<typeof ReportSender>[0]> = {}) {
  const deliveries: { ids: string[]; acknowledge: () => void; reject: () => void }[] = [];
  let wake = () => {};
  const sender = new ReportSender({
    logger,
    coalesceMs: 5,
    backoffMs: { first: 1, longest: 4 },
    ...options,
    bus: {
      deliver: (messages) =>
        new Promise((resolve, reject) => {
          const ids = messages.map(({ envelope }) => envelope.id);
          deliveries.push({ ids, acknowledge: () => resolve(), reject: () => reject(new Error('no')) });
          wake();
        }),
    },
  });
  const delivered = async (count: number) => {
    while (deliveries.length < count) await new Promise<void>((resolve) => (wake = resolve));
    return deliveries[count - 1] as (typeof deliveries)[number];
  };
  return { sender, deliveries, delivered };
}

describe('ReportSender', () => {
  it('sends many attempts in few deliveries, bounded in number and bytes', async () => {
    const { sender, deliveries, delivered } = setUp({ maxBatch: 3, maxBatchBytes: 5_000 });
    for (let i = 0; i < 7; i++) sender.send(`a${i}`, message(`m${i}`), true);
    sender.send('large', message('large', 4_800), true);
    await delivered(3);
    expect(deliveries.map(({ ids }) => ids)).toEqual([['m0', 'm1', 'm2'], ['m3', 'm4', 'm5'], ['m6'], ['large']]);
    sender.stop();
  });

  it('a newer report replaces one that was not sent, never one that is on its way', async () => {
    const { sender, deliveries, delivered } = setUp();
    const acknowledged: string[] = [];
    sender.send('a', message('initializing'), false, () => acknowledged.push('initializing'));
    sender.send('a', message('running'), false, () => acknowledged.push('running'));
    const first = await delivered(1);
    expect(first.ids).toEqual(['running']);
    sender.send('a', message('succeeded'), true, () => acknowledged.push('succeeded'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(deliveries).toHaveLength(1);
    first.acknowledge();
    const second = await delivered(2);
    expect(second.ids).toEqual(['succeeded']);
    second.acknowledge();
    await sender.drain(1_000);
    expect(acknowledged).toEqual(['running', 'succeeded']);
    expect(sender.pending).toBe(0);
  });

  it('sends again what was rejected or is silent too long, and then the newest only', async () => {
    const { sender, delivered } = setUp({ timeoutMs: 10 });
    sender.send('a', message('running'), true);
    (await delivered(1)).reject();
    const second = await delivered(2);
    expect(second.ids).toEqual(['running']);
    sender.send('a', message('succeeded'), true);
    const third = await delivered(3);
    expect(third.ids).toEqual(['succeeded']);
    third.acknowledge();
    await sender.drain(1_000);
    expect(sender.pending).toBe(0);
  });

  it('has so many deliveries under way at most', async () => {
    const { sender, deliveries, delivered } = setUp({ maxBatch: 1, maxInFlight: 2 });
    for (let i = 0; i < 4; i++) sender.send(`a${i}`, message(`m${i}`), true);
    await delivered(2);
    await new Promise((resolve) => setImmediate(resolve));
    expect(deliveries).toHaveLength(2);
    deliveries[0]?.acknowledge();
    expect((await delivered(3)).ids).toEqual(['m2']);
    sender.stop();
  });
});
