// Benchmarks of the propeller alone: scripted backend in this process, real Postgres (fsync on), no admin, no projection.
//   node apps/propeller/dist/bench/run.js [a_chain b_fanout b_fanout5k c_many] [--rounds N] [--profile]
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { allowPublishing, busMigrations, createPostgresBus, postgresBusMigrations } from '@aloft/bus';
import { createService, migrate, openDatabase, startEmbeddedPostgres, type Database } from '@aloft/database';
import { createLogger, Metrics } from '@aloft/telemetry';
import { propellerTopics } from '../events/outgoing.js';
import { propellerMigrations } from '../migrations.js';
import { Rig, type Installation } from '../testing/rig.js';
import { ScriptedBackend } from '../testing/scripted-backend.js';
import { chain, fanOut } from '../testing/workflows.js';

interface Workload {
  closure: Uint8Array;
  runs: number;
  steps: number;
}

const workloads: Record<string, () => Workload> = {
  a_chain: () => ({ closure: chain(100), runs: 1, steps: 100 }),
  b_fanout: () => ({ closure: fanOut(1000), runs: 1, steps: 1000 }),
  b_fanout5k: () => ({ closure: fanOut(5000), runs: 1, steps: 5000 }),
  c_many: () => ({ closure: chain(10), runs: 500, steps: 10 }),
};

const args = process.argv.slice(2);
const rounds = Number(args[args.indexOf('--rounds') + 1]) || 5;
const names = args.filter((arg) => arg in workloads);

/** Milliseconds of one commit that writes a little. */
async function commitTime(rig: Rig): Promise<number> {
  await rig.database.query('CREATE TABLE IF NOT EXISTS probe (n int)');
  const times: number[] = [];
  for (let i = 0; i < 100; i += 1) {
    const from = performance.now();
    await rig.database.transaction((tx) => tx.query('INSERT INTO probe VALUES (1)'));
    times.push(performance.now() - from);
  }
  return times.sort((a, b) => a - b)[50]!;
}

async function run(rig: Rig, { closure, runs, steps }: Workload): Promise<number> {
  const { uri, digest } = await rig.closure(closure);
  const started = Array.from({ length: runs }, () => rig.startCommand(uri, digest, { uid: randomUUID() }));
  const from = performance.now();
  for (let i = 0; i < started.length; i += 50) {
    const messages = started.slice(i, i + 50).map(({ message }) => message);
    await rig.database.transaction((tx) => rig.bus.publish(tx, messages));
  }
  await Promise.all(started.map(({ uid }) => rig.events.ended(uid)));
  const seconds = (performance.now() - from) / 1000;
  for (const { uid } of started) rig.events.byRun.delete(uid);
  return (runs * steps) / seconds;
}

/** The embedded Postgres as the platform runs it: fsync and synchronous commit on. */
async function durable(): Promise<Installation> {
  const dataDir = await mkdtemp(join(tmpdir(), 'aloft-bench-'));
  const logger = createLogger('bench', { level: 'warn' });
  const postgres = await startEmbeddedPostgres({ dataDir, logger });
  const urls = new Map<string, string>();
  for (const schema of ['bus', 'propeller']) {
    urls.set(schema, (await createService(postgres.url, { schema })).url);
  }
  const opened: Database[] = [];
  const open = (schema: string, poolSize?: number): Database => {
    const database = openDatabase({
      url: urls.get(schema)!,
      schema,
      poolSize,
      logger,
    });
    opened.push(database);
    return database;
  };
  const busDatabase = open('bus', 4);
  await migrate(busDatabase, 'bus', postgresBusMigrations);
  await allowPublishing(busDatabase, 'aloft_propeller', propellerTopics);
  const database = open('propeller');
  await migrate(database, 'bus-consumer', busMigrations);
  await migrate(database, 'propeller', propellerMigrations);
  const openBus = () => createPostgresBus({ database: busDatabase, logger });
  const bus = openBus();
  const drop = async (): Promise<void> => {
    await bus.close();
    await Promise.all(opened.map((each) => each.close()));
    await postgres.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
  return { database, url: postgres.url, bus, open, openBus, drop };
}

const rig = await Rig.open({ durableBlob: true, installation: await durable() });
const backend = new ScriptedBackend(rig.bus);
const metrics = new Metrics();
const propeller = await rig.started({ deps: { metrics } });
const commit = await commitTime(rig);
for (const name of names.length > 0 ? names : Object.keys(workloads)) {
  const workload = workloads[name]!();
  await run(rig, workload);
  const rates: number[] = [];
  const cpu = process.cpuUsage();
  for (let i = 0; i < rounds; i += 1) rates.push(await run(rig, workload));
  const used = process.cpuUsage(cpu);
  const median = rates.sort((a, b) => a - b)[Math.floor(rates.length / 2)]!;
  const total = workload.runs * workload.steps;
  console.log(
    JSON.stringify({
      workload: name,
      n: total,
      seconds: Number((total / median).toFixed(3)),
      steps_per_s: Math.round(median),
      ms_per_step: Number((1000 / median).toFixed(3)),
      cpu_ms_per_step: Number(((used.user + used.system) / 1000 / (rounds * total)).toFixed(3)),
      commit_ms: Number(commit.toFixed(3)),
      rss_mb: Math.round(process.memoryUsage().rss / 1e6),
    }),
  );
}
if (args.includes('--metrics'))
  console.log(
    (await metrics.text())
      .split('\n')
      .filter((l) => /_(sum|count)/.test(l))
      .join('\n'),
  );
await propeller.stop();
await backend.close();
await rig.close();
process.exit(0);
