import { expect, it } from '@jest/globals';
import type { ConsumerOptions } from '../port.js';
import type { ContractContext } from './contract.js';
import { applied, apply, deferred, message, numbered, publish } from './fixture.js';

const topic = 'tasks.commands.test';
const group = 'repeaters';

/** Messages that are handled without a transaction, since they may be handled again. */
export function repeatableCases(context: ContractContext): void {
  const consume = (more: Pick<ConsumerOptions, 'handleRepeatable' | 'gatherMs' | 'urgent'>) => {
    const { bus, database } = context.fixture;
    return bus.consume({ topic, group, database, mode: 'leased', handle: apply, ...more });
  };
  const stored = async () => {
    const { rows } = await context.fixture.database.query<{ position: bigint }>(
      'SELECT position FROM bus_streams WHERE group_name = $1 AND topic = $2',
      [group, topic],
    );
    return Number(rows[0]?.position ?? 0);
  };
  const cheap = (id: string) => id.startsWith('m');

  it('their position is stored once they are done, and not before', async () => {
    const { bus, database } = context.fixture;
    const [taken, done] = [deferred(), deferred()];
    const consumer = consume({
      handleRepeatable: (messages) => {
        if (messages.at(-1)!.envelope.id === 'm00002') taken.resolve();
        return { count: messages.length, done: done.promise };
      },
    });
    await publish(
      bus,
      database,
      numbered(3).map((id) => message(topic, id, id)),
    );
    await taken.promise;
    expect(await stored()).toBe(0);
    done.resolve();
    await consumer.caughtUp();
    expect(await stored()).toBe(3);
    expect(await applied(database)).toEqual([]);
    await consumer.close();
  });

  it('what was taken and not done comes again to the next owner', async () => {
    const { bus, database } = context.fixture;
    const taken = deferred();
    const first = consume({
      handleRepeatable: ({ length }) => {
        taken.resolve();
        return { count: length, done: new Promise(() => undefined) };
      },
    });
    await publish(bus, database, [message(topic, 'a', 'm1')]);
    await taken.promise;
    await first.close();
    const second = consume({});
    await second.caughtUp();
    expect(await applied(database)).toEqual(['m1']);
    await second.close();
  });

  it('others behind them are handled when they are done, and move the position over both', async () => {
    const { bus, database } = context.fixture;
    const [taken, done] = [deferred(), deferred()];
    const repeated: string[] = [];
    const consumer = consume({
      handleRepeatable: (messages) => {
        const count = messages.findIndex(({ envelope }) => !cheap(envelope.id));
        const mine = count < 0 ? messages : messages.slice(0, count);
        if (mine.length === 0) return undefined;
        repeated.push(...mine.map(({ envelope }) => envelope.id));
        if (count >= 0) taken.resolve();
        return { count: mine.length, done: done.promise };
      },
    });
    await publish(
      bus,
      database,
      ['m1', 'm2', 'other', 'm3'].map((id) => message(topic, id, id)),
    );
    await taken.promise;
    expect(await applied(database)).toEqual([]);
    done.resolve();
    await consumer.caughtUp();
    // What follows in the same batch goes with it.
    expect([repeated, await applied(database)]).toEqual([
      ['m1', 'm2'],
      ['other', 'm3'],
    ]);
    expect(await stored()).toBe(4);
    await consumer.close();
  });

  it('a batch that is not full waits for more, but not with something urgent in it', async () => {
    const { bus, database } = context.fixture;
    const consumer = consume({ gatherMs: 3_600_000, urgent: ({ envelope }) => envelope.id === 'm00001' });
    await publish(bus, database, [message(topic, 'a', 'm00000')]);
    await publish(bus, database, [message(topic, 'a', 'm00001')]);
    await consumer.caughtUp();
    expect(await applied(database)).toEqual(numbered(2));
    await consumer.close();
  });
}
