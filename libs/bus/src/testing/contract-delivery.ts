import { expect, it } from '@jest/globals';
import { take } from './contract-order.js';
import type { ContractContext } from './contract.js';
import { message, numbered, publish } from './fixture.js';

const topic = 'tasks.reports';
const stream = { topic, partition: 0 };

/** Drivers that hand over nothing in memory: delivering is storing. */
export function storedDeliveryCases(context: ContractContext): void {
  it('resolves when it is stored, and a consumer gets it, in order of each sender', async () => {
    const { bus } = context.fixture;
    const reader = context.fixture.openBus().read(stream, 0n, { acceptDelivered: true });
    await Promise.all(numbered(50).map((id) => bus.deliver([message(topic, id, id)])));
    expect((await take(reader, 50)).sort()).toEqual(numbered(50));
    expect(await bus.heads([stream])).toEqual([50n]);
    await bus.deliver(numbered(3, 50).map((id) => message(topic, 'a', id)));
    const batch = (await reader.next(3))!;
    expect(batch.messages.map(({ position, envelope }) => [position, envelope.id])).toEqual([
      [51n, 'm00050'],
      [52n, 'm00051'],
      [53n, 'm00052'],
    ]);
  });

  it('mixes with what is published, each in its order', async () => {
    const { bus, database } = context.fixture;
    const reader = bus.read(stream, 0n);
    for (const i of [1, 2, 3]) {
      await publish(bus, database, [message(topic, 'a', `published ${i}`)]);
      await bus.deliver([message(topic, 'a', `delivered ${i}`)]);
    }
    const ids = await take(reader, 6);
    for (const kind of ['published', 'delivered'])
      expect(ids.filter((id) => id.startsWith(kind))).toEqual([1, 2, 3].map((i) => `${kind} ${i}`));
  });
}

export function deliveryCases(context: ContractContext): void {
  it('resolves with the acknowledgement of a consumer in this process, without storing anything', async () => {
    const { bus } = context.fixture;
    const reader = bus.read(stream, 0n, { acceptDelivered: true });
    await bus.heads([stream]); // The reader knows by then that it misses nothing.
    await until(() => reader.isCaughtUp);
    let acknowledged = false;
    const delivered = bus.deliver(numbered(3).map((id) => message(topic, id, id))).then(() => (acknowledged = true));
    const first = (await reader.next(2))!;
    expect(first.messages.map(({ position, envelope }) => [position, envelope.id])).toEqual([
      [null, 'm00000'],
      [null, 'm00001'],
    ]);
    first.acknowledge();
    const second = (await reader.next(2))!;
    expect(acknowledged).toBe(false);
    second.acknowledge();
    await delivered;
    expect(await bus.heads([stream])).toEqual([0n]);
  });

  it('rejects when the consumer does, and when it closes in between', async () => {
    const { bus } = context.fixture;
    const reader = bus.read(stream, 0n, { acceptDelivered: true });
    await until(() => reader.isCaughtUp);
    const refused = bus.deliver([message(topic, 'a', '1')]);
    (await reader.next(1))!.reject(new Error('not now'));
    await expect(refused).rejects.toThrow('not now');
    const lost = bus.deliver([message(topic, 'a', '2')]);
    await reader.next(1);
    await reader.close();
    await expect(lost).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('stores what no consumer in this process takes', async () => {
    const { bus } = context.fixture;
    await Promise.all(numbered(50).map((id) => bus.deliver([message(topic, id, id)])));
    const elsewhere = context.fixture.openBus().read(stream, 0n, { acceptDelivered: true });
    expect((await take(elsewhere, 50)).sort()).toEqual(numbered(50));
    const plain = bus.read(stream, 50n);
    await bus.deliver([message(topic, 'a', 'stored')]);
    expect(await take(plain, 1)).toEqual(['stored']);
  });

  it('stores what a closing consumer had not looked at', async () => {
    const { bus } = context.fixture;
    const reader = bus.read(stream, 0n, { acceptDelivered: true });
    await until(() => reader.isCaughtUp);
    const delivered = bus.deliver([message(topic, 'a', '1')]);
    await reader.close();
    await delivered;
    expect(await take(bus.read(stream, 0n), 1)).toEqual(['1']);
  });

  it('never lets a delivered message overtake a stored one, and stores what has no room', async () => {
    const { bus, database } = context.fixture;
    await publish(bus, database, [message(topic, 'a', 'stored 1')]);
    const reader = bus.read(stream, 0n, { acceptDelivered: true, maxBuffered: 4 });
    // It has not read the stored one yet, so this is stored behind it.
    await bus.deliver([message(topic, 'a', 'stored 2')]);
    await until(() => reader.isCaughtUp);
    const pending = [3, 4].map((i) => bus.deliver([message(topic, 'a', `delivered ${i}`)]));
    await bus.deliver([message(topic, 'b', 'stored 5')]);
    expect(await take(reader, 2)).toEqual(['stored 1', 'stored 2']);
    const rest = await take(reader, 3);
    expect(rest.sort()).toEqual(['delivered 3', 'delivered 4', 'stored 5']);
    await Promise.all(pending);
  });
}

async function until(reached: () => boolean): Promise<void> {
  while (!reached()) await new Promise((resolve) => setImmediate(resolve));
}
