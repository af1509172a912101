import { expect, it } from '@jest/globals';
import type { Bus, Consumer } from '../port.js';
import type { ContractContext } from './contract.js';
import { applied, apply, deferred, message, numbered, publish, random } from './fixture.js';

const topic = 'executions.events';

export function sharingCases(context: ContractContext): void {
  it('shares the streams evenly among those who are there, soon after each comes or goes', async () => {
    const { bus, database, openBus } = await context.open({ partitions: 8 });
    const start = (by: Bus) =>
      by.consume({ topic, group: 'projection', database, mode: 'leased', leaseMs: 30_000, handle: apply });
    const held = (consumers: Consumer[]) => consumers.map((each) => each.status().length);
    const first = start(bus);
    await until(() => first.status().length === 8);
    const begun = Date.now();
    const second = start(openBus());
    await until(() => String(held([first, second])) === '4,4');
    const third = start(openBus());
    await until(() => String(held([first, second, third]).sort()) === '2,3,3');
    // By announcement: a third of a lease time would be ten seconds for each.
    expect(Date.now() - begun).toBeLessThan(8_000);
    await second.close();
    await until(() => String(held([first, third])) === '4,4');
    await third.close();
    await until(() => first.status().length === 8);
  });

  it('hands a stream over after the batch under way, and loses and doubles nothing by it', async () => {
    const { bus, database, openBus } = await context.open({ partitions: 4 });
    const inside = deferred();
    const go = deferred();
    const options = { topic, group: 'projection', database, mode: 'leased' as const };
    const first = bus.consume({
      ...options,
      handle: async (messages, tx) => {
        inside.resolve();
        await go.promise;
        await apply(messages, tx);
      },
    });
    await until(() => first.status().length === 4);
    const ids = numbered(40);
    await publish(
      bus,
      database,
      ids.map((id) => message(topic, id, id)),
    );
    await inside.promise;
    const second = openBus().consume({ ...options, handle: apply });
    await until(() => first.status().length === 2);
    go.resolve();
    await until(() => second.status().length === 2);
    await Promise.all([first.caughtUp(), second.caughtUp()]);
    expect((await applied(database)).sort()).toEqual(ids);
  });

  it('goes on in order while consumers come and go in a storm', async () => {
    const seed = Number(process.env.ALOFT_SEED ?? Math.floor(Math.random() * 2 ** 31));
    console.info(`ALOFT_SEED=${seed}`);
    const next = random(seed);
    const { bus, database, openBus } = await context.open({ partitions: 4 });
    const buses = [bus, openBus(), openBus()];
    const start = () =>
      buses[Math.floor(next() * 3)]!.consume({
        topic,
        group: 'projection',
        database,
        mode: 'leased',
        maxBatch: 5,
        leaseMs: 1_000,
        handle: apply,
      });
    const consumers: Consumer[] = [start()];
    const keys = numbered(8).map((name) => `key ${name}`);
    let published = 0;
    for (let round = 0; round < 40; round++) {
      await publish(
        buses[Math.floor(next() * 3)]!,
        database,
        keys.map((key) => message(topic, key, `${key} ${1000 + round}`)),
      );
      published += keys.length;
      if (next() < 0.4) consumers.push(start());
      if (next() < 0.4 && consumers.length > 1)
        void consumers.splice(Math.floor(next() * consumers.length), 1)[0]!.close();
    }
    await until(async () => (await applied(database)).length >= published);
    const ids = await applied(database);
    expect(ids).toHaveLength(published);
    for (const key of keys) {
      const ofKey = ids.filter((id) => id.startsWith(key));
      expect(ofKey).toEqual([...ofKey].sort());
    }
    await Promise.all(consumers.map((consumer) => consumer.close()));
  });
}

async function until(reached: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await reached())) await new Promise((resolve) => setTimeout(resolve, 5));
}
