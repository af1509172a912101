import { expect, it } from '@jest/globals';
import { maxMessageBytes } from '../port.js';
import { take } from './contract-order.js';
import type { ContractContext } from './contract.js';
import { applied, apply, message, numbered, publish } from './fixture.js';

const topic = 'executions.events';

export function boundCases(context: ContractContext): void {
  it('gives a consumer one batch at a time, of at most maxBatch', async () => {
    const { bus, database } = context.fixture;
    let running = 0;
    let largest = 0;
    const consumer = bus.consume({
      topic,
      group: 'projection',
      database,
      mode: 'leased',
      maxBatch: 10,
      handle: async (messages, tx) => {
        expect(++running).toBe(1);
        largest = Math.max(largest, messages.length);
        await apply(messages, tx);
        running--;
      },
    });
    for (let i = 0; i < 10; i++)
      await publish(
        bus,
        database,
        numbered(30, i * 30).map((id) => message(topic, id, id)),
      );
    await consumer.caughtUp();
    expect(largest).toBe(10);
    expect(await applied(database)).toEqual(numbered(300));
  });

  it('buffers no more than it was told, and loses nothing by that', async () => {
    const { bus, database } = context.fixture;
    const reader = bus.read({ topic, partition: 0 }, 0n, { maxBuffered: 50 });
    for (let i = 0; i < 40; i++)
      await publish(
        bus,
        database,
        numbered(25, i * 25).map((id) => message(topic, id, id)),
      );
    expect((await reader.next(1000))!.messages.length).toBeLessThanOrEqual(50);
    const rest: string[] = [];
    while (rest.at(-1) !== 'm00999') {
      const { messages } = (await reader.next(1000))!;
      expect(messages.length).toBeLessThanOrEqual(50);
      rest.push(...messages.map(({ envelope }) => envelope.id));
    }
    expect(rest).toEqual(numbered(rest.length, 1000 - rest.length));
    expect(rest.length).toBeGreaterThanOrEqual(950);
  });

  it('refuses a message over 256 KiB before anything is sent, and takes one of just that', async () => {
    const { bus, database } = context.fixture;
    const overhead = 60;
    const large = message(topic, 'a', 'large', { size: maxMessageBytes - overhead });
    await publish(bus, database, [large, large]);
    const tooLarge = [message(topic, 'a', 'before'), message(topic, 'a', 'too large', { size: maxMessageBytes })];
    await expect(publish(bus, database, tooLarge)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringContaining('262144'),
    });
    await expect(bus.deliver(tooLarge)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    const reader = bus.read({ topic, partition: 0 }, 0n);
    expect(await take(reader, 2)).toEqual(['large', 'large']);
    expect(await bus.heads([{ topic, partition: 0 }])).toEqual([2n]);
  });

  it('refuses a message without id, type or key', async () => {
    const { bus, database } = context.fixture;
    const { envelope } = message(topic, 'a', 'm1');
    for (const field of ['id', 'type', 'key'] as const)
      await expect(publish(bus, database, [{ topic, envelope: { ...envelope, [field]: '' } }])).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(`envelope.${field}`),
      });
  });

  it('stops at a message that needs a newer reader, having applied those before it', async () => {
    const { bus, database } = context.fixture;
    const consumer = bus.consume({ topic, group: 'projection', database, mode: 'leased', handle: apply });
    const messages = [
      message(topic, 'a', '1'),
      message(topic, 'b', '2', { minReaderVersion: 2 }),
      message(topic, 'c', '3'),
    ];
    await publish(bus, database, messages);
    await expect(consumer.caughtUp()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('executions.events/0 at position 2'),
    });
    expect(await applied(database)).toEqual(['1']);
    expect((await database.query(`SELECT position FROM bus_streams WHERE group_name = 'projection'`)).rows).toEqual([
      { position: 1n },
    ]);
    const again = context.fixture.openBus().read({ topic, partition: 0 }, 0n);
    expect(await take(again, 1)).toEqual(['1']);
    await expect(again.next(1)).rejects.toThrow('start a newer build');
  });

  it('refuses to go on after a position that the stream does not have', async () => {
    const { bus, database } = context.fixture;
    await publish(bus, database, [message(topic, 'a', '1')]);
    const reader = bus.read({ topic, partition: 0 }, 7n);
    await expect(reader.next(1)).rejects.toMatchObject({ code: 'OUT_OF_RANGE' });
  });
}
