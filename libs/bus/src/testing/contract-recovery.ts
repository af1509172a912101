import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from '@jest/globals';
import { createStreamLeases } from '../consumer/leases.js';
import { createPositionStore } from '../consumer/positions.js';
import type { Bus, Consumer, IncomingMessage, Stream } from '../port.js';
import type { Database, Transaction } from '@aloft/database';
import type { ContractContext } from './contract.js';
import { faultyDatabase } from './faulty-database.js';
import { applied, apply, deferred, message, numbered, publish, random, type BusDriver } from './fixture.js';

const topic = 'executions.events';
const stream = { topic, partition: 0 };

/** Applies, and sends one message on for each. */
const forwarding = (bus: Bus) => async (messages: readonly IncomingMessage[], tx: Transaction | undefined) => {
  await apply(messages, tx);
  await bus.publish(
    tx!,
    messages.map(({ envelope }) => message('registry.events', envelope.key, `after ${envelope.id}`)),
  );
};

export function recoveryCases(context: ContractContext, { oneProcess }: Pick<BusDriver, 'oneProcess'>): void {
  it('has each effect once, wherever a consumer is killed', async () => {
    const { bus, database } = context.fixture;
    const other = context.fixture.openBus();
    await publish(
      bus,
      database,
      numbered(6).map((id) => message(topic, `key ${id}`, id)),
    );
    let killed = 0;
    for (let step = 1; ; step++) {
      await database.query('TRUNCATE applied');
      const group = `group ${step}`;
      const faulty = faultyDatabase(database, step);
      const options = { topic, group, mode: 'leased' as const, maxBatch: 4 };
      const victim = bus.consume({ ...options, database: faulty, handle: forwarding(bus) });
      await Promise.race([victim.caughtUp(), faulty.struck]);
      const died = faulty.wasStruck;
      await victim.close();
      const next = other.consume({ ...options, database, handle: forwarding(other) });
      await next.caughtUp();
      await next.close();
      expect({ step, ids: await applied(database) }).toEqual({ step, ids: numbered(6) });
      const sent = await countMessages(bus, { topic: 'registry.events', partition: 0 });
      expect({ step, sent }).toEqual({ step, sent: step * 6 });
      if (!died) break;
      killed++;
    }
    expect(killed).toBeGreaterThan(20);
  }, 120_000);

  it('has each effect once, wherever all connections of its schema are dropped', async () => {
    const { bus, database } = context.fixture;
    const admin = context.fixture.openDatabase();
    const drop = async () => {
      await admin.query(
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()
           AND (application_name = 'aloft-consumer' OR application_name LIKE 'aloft-lease-%')`,
      );
    };
    await publish(
      bus,
      database,
      numbered(6).map((id) => message(topic, `key ${id}`, id)),
    );
    for (let step = 1; ; step++) {
      await admin.query('TRUNCATE applied');
      const faulty = faultyDatabase(database, step, drop);
      const options = { topic, group: `group ${step}`, mode: 'leased' as const, maxBatch: 4 };
      const consumer = bus.consume({ ...options, database: faulty, handle: forwarding(bus) });
      await consumer.caughtUp();
      await consumer.close();
      expect({ step, ids: await applied(admin) }).toEqual({ step, ids: numbered(6) });
      const sent = await countMessages(bus, { topic: 'registry.events', partition: 0 });
      expect({ step, sent }).toEqual({ step, sent: step * 6 });
      if (!faulty.wasStruck) break;
    }
  }, 120_000);

  if (!oneProcess) killedProcessCase(context);

  it('lets two consumers take over from each other while messages come', async () => {
    const { bus, database } = context.fixture;
    const buses = [bus, context.fixture.openBus()];
    const next = random(7);
    const start = (by: Bus) =>
      by.consume({ topic, group: 'projection', database, mode: 'leased', maxBatch: 10, leaseMs: 600, handle: apply });
    let consumers: Consumer[] = buses.map(start);
    for (let round = 0; round < 10; round++) {
      const from = round * 20;
      for (let i = 0; i < 20; i += 4)
        await publish(
          bus,
          database,
          numbered(4, from + i).map((id) => message(topic, 'key', id)),
        );
      const which = Math.floor(next() * 2);
      await consumers[which]!.close();
      consumers = consumers.map((consumer, i) => (i === which ? start(buses[i]!) : consumer));
    }
    const done = deferred();
    const ended = buses[0]!.consume({
      topic: 'registry.events',
      group: 'end',
      database,
      mode: 'tail',
      handle: async () => done.resolve(),
    });
    await ended.caughtUp();
    await consumers[1]!.close();
    await until(async () => (await applied(database)).length >= 200);
    expect(await applied(database)).toEqual(numbered(200));
    expect(consumers[0]!.status().map((status) => status.position)).toEqual(await buses[0]!.heads([stream]));
  });

  it("refuses a stale owner's commit", async () => {
    const { bus, database } = context.fixture;
    const inside = deferred();
    const go = deferred();
    const stale = bus.consume({
      topic,
      group: 'projection',
      database,
      mode: 'leased',
      handle: async (messages, tx) => {
        await apply(messages, tx);
        inside.resolve();
        await go.promise;
      },
    });
    await publish(bus, database, [message(topic, 'a', '1')]);
    await inside.promise;
    // It does not come to renew its lease (a paused machine): under another name, since who joins wakes it up here.
    await database.query(
      `UPDATE bus_streams SET owner = 'paused', expires_at = now() - interval '1 second' WHERE group_name = 'projection'`,
    );
    const owner = context.fixture
      .openBus()
      .consume({ topic, group: 'projection', database, mode: 'leased', handle: apply });
    await until(async () => owner.status().length === 1);
    await owner.caughtUp();
    expect(await applied(database)).toEqual(['1']);
    go.resolve();
    await until(async () => stale.status().length === 0);
    await publish(bus, database, [message(topic, 'a', '2')]);
    await owner.caughtUp();
    expect(await applied(database)).toEqual(['1', '2']);
  });

  it('moves positions under the lease that was given, from where they stand, or not at all', async () => {
    const { database } = context.fixture;
    const positions = createPositionStore('shards');
    const streams = [stream, { topic, partition: 1 }];
    const first = createStreamLeases(database, { group: 'shards' });
    const second = createStreamLeases(database, { group: 'shards' });
    const advance = (moves: Parameters<typeof positions.advance>[1]) =>
      database.transaction(async (tx) => positions.advance(tx, moves));
    const held = await first.acquire(streams);
    expect(held.map(({ epoch }) => epoch)).toEqual([1n, 1n]);
    expect(await second.acquire(streams)).toEqual([]);
    await advance(streams.map((each) => ({ stream: each, from: 0n, to: 5n, epoch: 1n })));
    await expect(advance([{ stream, from: 4n, to: 6n, epoch: 1n }])).rejects.toMatchObject({ code: 'ABORTED' });
    await first.release([stream]);
    expect((await second.acquire(streams)).map((lease) => [lease.stream.partition, lease.epoch])).toEqual([[0, 2n]]);
    const both = streams.map((each) => ({ stream: each, from: 5n, to: 6n, epoch: 1n }));
    await expect(advance(both)).rejects.toThrow('executions.events/0 is at epoch 2');
    expect(await database.transaction((tx) => positions.load(tx, streams))).toEqual([5n, 5n]);
    expect((await first.renew()).map((lease) => lease.stream.partition)).toEqual([1]);
    await first.close(); // As if its process had ended: what it holds is free.
    await until(async () => (await second.acquire(streams)).length === 2);
    expect((await second.renew()).map(({ epoch }) => epoch)).toEqual([2n, 2n]);
    await second.close();
  });

  it('takes a stream again that it was given by an answer that got lost', async () => {
    const { database } = context.fixture;
    let lost = false;
    const forgetful: Database = {
      schema: database.schema,
      url: database.url,
      close: () => database.close(),
      transaction: (work) => database.transaction(work),
      query: async (sql, values) => {
        const result = await database.query<never>(sql, values);
        if (!lost && String(sql).startsWith('UPDATE bus_streams')) {
          lost = true;
          throw Object.assign(new Error('Connection terminated'), { code: 'ECONNRESET' });
        }
        return result;
      },
    };
    const leases = createStreamLeases(forgetful, { group: 'shards' });
    await expect(leases.acquire([stream])).rejects.toThrow('Connection terminated');
    expect((await leases.acquire([stream])).map(({ epoch }) => epoch)).toEqual([2n]);
    // What it knows of stays as it is.
    expect((await leases.acquire([stream])).map(({ epoch }) => epoch)).toEqual([2n]);
    await leases.close();
  });

  it('takes a stream over even from an owner that never answers a lost commit', async () => {
    const { bus, database } = context.fixture;
    let lost = 0;
    // The commit happens, its answer does not arrive: the consumer must find out where it stands.
    const forgetful: Database = {
      schema: database.schema,
      url: database.url,
      query: (sql, values) => database.query(sql, values),
      close: () => database.close(),
      transaction: async (work) => {
        const result = await database.transaction(work);
        const { rows } = await database.query<{ n: bigint }>('SELECT count(*) AS n FROM applied');
        if (rows[0]!.n > 0n && lost++ === 0)
          throw Object.assign(new Error('Connection terminated'), { code: 'ECONNRESET' });
        return result;
      },
    };
    const consumer = bus.consume({ topic, group: 'projection', database: forgetful, mode: 'leased', handle: apply });
    await publish(bus, database, [message(topic, 'a', '1')]);
    await until(async () => lost > 0 && consumer.status().length === 1);
    await publish(bus, database, [message(topic, 'a', '2')]);
    await until(async () => (await applied(database)).includes('2'));
    expect(await applied(database)).toEqual(['1', '2']);
  });
}

function killedProcessCase(context: ContractContext): void {
  it('has each effect once when its process is killed, and goes on at once in the next', async () => {
    const { bus, database, environment } = context.fixture;
    const total = 600;
    const publishing = (async () => {
      for (let i = 0; i < total; i += 5)
        await publish(
          bus,
          database,
          numbered(5, i).map((id) => message(topic, `key ${i % 7}`, id)),
        );
    })();
    for (const kills of [1, 2, 3]) {
      const child = startConsumerProcess(environment);
      const lines = createInterface({ input: child.stdout! });
      // Somewhere in the middle of what follows the batch that it has just told of.
      for await (const line of lines) if (line === `batch ${kills * 2}`) break;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await publishing;
    const started = Date.now();
    const last = bus.consume({ topic, group: 'projection', database, mode: 'leased', handle: apply });
    await last.caughtUp();
    await until(async () => (await applied(database)).length >= total);
    // A lease of 10 s is not waited for: its owner is known to be dead.
    expect(Date.now() - started).toBeLessThan(6000);
    expect(await applied(database)).toEqual(numbered(total));
  });
}

/** Messages in a stream, read by somebody who leaves out what the driver knows to be repeats. */
async function countMessages(bus: Bus, of: Stream): Promise<number> {
  const [head] = await bus.heads([of]);
  const reader = bus.read(of, 0n);
  let count = 0;
  for (let position = 0n; position < head!; position = reader.reach(position)) {
    const batch = await reader.next(1000);
    batch!.acknowledge();
    count += batch!.messages.length;
    position = batch!.messages.at(-1)!.position!;
    // Repeats at the end may still be on their way to the reader.
    if (reader.isCaughtUp) break;
  }
  await reader.close();
  return count;
}

function startConsumerProcess(environment: Record<string, string>) {
  const script = fileURLToPath(
    new URL(`../../dist/testing/${environment.ALOFT_TEST_PROCESS ?? 'consumer-process'}.js`, import.meta.url),
  );
  const { NODE_OPTIONS: _, ...env } = process.env;
  return spawn(process.execPath, [script], { env: { ...env, ...environment }, stdio: ['pipe', 'pipe', 'inherit'] });
}

/** Asks again at each turn of the loop; each question is a round trip to the database or cheap. */
async function until(reached: () => Promise<boolean>): Promise<void> {
  while (!(await reached())) await new Promise((resolve) => setImmediate(resolve));
}
