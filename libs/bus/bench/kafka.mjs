// Throughput and latency of the kafka driver on a real broker and an embedded, durable Postgres: node libs/bus/bench/kafka.mjs
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { busMigrations, envelope } from '@aloft/bus';
import { createKafkaBus } from '@aloft/bus/kafka';
import { createService, migrate, openDatabase, startEmbeddedPostgres } from '@aloft/database';
import { start } from '../../../tools/infra/kafka.mjs';

const folder = mkdtempSync(join(tmpdir(), 'aloft-bus-bench-'));
const [postgres, broker] = await Promise.all([
  startEmbeddedPostgres({ dataDir: join(folder, 'postgres') }),
  start({ dir: join(folder, 'kafka') }),
]);
const service = await createService(postgres.url, { schema: 'service' });
const open = (poolSize) => openDatabase({ ...service, role: undefined, poolSize });
const database = open(20);
await migrate(database, 'bus', busMigrations);
await database.query('CREATE TABLE work (id text)');
const topics = ['nobody', 'latency', 'elsewhere', 'consumed', 'reports'];
const options = { brokers: broker.brokers, topics, partitions: 1, replicationFactor: 1, minInSyncReplicas: 1 };
const bus = createKafkaBus({ ...options, database });
await bus.start();
const otherDatabase = open(4);
const other = createKafkaBus({ ...options, database: otherDatabase });

let count = 0;
const message = (topic, size = 300) => ({
  topic,
  envelope: envelope({
    id: `m${count++}`,
    type: 'aloft.bench.Message',
    key: `k${count % 100}`,
    payload: Buffer.alloc(size),
  }),
});
const publish = (messages, by = bus) => database.transaction((tx) => by.publish(tx, messages));
const insert = (messages, tx) =>
  tx.query({ name: 'work', text: 'INSERT INTO work SELECT unnest($1::text[])' }, [messages.map((m) => m.envelope.id)]);

function report(name, ms, more = {}) {
  ms.sort((a, b) => a - b);
  const at = (q) => ms[Math.min(ms.length - 1, Math.floor(ms.length * q))]?.toFixed(2);
  console.log(JSON.stringify({ name, n: ms.length, p50_ms: at(0.5), p99_ms: at(0.99), ...more }));
}
async function times(n, work) {
  const ms = [];
  for (let i = 0; i < n; i++) {
    const from = performance.now();
    await work(i);
    ms.push(performance.now() - from);
  }
  return ms;
}
async function next(reader) {
  const batch = await reader.next(1);
  batch.acknowledge();
}
const cpu = () => process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000;

await times(100, () => database.transaction((tx) => insert([message('x')], tx)));
report('commit of one insert', await times(300, () => database.transaction((tx) => insert([message('x')], tx))));
report(
  'insert and publish 1',
  await times(300, () =>
    database.transaction(async (tx) => {
      await insert([message('x')], tx);
      await bus.publish(tx, [message('nobody')]);
    }),
  ),
);

// One message from BEGIN to a reader: relayed by the process that published it, and by another one.
const here = bus.read({ topic: 'latency', partition: 0 }, 0n);
await Promise.all([next(here), publish([message('latency')])]);
report(
  'publish 1 to a reader, relay in the process',
  await times(300, () => Promise.all([next(here), publish([message('latency')])])),
);
await here.close();
const there = bus.read({ topic: 'elsewhere', partition: 0 }, 0n);
await Promise.all([next(there), publish([message('elsewhere')])]);
report(
  'publish 1 to a reader, relay elsewhere',
  // Its own publishing keeps the lease where it is.
  await times(150, async () => {
    await Promise.all([next(there), publish([message('elsewhere')], other)]);
    await Promise.all([next(there), publish([message('elsewhere')])]);
  }).then((ms) => ms.map((each) => each / 2)),
  { note: 'mean of one relayed elsewhere and one here' },
);
await there.close();
const [reported] = await bus.heads([{ topic: 'reports', partition: 0 }]);
const reports = bus.read({ topic: 'reports', partition: 0 }, reported);
await Promise.all([next(reports), bus.deliver([message('reports')])]);
report('deliver 1, acknowledged', await times(300, () => bus.deliver([message('reports')])));
await reports.close();

let applied = 0;
let wanted = Infinity;
let reached = () => {};
const consumer = bus.consume({
  topic: 'consumed',
  group: 'bench',
  database,
  mode: 'leased',
  handle: async (messages, tx) => {
    await insert(messages, tx);
    tx.afterCommit(() => (applied += messages.length) >= wanted && reached());
  },
});
const until = (n) =>
  new Promise((resolve) => {
    wanted = n;
    reached = resolve;
    if (applied >= n) resolve();
  });
await consumer.caughtUp();
report(
  "publish 1 to a consumer's commit",
  await times(300, async () => {
    const target = applied + 1;
    await publish([message('consumed')]);
    await until(target);
  }),
);

for (const [name, publishers, rounds, batch] of [
  ['16 publishers of 1', 16, 100, 1],
  ['2 publishers of 500', 2, 50, 500],
]) {
  const target = applied + publishers * rounds * batch;
  const from = performance.now();
  const used = cpu();
  await Promise.all(
    Array.from({ length: publishers }, () =>
      times(rounds, () => publish(Array.from({ length: batch }, () => message('consumed')))),
    ),
  );
  const published = performance.now() - from;
  await until(target);
  const consumed = performance.now() - from;
  const n = publishers * rounds * batch;
  console.log(
    JSON.stringify({
      name,
      n,
      published_per_s: Math.round(n / (published / 1000)),
      consumed_per_s: Math.round(n / (consumed / 1000)),
      cpu_us_per_message: Math.round(((cpu() - used) * 1000) / n),
    }),
  );
}
await consumer.close();

const [head] = await bus.heads([{ topic: 'consumed', partition: 0 }]);
const behind = bus.read({ topic: 'consumed', partition: 0 }, 0n);
const from = performance.now();
for (let n = 0n; n < head;) n += BigInt((await behind.next(500)).messages.length);
console.log(
  JSON.stringify({
    name: 'catch up from Kafka',
    n: Number(head),
    per_s: Math.round(Number(head) / ((performance.now() - from) / 1000)),
  }),
);
await behind.close();

await other.close();
await bus.close();
await otherDatabase.close();
await database.close();
await postgres.stop();
await broker.kill();
rmSync(folder, { recursive: true });
