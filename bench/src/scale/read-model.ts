import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { collectGarbage } from '../collect-garbage.js';
import { quantile } from '../commit-time.js';
import { round } from '../processes.js';
import { chain } from '../shapes.js';
import { readModelQueries, type Query } from './read-model-queries.js';
import { fill, steps } from './read-model-rows.js';
import { ScaleRun } from './scale-run.js';

/** Calls of each query; of those that may take seconds. */
const calls = 200;
const callsOfSlow = 20;
/** Calls between two collections of what this process throws away: some answers are large, and their garbage is the client's. */
const callsPerCollection = 20;

/**
 * The queries that clients and consoles make, over a read model of so many runs of ten nodes each: copies of one real run's rows, made in bulk
 * by the database (other names, times, phases, plans, users, labels, inputs; half of them in one project and domain). With
 * ALOFT_BENCH_KEEP=<folder> they stay there, and are used again if they are there. `only`: parts of queries' names; all, if none is given.
 */
export async function* readModelWorkload(size: number, only: readonly string[]): AsyncIterable<object> {
  const kept = process.env['ALOFT_BENCH_KEEP'];
  const run = await ScaleRun.start(kept ? { folder: kept, keep: true } : {});
  const database = new pg.Client({ connectionString: urlOf(run.platform.dataDir), options: '-c search_path=admin' });
  try {
    await database.connect();
    const began = performance.now();
    if ((await count(database)).executions <= size) {
      await run.client.registerTask(run.version);
      await run.client.register(chain(steps, run.version), run.version);
      const id = await run.client.launch(`bench.chain_${steps}`, run.version, 'template');
      await run.client.succeeded(id);
      await fill(database, size);
    }
    const filled = round((performance.now() - began) / 1000);
    yield { workload: 'read-model', ...(await count(database)), filled_s: filled };
    const wanted = ({ name }: Query) => only.length === 0 || only.some((part) => name.includes(part));
    for (const query of readModelQueries(run.client, size).filter(wanted)) {
      const n = query.goal > 1_000 ? callsOfSlow : calls;
      for (let i = 0; i < n / 10; i += 1) await query.run(calls + i);
      const samples: number[] = [];
      let rows = 0;
      for (let i = 0; i < n; i += 1) {
        if (i % callsPerCollection === 0) collectGarbage();
        const started = performance.now();
        rows = (await query.run(i)).rows;
        samples.push(performance.now() - started);
      }
      const p99 = quantile(samples, 0.99);
      yield {
        workload: 'read-model',
        query: query.name,
        rows,
        p50_ms: round(quantile(samples, 0.5)),
        p99_ms: round(p99),
        goal_ms: query.goal,
        met: p99 <= query.goal,
      };
    }
  } finally {
    await database.end();
    await run.stop();
  }
}

async function count(database: pg.Client): Promise<{ executions: number; node_executions: number; gib: number }> {
  const { rows } = await database.query<{ executions: string; nodes: string; bytes: string }>(
    `SELECT (SELECT count(*) FROM executions) AS executions, (SELECT count(*) FROM node_executions) AS nodes,
       (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'admin' AND c.relkind = 'r') AS bytes`,
  );
  const { executions, nodes, bytes } = rows[0]!;
  return { executions: Number(executions), node_executions: Number(nodes), gib: round(Number(bytes) / 2 ** 30) };
}

/** As its administrator, on the loopback interface. */
function urlOf(dataDir: string): string {
  const folder = join(dataDir, 'postgres');
  const password = readFileSync(join(folder, 'password'), 'utf8').trim();
  const port = readFileSync(join(folder, 'cluster', 'postmaster.pid'), 'utf8').split('\n')[3];
  return `postgresql://aloft:${encodeURIComponent(password)}@127.0.0.1:${port}/aloft`;
}
