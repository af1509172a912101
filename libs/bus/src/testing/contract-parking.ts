import { expect, it } from '@jest/globals';
import { invalidArgument, unavailable } from '@aloft/errors';
import type { IncomingMessage, ParkedMessage } from '../port.js';
import { createParkingStore } from '../consumer/parking.js';
import type { ContractContext } from './contract.js';
import { applied, apply, deferred, message, publish } from './fixture.js';

const topic = 'executions.events';

export function parkingCases(context: ContractContext): void {
  it('parks poison with its key while everything else goes on, and releases in order', async () => {
    const { bus, database } = context.fixture;
    let healed = false;
    const parked: ParkedMessage[] = [];
    const handle = async (messages: readonly IncomingMessage[], tx: Parameters<typeof apply>[1]) => {
      await apply(messages, tx); // Even what was written before the poison is found is undone.
      if (!healed && messages.some(({ envelope }) => envelope.id === 'bad 2'))
        throw invalidArgument('bad 2 has no phase');
    };
    const options = { topic, group: 'projection', database, mode: 'leased' as const, handle };
    const consumer = bus.consume({ ...options, onParked: (each) => parked.push(each) });
    const mixed = [1, 2, 3, 4].flatMap((i) => ['bad', 'good', 'fine'].map((key) => message(topic, key, `${key} ${i}`)));
    await publish(bus, database, mixed);
    await consumer.caughtUp();
    await publish(bus, database, [message(topic, 'bad', 'bad 5'), message(topic, 'good', 'good 5')]);
    await consumer.caughtUp();

    const others = ['good 1', 'good 2', 'good 3', 'good 4', 'good 5', 'fine 1', 'fine 2', 'fine 3', 'fine 4'];
    expect((await applied(database)).sort()).toEqual([...others, 'bad 1'].sort());
    expect(parked.map(({ message: { envelope }, reason }) => [envelope.id, reason])).toEqual([
      ['bad 2', 'bad 2 has no phase'],
    ]);
    const store = createParkingStore(database, 'projection');
    expect((await store.list(10)).map((each) => each.message.envelope.id)).toEqual([
      'bad 2',
      'bad 3',
      'bad 4',
      'bad 5',
    ]);

    await expect(consumer.release('bad')).rejects.toThrow('bad 2 has no phase');
    expect(await store.list(10)).toHaveLength(4);
    healed = true;
    await consumer.release('bad');
    await publish(bus, database, [message(topic, 'bad', 'bad 6')]);
    await consumer.caughtUp();
    const ofKey = (await applied(database)).filter((id) => id.startsWith('bad'));
    expect(ofKey).toEqual(['bad 1', 'bad 2', 'bad 3', 'bad 4', 'bad 5', 'bad 6']);
    expect(await store.list(10)).toEqual([]);
    await expect(consumer.release('bad')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('remembers parked keys over a change of owner', async () => {
    const { bus, database } = context.fixture;
    const options = { topic, group: 'projection', database, mode: 'leased' as const };
    const first = bus.consume({
      ...options,
      handle: async () => {
        throw invalidArgument('not yet');
      },
    });
    await publish(bus, database, [message(topic, 'bad', 'bad 1')]);
    await first.caughtUp();
    await first.close();
    const second = context.fixture.openBus().consume({ ...options, handle: apply });
    await publish(bus, database, [message(topic, 'bad', 'bad 2'), message(topic, 'good', 'good 1')]);
    await second.caughtUp();
    expect(await applied(database)).toEqual(['good 1']);
    await second.release('bad');
    expect(await applied(database)).toEqual(['good 1', 'bad 1', 'bad 2']);
  });

  it('tries again what may pass, with the same batch, and parks nothing', async () => {
    const { bus, database } = context.fixture;
    let failures = 3;
    const consumer = bus.consume({
      topic,
      group: 'projection',
      database,
      mode: 'leased',
      handle: async (messages, tx) => {
        await apply(messages, tx);
        if (failures-- > 0) throw unavailable('the catalog restarts');
      },
      onParked: () => expect('parked').toBe('never'),
    });
    await publish(
      bus,
      database,
      ['1', '2', '3'].map((id) => message(topic, 'a', id)),
    );
    await consumer.caughtUp();
    expect(await applied(database)).toEqual(['1', '2', '3']);
  });

  it('ends while its handler fails for the time being', async () => {
    const { bus, database } = context.fixture;
    const tried = deferred();
    const consumer = bus.consume({
      topic,
      group: 'projection',
      database,
      mode: 'leased',
      handle: async () => {
        tried.resolve();
        throw unavailable('down');
      },
    });
    await publish(bus, database, [message(topic, 'a', '1')]);
    await tried.promise;
    await consumer.close();
    await expect(consumer.caughtUp()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
}
