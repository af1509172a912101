import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import kafkajs from 'kafkajs';
import { applied, apply, contractTables, message, numbered, publish, random } from '../testing/fixture.js';
import { take } from '../testing/contract-order.js';
import { append, encodeAll } from '../batch.js';
import { outboxStatement } from './outbox/outbox.js';
import { startTestKafka, testKafkaBus, type TestKafka, type TestKafkaBus } from '../testing/kafka.js';
import { mirrorGroup, type KafkaBus } from './index.js';

const topic = 'executions.events';
const stream = { topic, partition: 0 };
const seed = Number(process.env.ALOFT_SEED ?? Math.floor(Math.random() * 2 ** 31));

let broker: TestKafka;
let test_: TestKafkaBus;
const children: ChildProcess[] = [];

beforeAll(async () => {
  broker = await startTestKafka();
}, 300_000);
afterAll(() => broker?.dispose());
beforeEach(async () => {
  test_ = await testKafkaBus({ broker, schema: 'consumer', migrations: [contractTables] });
});
afterEach(async () => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
  await test_.drop();
});

/** Kafka's own administration, as an operator would. */
async function asOperator<T>(work: (admin: kafkajs.Admin) => Promise<T>): Promise<T> {
  const admin = new kafkajs.Kafka({ brokers: broker.brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

const named = (name: string) => test_.topicPrefix + name;
const setTopic = (name: string, value: string) =>
  asOperator((admin) =>
    admin.alterConfigs({
      validateOnly: false,
      resources: [{ type: 2, name: named(topic), configEntries: [{ name, value }] }],
    }),
  );
const consume = (bus: KafkaBus, more: { group?: string } = {}) =>
  bus.consume({
    topic,
    group: 'projection',
    database: test_.database,
    mode: 'leased',
    leaseMs: 2_000,
    handle: apply,
    ...more,
  });
const until = async (reached: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await reached())) await delay(10);
};

function startPublisher(name: string, more: Record<string, string> = {}) {
  const script = fileURLToPath(new URL('../../dist/testing/kafka-publisher-process.js', import.meta.url));
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(process.execPath, [script], {
    env: {
      ...env,
      ALOFT_TEST_URL: test_.url,
      ALOFT_TEST_KAFKA: broker.brokers.join(','),
      ALOFT_TEST_PREFIX: test_.topicPrefix,
      ALOFT_TEST_NAME: name,
      ...more,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const committed: string[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => committed.push(line));
  return { child, committed };
}

/** All there is, once each, in each key's order. */
async function expectExactly(ids: readonly string[]): Promise<void> {
  await until(async () => (await applied(test_.database)).length >= ids.length);
  const seen = await applied(test_.database);
  expect([...seen].sort()).toEqual([...ids].sort());
  const names = new Set(ids.map((id) => id.split(' ')[0]));
  for (const name of names) {
    const ofName = seen.filter((id) => id.startsWith(`${name} `));
    expect(ofName).toEqual([...ofName].sort());
  }
}

test('a broker restarted, killed and paused under load: nothing lost, nothing twice, order kept', async () => {
  console.info(`ALOFT_SEED=${seed}`);
  const next = random(seed);
  const other = test_.openBus();
  const consumer = consume(other);
  const ids: string[] = [];
  let done = false;
  const publishing = (async () => {
    for (let i = 0; !done; i++) {
      const batch = [0, 1, 2].map((key) => `key${key} ${100000 + i}`);
      await publish(
        [test_.bus, other][i % 2]!,
        test_.database,
        batch.map((id) => message(topic, id.split(' ')[0]!, id)),
      );
      ids.push(...batch);
      await delay(2);
    }
  })();
  try {
    for (const fault of ['restart', 'kill', 'pause', 'kill', 'pause']) {
      await delay(200 + next() * 600);
      if (fault === 'restart') await broker.restart();
      else if (fault === 'kill') await broker.restart({ hard: true });
      else {
        broker.pause();
        await delay(500 + next() * 1_500);
        broker.resume();
      }
    }
    await delay(200);
  } finally {
    done = true;
    await publishing;
  }
  await consumer.caughtUp();
  await expectExactly(ids);
  await test_.bus.check();
});

test('with the broker down, commits go on and are said to wait; then they arrive in bounded batches', async () => {
  const consumer = consume(test_.openBus());
  await publish(test_.bus, test_.database, [message(topic, 'before', 'before 1')]);
  await consumer.caughtUp();
  await broker.kill();
  const ids = ['before 1'];
  for (let i = 0; i < 20; i++) {
    const batch = numbered(500, i * 500).map((id) => `key ${id}`);
    await publish(
      test_.bus,
      test_.database,
      batch.map((id) => message(topic, 'key', id, { size: 1_000 })),
    );
    ids.push(...batch);
  }
  await expect(test_.bus.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(test_.openBus({ deliverTimeoutMs: 300 }).deliver([message(topic, 'a', '1')])).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  });
  await broker.restart({ hard: true });
  await expectExactly(ids);
  await test_.bus.check();
  await until(async () => (await test_.database.query('SELECT 1 FROM bus_outbox LIMIT 1')).rows.length === 0);
});

test('a publisher killed before its relay sent or removed anything: its outbox is taken over at once', async () => {
  const consumer = consume(test_.bus);
  await test_.bus.start();
  await consumer.caughtUp();
  const ids: string[] = [];
  for (const round of [1, 2, 3]) {
    const { child, committed } = startPublisher(`killed${round}`, { ALOFT_TEST_LINGER: '1' });
    await until(() => committed.length > 20);
    if (round === 2) {
      broker.pause(); // So that rows wait in its outbox.
      const before = committed.length;
      await until(() => committed.length > before + 50);
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    broker.resume();
    ids.push(...committed);
  }
  const started = Date.now();
  const count = async () =>
    (await test_.database.query<{ head: bigint }>('SELECT head FROM bus_outbox_streams')).rows[0]!.head;
  // One commit of each may not have been told of any more.
  await until(async () => BigInt((await applied(test_.database)).length) === (await count()));
  expect(Date.now() - started).toBeLessThan(8_000); // A lease of 10 s is not waited for.
  const seen = await applied(test_.database);
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen).toEqual(expect.arrayContaining(ids));
});

test('a publisher killed between its commit and its NOTIFY: who holds the stream finds what nothing announced', async () => {
  const consumer = consume(test_.bus);
  await publish(test_.bus, test_.database, [message(topic, 'k', '1')]);
  await consumer.caughtUp();
  // The commit of a process that is gone before it can say so.
  const part = encodeAll([message(topic, 'k', '2'), message(topic, 'k', '3')], () => 1);
  await test_.database.transaction(async (tx) => {
    tx.withCommit(() => append(outboxStatement, part, () => undefined));
  });
  await expectExactly(['1', '2', '3']);
});

test('a publisher paused for longer than its lease, and resumed: what it sends late changes nothing', async () => {
  const consumer = consume(test_.bus);
  const { child, committed } = startPublisher('paused');
  await until(() => committed.length > 50);
  child.kill('SIGSTOP');
  const mine: string[] = [];
  // Its lease runs out while we publish to the same stream.
  const holder = async () =>
    (await test_.database.query(`SELECT owner FROM bus_streams WHERE group_name = '@outbox' AND topic = $1`, [topic]))
      .rows[0]!.owner as string;
  const before = await holder();
  for (let i = 0; (await holder()) === before; i++) {
    mine.push(`mine ${100000 + i}`);
    await publish(test_.bus, test_.database, [message(topic, 'mine', mine.at(-1)!)]);
    await delay(20);
  }
  child.kill('SIGCONT');
  const resumed = committed.length;
  await until(() => committed.length > resumed + 50);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const { rows } = await test_.database.query<{ head: bigint }>(
    'SELECT head FROM bus_outbox_streams WHERE topic = $1',
    [topic],
  );
  await until(async () => BigInt((await applied(test_.database)).length) === rows[0]!.head);
  await consumer.caughtUp();
  const seen = await applied(test_.database);
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.filter((id) => id.startsWith('mine'))).toEqual(mine);
  expect(seen).toEqual(expect.arrayContaining(committed));
});

test('repeats are dropped however late they come, also by who takes over, and are no lag', async () => {
  const reader = test_.bus.read(stream, 0n);
  // As a relay that was paused in the middle of a request would have them.
  await broker.pause();
  for (const id of numbered(5)) await publish(test_.bus, test_.database, [message(topic, 'k', id)]);
  await test_.database.query('CREATE TABLE kept AS SELECT * FROM bus_outbox');
  broker.resume();
  expect(await take(reader, 5)).toEqual(numbered(5));
  const first = consume(test_.bus);
  await first.caughtUp();
  await first.close();
  await test_.bus.close();
  const again = async () => {
    await test_.database.query('INSERT INTO bus_outbox SELECT * FROM kept ON CONFLICT DO NOTHING');
    const zombie = test_.openBus();
    await zombie.start();
    await until(async () => (await test_.database.query('SELECT 1 FROM bus_outbox LIMIT 1')).rows.length === 0);
    await zombie.close();
  };
  await again();
  const next = test_.openBus();
  const second = consume(next);
  await second.caughtUp();
  expect(await applied(test_.database)).toEqual(numbered(5));
  expect(second.status()).toEqual([{ stream, position: 10n, head: 10n }]);
  await again();
  await publish(next, test_.database, [message(topic, 'k', 'new')]);
  await second.caughtUp();
  expect(await applied(test_.database)).toEqual([...numbered(5), 'new']);
});

test('an outbox that went back in time (a restored database) stops the consumer, which says so', async () => {
  const consumer = consume(test_.openBus());
  await publish(test_.bus, test_.database, [message(topic, 'k', '1'), message(topic, 'k', '2')]);
  await consumer.caughtUp();
  await until(async () => (await test_.database.query('SELECT 1 FROM bus_outbox LIMIT 1')).rows.length === 0);
  // Before its relay gives the stream away: who takes it begins with what the database says then.
  await test_.database.query('UPDATE bus_outbox_streams SET head = 0');
  await test_.bus.close();
  await publish(test_.openBus(), test_.database, [message(topic, 'k', 'other')]);
  await until(() => consumer.status().length === 0);
  await expect(consumer.caughtUp()).rejects.toMatchObject({
    code: 'OUT_OF_RANGE',
    message: expect.stringContaining('restored from a backup'),
  });
  expect(await applied(test_.database)).toEqual(['1', '2']);
});

test('messages that Kafka lost stop the consumer, which says which', async () => {
  const consumer = consume(test_.openBus());
  await publish(test_.bus, test_.database, [message(topic, 'k', '1')]);
  await consumer.caughtUp();
  await test_.database.query('UPDATE bus_outbox_streams SET head = 8');
  await test_.bus.close();
  await publish(test_.openBus(), test_.database, [message(topic, 'k', '10')]);
  await expect(until(() => consumer.status().length === 0).then(() => consumer.caughtUp())).rejects.toMatchObject({
    code: 'DATA_LOSS',
    message: expect.stringContaining('numbers 2 to 8 of source "consumer" are missing'),
  });
});

test('retention that passed unread messages stops the consumer, which says how to mend it', async () => {
  await publish(
    test_.bus,
    test_.database,
    numbered(20).map((id) => message(topic, 'k', id)),
  );
  await test_.bus.heads([stream]);
  await asOperator(async (admin) => {
    await admin.fetchTopicOffsets(named(topic)); // It does not know the topic before.
    await admin.deleteTopicRecords({ topic: named(topic), partitions: [{ partition: 0, offset: '15' }] });
  });
  let stopped: unknown;
  const consumer = test_.openBus().consume({
    topic,
    group: 'projection',
    database: test_.database,
    mode: 'leased',
    handle: apply,
    onStopped: (error) => (stopped = error),
  });
  await until(() => stopped !== undefined);
  expect(stopped).toMatchObject({ code: 'DATA_LOSS', message: expect.stringContaining('messages 1 to 15') });
  expect(String(stopped)).toContain('retention.ms');
  await consumer.close();
  expect(await applied(test_.database)).toEqual([]);
  // What the message says mends it.
  await test_.database.query(`UPDATE bus_streams SET position = 15 WHERE group_name = 'projection'`);
  await consume(test_.openBus()).caughtUp();
  expect(await applied(test_.database)).toEqual(numbered(5, 15));
});

test('a message over the topic’s limit waits and says so, and goes when the limit is raised', async () => {
  await setTopic('max.message.bytes', '2000');
  await expect(test_.bus.deliver([message(topic, 'k', 'delivered', { size: 5_000 })])).rejects.toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    message: expect.stringContaining('max.message.bytes'),
  });
  await publish(test_.bus, test_.database, [
    message(topic, 'k', '1'),
    message(topic, 'k', '2', { size: 5_000 }),
    message(topic, 'k', '3'),
  ]);
  const reader = test_.bus.read(stream, 0n);
  expect(await take(reader, 1)).toEqual(['1']);
  await until(() =>
    test_.bus.check().then(
      () => false,
      (error: Error) => error.message.includes('max.message.bytes'),
    ),
  );
  await setTopic('max.message.bytes', '1048588');
  expect(await take(reader, 2)).toEqual(['2', '3']);
  await until(() =>
    test_.bus.check().then(
      () => true,
      () => false,
    ),
  );
});

