// Throughput and latency of the postgres driver on an embedded, durable Postgres: node libs/bus/bench/bus.mjs
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allowPublishing, busMigrations, createPostgresBus, envelope, postgresBusMigrations } from '@aloft/bus';
import { createService, migrate, openDatabase, startEmbeddedPostgres } from '@aloft/database';

const folder = mkdtempSync(join(tmpdir(), 'aloft-bus-bench-'));
const postgres = await startEmbeddedPostgres({ dataDir: folder });
const [own, service] = await Promise.all(['bus', 'consumer'].map((schema) => createService(postgres.url, { schema })));
const busDatabase = openDatabase({ ...own, role: undefined, poolSize: 4 });
await migrate(busDatabase, 'bus', postgresBusMigrations);
await allowPublishing(busDatabase, service.role, ['%']);
const database = openDatabase({ ...service, role: undefined, poolSize: 20 });
await migrate(database, 'bus', busMigrations);
await database.query('CREATE TABLE work (id text)');
const bus = createPostgresBus({ database: busDatabase });
const elsewhereDatabase = openDatabase({ ...own, role: undefined, poolSize: 4 });
const elsewhere = createPostgresBus({ database: elsewhereDatabase });

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
const publish = (messages) => database.transaction((tx) => bus.publish(tx, messages));
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

// What the disk and the driver cost without a bus.
await times(100, () => database.transaction((tx) => insert([message('x')], tx)));
report('commit of one insert', await times(500, () => database.transaction((tx) => insert([message('x')], tx))));
report(
  'insert and publish 1',
  await times(500, () =>
    database.transaction(async (tx) => {
      await insert([message('x')], tx);
      await bus.publish(tx, [message('nobody')]);
    }),
  ),
);

// One message from BEGIN to a reader, in this process and in another one.
const here = bus.read({ topic: 'latency', partition: 0 }, 0n);
report(
  'publish 1 to a reader of the process',
  await times(500, async () => {
    const [batch] = await Promise.all([here.next(1), publish([message('latency')])]);
    batch.acknowledge();
  }),
);
await here.close();
const there = elsewhere.read({ topic: 'latency', partition: 0 }, 500n);
await publish([message('latency')]);
await next(there);
report(
  'publish 1 to a reader elsewhere',
  await times(500, async () => {
    await Promise.all([next(there), publish([message('latency')])]);
  }),
);
await there.close();
await elsewhere.close();
await elsewhereDatabase.close();

// One message to the commit of a consumer, which writes a row.
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
  await times(500, async () => {
    const target = applied + 1;
    await publish([message('consumed')]);
    await until(target);
  }),
);

// Throughput: many publishers of one message; few of many.
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

// Catching up from the table.
const head = (await bus.heads([{ topic: 'consumed', partition: 0 }]))[0];
const behind = bus.read({ topic: 'consumed', partition: 0 }, 0n);
const from = performance.now();
for (let n = 0n; n < head;) n += BigInt((await behind.next(500)).messages.length);
console.log(
  JSON.stringify({
    name: 'read from the table',
    n: Number(head),
    per_s: Math.round(Number(head) / ((performance.now() - from) / 1000)),
  }),
);
await behind.close();

// Without a commit.
const reports = bus.read({ topic: 'reports', partition: 0 }, 0n, { acceptDelivered: true });
while (!reports.isCaughtUp) await new Promise(setImmediate);
report(
  'deliver 1 in memory',
  await times(2000, async () => {
    await Promise.all([next(reports), bus.deliver([message('reports')])]);
  }),
);
await reports.close();

await bus.close();
await database.close();
await busDatabase.close();
await postgres.stop();
rmSync(folder, { recursive: true });
