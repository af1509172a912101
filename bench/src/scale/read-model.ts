import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Sort_Direction } from '@aloft/idl/flyteidl/admin/common';
import pg from 'pg';
import { quantile } from '../commit-time.js';
import { round } from '../processes.js';
import { chain, domain, project } from '../shapes.js';
import { ScaleRun } from './scale-run.js';

const steps = 10;
/** Calls of each query. */
const calls = 100;
/** What a query may take at the 99th percentile, in milliseconds. */
const goal = 50;
const goalOfContains = 250;

interface Query {
  name: string;
  goal: number;
  run(i: number): Promise<{ rows: number }>;
}

/**
 * The queries that clients and consoles make, over a read model of so many runs of ten nodes each: copies of one real run's rows, made in bulk
 * by the database (other names, times, phases, plans, users, labels, inputs; half of them in one project and domain).
 */
export async function* readModelWorkload(size: number): AsyncIterable<object> {
  const run = await ScaleRun.start();
  const database = new pg.Client({ connectionString: urlOf(run.platform.dataDir), options: '-c search_path=admin' });
  try {
    await database.connect();
    await run.client.registerTask(run.version);
    await run.client.register(chain(steps, run.version), run.version);
    const id = await run.client.launch(`bench.chain_${steps}`, run.version, 'template');
    await run.client.succeeded(id);
    const began = performance.now();
    await fill(database, size);
    const { rows } = await database.query<{ executions: string; nodes: string; bytes: string }>(
      `SELECT (SELECT count(*) FROM executions) AS executions, (SELECT count(*) FROM node_executions) AS nodes,
         (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = 'admin' AND c.relkind = 'r') AS bytes`,
    );
    const { executions, nodes, bytes } = rows[0]!;
    yield {
      workload: 'read-model',
      executions: Number(executions),
      node_executions: Number(nodes),
      gib: round(Number(bytes) / 2 ** 30),
      filled_s: round((performance.now() - began) / 1000),
    };
    for (const query of queries(run, size)) {
      for (let i = 0; i < 10; i += 1) await query.run(calls + i);
      const samples: number[] = [];
      let rows = 0;
      for (let i = 0; i < calls; i += 1) {
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

/** Rows of run `n`; half of them are in the template's project and domain, the others in nine more. */
const columns: Readonly<Record<string, string>> = {
  uid: 'gen_random_uuid()',
  project: `CASE WHEN n % 2 = 0 THEN t.project ELSE 'bulk-' || n % 9 END`,
  name: `'bulk-' || n`,
  launch_plan_name: `'plans.' || (ARRAY['train', 'score', 'clean', 'report'])[1 + n % 4] || '_' || n % 200`,
  workflow_name: `'flows.' || (ARRAY['train', 'score', 'clean', 'report'])[1 + n % 4] || '_' || n % 200`,
  workflow_version: `'v' || n % 20`,
  phase: `(ARRAY['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'FAILED', 'ABORTED'])[1 + n % 5]`,
  created_at: `t.created_at - n * interval '3 seconds'`,
  updated_at: `t.updated_at - n * interval '3 seconds'`,
  started_at: `t.started_at - n * interval '3 seconds'`,
  duration_ns: '(n % 86400) * 1000000000::bigint',
  principal: `'user-' || n % 50`,
  error_message: `CASE WHEN n % 5 = 3 THEN 'disk ' || n || ' is full' END`,
  input_values: `jsonb_build_object('x', n % 1000)`,
};

async function fill(database: pg.Client, size: number): Promise<void> {
  const { rows } = await database.query<{ column_name: string }>(
    `SELECT column_name FROM information_schema.columns
     WHERE table_schema = 'admin' AND table_name = 'executions' AND column_name <> 'id'`,
  );
  const names = rows.map(({ column_name }) => column_name);
  const nodes = await columnsOf(database, 'node_executions');
  const tasks = await columnsOf(database, 'task_executions');
  await database.query('SET synchronous_commit = off');
  const plan = await columnsOf(database, 'launch_plans');
  const flow = await columnsOf(database, 'workflows');
  const kind = `(ARRAY['train', 'score', 'clean', 'report'])[1 + n % 4] || '_' || n`;
  const planColumns: Record<string, string> = { name: `'plans.' || ${kind}` };
  const flowColumns: Record<string, string> = { name: `'flows.' || ${kind}`, version: `'v' || v` };
  await database.query(
    `INSERT INTO launch_plans (${plan.join(', ')}) SELECT ${plan.map((name) => planColumns[name] ?? `t.${name}`).join(', ')}
     FROM launch_plans t, generate_series(0, 199) AS n WHERE t.name = 'bench.chain_${steps}'`,
  );
  await database.query(
    `INSERT INTO workflows (${flow.join(', ')}) SELECT ${flow.map((name) => flowColumns[name] ?? `t.${name}`).join(', ')}
     FROM workflows t, generate_series(0, 199) AS n, generate_series(0, 19) AS v WHERE t.name = 'bench.chain_${steps}'`,
  );
  for (let from = 1; from <= size; from += 20_000) {
    const to = Math.min(size, from + 19_999);
    await database.query(
      `WITH made AS (
         INSERT INTO executions (${names.join(', ')})
         SELECT ${names.map((name) => columns[name] ?? `t.${name}`).join(', ')}
         FROM executions t, generate_series(${from}, ${to}) AS n WHERE t.name = 'template'
         RETURNING id, name
       ),
       tags AS (
         INSERT INTO execution_tags (execution_id, key, value)
         SELECT id, 'team', 'team-' || id % 20 FROM made UNION ALL SELECT id, 'nightly', '' FROM made WHERE id % 3 = 0
       ),
       nodes AS (
         INSERT INTO node_executions (execution_id, ${nodes.join(', ')})
         SELECT m.id, ${nodes.map((name) => `t.${name}`).join(', ')} FROM made m,
           node_executions t JOIN executions e ON e.id = t.execution_id AND e.name = 'template'
         WHERE t.node_id LIKE 'n%'
       )
       INSERT INTO task_executions (execution_id, ${tasks.join(', ')})
       SELECT m.id, ${tasks.map((name) => `t.${name}`).join(', ')} FROM made m,
         task_executions t JOIN executions e ON e.id = t.execution_id AND e.name = 'template'`,
    );
  }
  // As autovacuum would have it some minutes later.
  for (const table of [
    'executions',
    'execution_tags',
    'node_executions',
    'task_executions',
    'launch_plans',
    'workflows',
  ])
    await database.query(`VACUUM ANALYZE ${table}`);
}

async function columnsOf(database: pg.Client, table: string): Promise<string[]> {
  const { rows } = await database.query<{ column_name: string }>(
    `SELECT column_name FROM information_schema.columns
     WHERE table_schema = 'admin' AND table_name = $1 AND column_name NOT IN ('id', 'execution_id')`,
    [table],
  );
  return rows.map(({ column_name }) => column_name);
}

function queries({ client }: ScaleRun, size: number): Query[] {
  const { admin } = client;
  const id = { project, domain, org: '' };
  const some = (i: number) => `bulk-${2 * ((i * 7919) % Math.floor(size / 2)) || 2}`;
  const runs =
    (filters: (i: number) => string, more: { limit?: number; token?: string; sort?: string } = {}) =>
    async (i: number) => {
      const { executions } = await admin.listExecutions({
        id: { ...id, name: '' },
        limit: more.limit ?? 20,
        token: more.token ?? '',
        filters: filters(i),
        sortBy: more.sort ? { key: more.sort, direction: Sort_Direction.DESCENDING } : undefined,
      });
      return { rows: executions.length };
    };
  const query = (name: string, run: Query['run'], most = goal): Query => ({ name, goal: most, run });
  const execution = (i: number) => ({ ...id, name: some(i) });
  return [
    query(
      'runs: newest 20',
      runs(() => '', { sort: 'created_at' }),
    ),
    query(
      'runs: newest 100',
      runs(() => '', { sort: 'created_at', limit: 100 }),
    ),
    query(
      'runs: page 50 of 100',
      runs(() => '', { sort: 'created_at', limit: 100, token: '5000' }),
    ),
    query(
      'runs: failed',
      runs(() => 'eq(phase,FAILED)', { sort: 'created_at' }),
    ),
    query(
      'runs: unfinished',
      runs(() => 'value_in(phase,RUNNING;QUEUED)', { sort: 'created_at' }),
    ),
    query(
      'runs: failed since',
      runs(() => `eq(execution.phase,FAILED)+gte(execution_created_at,2026-01-01T00:00:00Z)`, { sort: 'created_at' }),
    ),
    query(
      'runs: of a plan',
      runs((i) => `eq(launch_plan.name,plans.train_${4 * (i % 50)})`, { sort: 'created_at' }),
    ),
    query(
      'runs: of a workflow',
      runs((i) => `eq(workflow.name,flows.train_${4 * (i % 50)})`, { sort: 'created_at' }),
    ),
    query(
      'runs: of a workflow version',
      runs((i) => `eq(workflow.name,flows.train_${4 * (i % 50)})+eq(workflow.version,v${(4 * i) % 20})`, {
        sort: 'created_at',
      }),
    ),
    query(
      'runs: of a user',
      runs((i) => `eq(user,user-${2 * (i % 25)})`, { sort: 'created_at' }),
    ),
    query(
      'runs: with a label',
      runs((i) => `eq(execution_tag.key,team)+eq(execution_tag.value,team-${i % 20})`, { sort: 'created_at' }),
    ),
    query(
      'runs: with an input',
      runs((i) => `eq(input.x,${2 * i})`, { sort: 'created_at' }),
    ),
    query(
      'runs: by name',
      runs((i) => `eq(execution_name,${some(i)})`),
    ),
    query(
      'runs: longest',
      runs(() => '', { sort: 'duration' }),
    ),
    query(
      'runs: oldest first',
      runs(() => ''),
    ),
    query(
      'runs: name contains',
      runs((i) => `contains(execution_name,${1000 + i})`, { sort: 'created_at' }),
      goalOfContains,
    ),
    query(
      'runs: plan contains',
      runs(() => 'contains(launch_plan.name,train)', { sort: 'created_at' }),
      goalOfContains,
    ),
    query(
      'runs: error contains',
      runs((i) => `contains(error_message,disk ${i}3 )`, { sort: 'created_at' }),
      goalOfContains,
    ),
    query('a run', async (i) => {
      await admin.getExecution({ id: execution(i) });
      return { rows: 1 };
    }),
    query('its data', async (i) => {
      await admin.getExecutionData({ id: execution(i) });
      return { rows: 1 };
    }),
    query('its nodes', async (i) => {
      const request = { workflowExecutionId: execution(i), limit: 100, token: '', filters: '', sortBy: undefined };
      const { nodeExecutions } = await admin.listNodeExecutions({ ...request, uniqueParentId: '' });
      return { rows: nodeExecutions.length };
    }),
    query('a node', async (i) => {
      await admin.getNodeExecution({ id: { nodeId: 'n3', executionId: execution(i) } });
      return { rows: 1 };
    }),
    query('attempts of a node', async (i) => {
      const nodeExecutionId = { nodeId: 'n3', executionId: execution(i) };
      const { taskExecutions } = await admin.listTaskExecutions({
        nodeExecutionId,
        limit: 10,
        token: '',
        filters: '',
        sortBy: undefined,
      });
      return { rows: taskExecutions.length };
    }),
    query('where its time went', async (i) => {
      await admin.getExecutionMetrics({ id: execution(i), depth: 10 });
      return { rows: 1 };
    }),
  ];
}

/** As its administrator, on the loopback interface. */
function urlOf(dataDir: string): string {
  const folder = join(dataDir, 'postgres');
  const password = readFileSync(join(folder, 'password'), 'utf8').trim();
  const port = readFileSync(join(folder, 'cluster', 'postmaster.pid'), 'utf8').split('\n')[3];
  return `postgresql://aloft:${encodeURIComponent(password)}@127.0.0.1:${port}/aloft`;
}
