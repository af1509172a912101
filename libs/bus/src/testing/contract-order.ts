import { expect, it } from '@jest/globals';
import type { StreamReader } from '../port.js';
import type { ContractContext } from './contract.js';
import { applied, apply, message, numbered, publish, random } from './fixture.js';

const topic = 'executions.events';

export function orderCases(context: ContractContext): void {
  it('sends what commits and nothing of what rolls back, without a gap', async () => {
    const { bus, database } = context.fixture;
    await publish(bus, database, [message(topic, 'a', 'm1')]);
    const rolledBack = database.transaction(async (tx) => {
      await bus.publish(tx, [message(topic, 'a', 'lost')]);
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    await database.transaction(async (tx) => {
      await bus.publish(tx, [message(topic, 'a', 'm2')]);
      await bus.publish(tx, [message(topic, 'a', 'm3'), message('registry.events', 'b', 'other topic')]);
    });
    const reader = bus.read({ topic, partition: 0 }, 0n);
    expect(await take(reader, 3)).toEqual(['m1', 'm2', 'm3']);
    expect(reader.poll(10)).toBeUndefined();
    await reader.close();
    expect(await reader.next(10)).toBeUndefined();
  });

  it('reads from after a position, whole or in the middle of what one commit published', async () => {
    const { bus, database } = context.fixture;
    await publish(
      bus,
      database,
      numbered(1000).map((id) => message(topic, 'a', id)),
    );
    // Nobody has a position that was not read before: a driver may need a moment after the commit.
    expect(await bus.heads([{ topic, partition: 0 }])).toEqual([1000n]);
    const reader = bus.read({ topic, partition: 0 }, 700n);
    expect(await take(reader, 300)).toEqual(numbered(300, 700));
  });

  it('wakes a reader of another process', async () => {
    const { bus, database } = context.fixture;
    const other = context.fixture.openBus();
    const reader = other.read({ topic, partition: 0 }, 0n);
    for (const id of numbered(20)) {
      const next = reader.next(1);
      await publish(bus, database, [message(topic, 'a', id)]);
      expect((await next)!.messages.map(({ envelope }) => envelope.id)).toEqual([id]);
    }
  });

  it('keeps the order of each key over partitions and concurrent publishers', async () => {
    const { bus, database } = await context.open({ partitions: 4 });
    const keys = numbered(12).map((name) => `key ${name}`);
    const consumer = bus.consume({ topic, group: 'projection', database, mode: 'leased', maxBatch: 7, handle: apply });
    await Promise.all(
      keys.map(async (key) => {
        for (let i = 0; i < 20; i++) await publish(bus, database, [message(topic, key, `${key} ${1000 + i}`)]);
      }),
    );
    await consumer.caughtUp();
    const ids = await applied(database);
    expect(ids).toHaveLength(240);
    for (const key of keys) {
      const ofKey = ids.filter((id) => id.startsWith(key));
      expect(ofKey).toEqual([...ofKey].sort());
    }
    expect(consumer.status()).toHaveLength(4);
    for (const { position, head } of consumer.status()) expect(position).toBe(head);
  });

  it('never makes a reader skip, whichever way concurrent publishers commit, roll back or overtake', async () => {
    const seed = Number(process.env.ALOFT_SEED ?? Math.floor(Math.random() * 2 ** 31));
    console.info(`ALOFT_SEED=${seed}`);
    const next = random(seed);
    const { bus, database } = context.fixture;
    const other = context.fixture.openBus();
    const stream = { topic, partition: 0 };
    const readers = [
      bus.read(stream, 0n, { maxBuffered: 16 }),
      bus.read(stream, 0n),
      other.read(stream, 0n, { maxBuffered: 40 }),
    ];
    let committed = 0;
    const publisher = async (name: number) => {
      for (let round = 0; round < 25; round++) {
        const by = next() < 0.5 ? bus : other;
        const count = 1 + Math.floor(next() * (next() < 0.1 ? 600 : 5));
        const fails = next() < 0.2;
        const slow = next() < 0.3;
        await database
          .transaction(async (tx) => {
            await by.publish(
              tx,
              numbered(count).map((id) => message(topic, `key ${name}`, `${name} ${round} ${id}`)),
            );
            if (slow) await tx.query('SELECT pg_sleep(0.003)');
            if (fails) throw new Error('rolled back');
            tx.afterCommit(() => (committed += count));
          })
          .catch((error: Error) => expect(error.message).toBe('rolled back'));
      }
    };
    await Promise.all([1, 2, 3, 4, 5, 6].map(publisher));
    for (const reader of readers) {
      const positions: bigint[] = [];
      while (positions.length < committed) {
        const batch = await reader.next(1 + Math.floor(next() * 50));
        positions.push(...batch!.messages.map(({ position }) => position!));
      }
      expect(positions).toEqual(Array.from({ length: committed }, (_, i) => BigInt(i + 1)));
      expect(reader.poll(1)).toBeUndefined();
    }
    expect(await bus.heads([stream])).toEqual([BigInt(committed)]);
  });

  it('tails from now on, in every process, and stores nothing', async () => {
    const { bus, database } = context.fixture;
    await publish(bus, database, [message(topic, 'a', 'before')]);
    const seen: string[][] = [[], []];
    const tails = [bus, context.fixture.openBus()].map((each, i) =>
      each.consume({
        topic,
        group: 'live',
        database,
        mode: 'tail',
        handle: async (messages, tx) => {
          expect(tx).toBeUndefined();
          seen[i]!.push(...messages.map(({ envelope }) => envelope.id));
        },
      }),
    );
    await Promise.all(tails.map((tail) => tail.caughtUp()));
    await publish(
      bus,
      database,
      numbered(3).map((id) => message(topic, 'a', id)),
    );
    await Promise.all(tails.map((tail) => tail.caughtUp()));
    expect(seen).toEqual([numbered(3), numbered(3)]);
    expect((await database.query(`SELECT count(*) FROM bus_streams WHERE group_name = 'live'`)).rows).toEqual([
      { count: 0n },
    ]);
  });
}

/** Ids of the next `count` messages. */
export async function take(reader: StreamReader, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) {
    const batch = await reader.next(count - ids.length);
    ids.push(...batch!.messages.map(({ envelope }) => envelope.id));
    batch!.acknowledge();
  }
  return ids;
}
