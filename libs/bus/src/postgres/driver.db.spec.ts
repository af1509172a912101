import { createDataSource, createService, inTransaction, openDatabase } from '@aloft/database';
import { createPostgresBus } from './postgres-bus.js';
import { allowPublishing } from './grants.js';
import { message, numbered, publish } from '../testing/fixture.js';
import { take } from '../testing/contract-order.js';
import { testBus, type TestBus } from '../testing/test-bus.js';

const topic = 'executions.events';
const stream = { topic, partition: 0 };

describe('postgres driver', () => {
  let test: TestBus;
  beforeEach(async () => {
    test = await testBus({ schema: 'service', recheckMs: 200, retention: { ms: 0 } });
  });
  afterEach(() => test.drop());

  const rows = async () => (await test.open('bus', 1).query('SELECT first, last FROM messages ORDER BY last')).rows;

  it('trims what every group has stored, and never what one still needs', async () => {
    for (let i = 0; i < 6; i++)
      await publish(
        test.bus,
        test.database,
        numbered(10, i * 10).map((id) => message(topic, 'k', id)),
      );
    expect(await test.bus.trim()).toBe(0); // Nobody has registered: the first group may be yet to come.
    await test.bus.keep('projection', [{ stream, position: 45n }]);
    await test.bus.keep('notifier', [{ stream, position: 25n }]);
    await test.bus.keep('notifier', [{ stream, position: 20n }]); // Late news moves nothing back.
    expect(await test.bus.trim()).toBe(2);
    expect(await rows()).toEqual([
      { first: 21n, last: 30n },
      { first: 31n, last: 40n },
      { first: 41n, last: 50n },
      { first: 51n, last: 60n },
    ]);
    expect(await take(test.bus.read(stream, 25n), 35)).toEqual(numbered(35, 25));
    await expect(test.bus.read(stream, 5n).next(1)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('messages 6 to 20 are no longer on the bus'),
    });
    await test.bus.keep('notifier', [{ stream, position: 60n }]);
    await test.bus.keep('projection', [{ stream, position: 60n }]);
    await test.bus.trim();
    await expect(test.bus.read(stream, 30n).next(1)).rejects.toThrow('messages 31 to 60');
    const tail = test.bus.read(stream, 60n);
    await publish(test.bus, test.database, [message(topic, 'k', 'next')]);
    expect(await take(tail, 1)).toEqual(['next']);
  });

  it('keeps young messages for those who look back, up to a size', async () => {
    const bus = createPostgresBus({ database: test.open('bus'), retention: { ms: 60_000, bytes: 30_000 } });
    for (const id of numbered(10)) await publish(bus, test.database, [message(topic, 'k', id, { size: 9_000 })]);
    await bus.keep('projection', [{ stream, position: 10n }]);
    await bus.trim();
    expect((await rows()).map(({ last }) => last)).toEqual([8n, 9n, 10n]);
    await bus.close();
  });

  it('finds what was committed by a process that died before it could notify', async () => {
    const reader = test.bus.read(stream, 0n);
    const dead = test.openBus();
    const next = reader.next(1);
    // As that process would have left it: the commit without the rest.
    await publish(dead, test.database, [message(topic, 'k', 'm1')]);
    const { rows: saved } = await test.open('bus').query<{ payload: Buffer }>('SELECT payload FROM messages');
    await next;
    await test
      .open('bus')
      .query(`SELECT publish('{${topic}}', '{0}', '{1}', '{1}', '{1}', $1::int[], $2)`, [
        [saved[0]!.payload.length],
        saved[0]!.payload,
      ]);
    expect(await take(reader, 1)).toEqual(['m1']);
  });

  it('listens again after it lost its connection, and misses nothing', async () => {
    const elsewhere = test.openBus();
    const reader = elsewhere.read(stream, 0n);
    await publish(test.bus, test.database, [message(topic, 'k', 'm1')]);
    expect(await take(reader, 1)).toEqual(['m1']);
    for (const id of ['m2', 'm3', 'm4']) {
      await test.database.query(
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE 'aloft-bus-%'`,
      );
      await publish(test.bus, test.database, [message(topic, 'k', id)]);
      expect(await take(reader, 1)).toEqual([id]);
    }
  });

  it("publishes in TypeORM's transactions", async () => {
    const source = await createDataSource(test.database, { entities: [] });
    const reader = test.bus.read(stream, 0n);
    await inTransaction(source, (_manager, tx) => test.bus.publish(tx, [message(topic, 'k', 'm1')]));
    expect(await take(reader, 1)).toEqual(['m1']);
    await source.destroy();
  });

  it('lets a role publish to the topics it was granted, and to no others', async () => {
    const role = `granted_${process.pid}`;
    const service = await createService(test.url, { schema: 'granted', role });
    const database = openDatabase({ url: service.url, schema: 'granted', poolSize: 1 });
    const to = (name: string) => publish(test.bus, database, [message(name, 'k', 'm1')]);
    try {
      await expect(to('tasks.reports')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
      await allowPublishing(test.open('bus'), role, ['tasks.reports', 'tasks.commands.%']);
      await to('tasks.reports');
      await to('tasks.commands.local');
      await expect(to('executions.commands')).rejects.toThrow(
        `role ${role} may not publish to topic executions.commands`,
      );
      await expect(database.query('SELECT * FROM bus.messages')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    } finally {
      await database.close();
      await test.database.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });
});