test('lag is visible to Kafka’s own tools: positions as offsets of groups that nobody has joined', async () => {
  const consumer = consume(test_.bus);
  await publish(
    test_.bus,
    test_.database,
    numbered(30).map((id) => message(topic, id, id)),
  );
  await consumer.caughtUp();
  await consumer.close();
  await publish(test_.bus, test_.database, [message(topic, 'k', 'later')]);
  await test_.bus.heads([stream]);
  await test_.bus.flushPositions();
  const [committed] = await asOperator((admin) =>
    admin.fetchOffsets({ groupId: mirrorGroup('projection'), topics: [named(topic)] }),
  );
  expect(committed!.partitions).toEqual([expect.objectContaining({ partition: 0, offset: '30' })]);
  const [end] = await asOperator((admin) => admin.fetchTopicOffsets(named(topic)));
  expect(end!.high).toBe('31');
});

test('the relay of a stream moves to whoever publishes there, and at once when its holder closes', async () => {
  const owner = async () =>
    (await test_.database.query(`SELECT owner FROM bus_streams WHERE group_name = '@outbox' AND topic = $1`, [topic]))
      .rows[0]?.owner as string | null | undefined;
  const second = test_.openBus();
  const reader = second.read(stream, 0n);
  let count = 0;
  const by = async (bus: KafkaBus) => {
    await publish(bus, test_.database, [message(topic, 'k', `m${count++}`)]);
    expect(await take(reader, 1)).toEqual([`m${count - 1}`]);
  };
  await by(test_.bus);
  const first = await owner();
  expect(first).toBeTruthy();
  const began = Date.now();
  while ((await owner()) === first || (await owner()) === null) await by(second);
  expect(Date.now() - began).toBeLessThan(5_000);
  const moved = await owner();
  await by(second);
  await by(test_.bus);
  expect(await owner()).toBe(moved); // One message does not move it back.
  await second.close();
  await publish(test_.bus, test_.database, [message(topic, 'k', 'last')]);
  await until(async () => (await owner()) === first);
  const [head] = await test_.bus.heads([stream]);
  expect(head).toBe(BigInt(count + 1));
});

test('records carry what others may want to see of them, and not more', async () => {
  const carried = message(topic, 'key', 'id');
  carried.envelope.traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
  carried.envelope.tracestate = 'a=b';
  await publish(test_.bus, test_.database, [carried]);
  await test_.bus.heads([stream]);
  const consumer = new kafkajs.Kafka({ brokers: broker.brokers, logLevel: kafkajs.logLevel.NOTHING }).consumer({
    groupId: named('outsider'),
  });
  await consumer.connect();
  await consumer.subscribe({ topic: named(topic), fromBeginning: true });
  const got = await new Promise<kafkajs.KafkaMessage>((resolve) => {
    void consumer.run({ eachMessage: async ({ message: record }) => resolve(record) });
  });
  await consumer.disconnect();
  expect(got.key?.toString()).toBe('key');
  expect(Object.fromEntries(Object.entries(got.headers!).map(([name, value]) => [name, String(value)]))).toEqual({
    'aloft-type': 'aloft.test.Message',
    'aloft-source': 'consumer',
    'aloft-sequence': '1',
    'aloft-at': expect.stringMatching(/^\d{13}$/),
    traceparent: carried.envelope.traceparent,
    tracestate: 'a=b',
  });
});
