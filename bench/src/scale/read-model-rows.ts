import type pg from 'pg';
/** Of the template's chain, hence nodes of a run. */
export const steps = 10;

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
  input_values: `jsonb_build_object('x', n % 1000, 's', 'text ' || n)`,
  state: 'CASE WHEN n % 10000 = 10 THEN 1 ELSE 0 END',
  task_project: `CASE WHEN n % 100 = 8 THEN t.project END`,
  task_domain: `CASE WHEN n % 100 = 8 THEN t.domain END`,
  task_name: `CASE WHEN n % 100 = 8 THEN 'tasks.one_' || n / 100 % 10 END`,
  task_version: `CASE WHEN n % 100 = 8 THEN 'v1' END`,
};

const placed = 'execution_id, key, value, org, project, domain, created_at';
const place = 'id, org, project, domain, created_at';
/** A label that a twentieth of the runs has, a tag of a third, and a label of ten in a million. */
const tags: readonly (readonly [key: string, value: string, which: string])[] = [
  ['team', `'team-' || (n / 2) % 20`, 'true'],
  ['nightly', `''`, 'n % 3 = 0'],
  ['incident', `'i-' || n`, 'n % 100000 = 0'],
];

/** Makes so many of them, in bulk, with ten nodes each. */
export async function fill(database: pg.Client, size: number): Promise<void> {
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
         RETURNING ${place}, substr(name, 6)::int AS n, error_kind, error_code, error_message
       ),
       tags AS (
         INSERT INTO execution_tags (${placed})
         ${tags.map(([key, value, which]) => `SELECT id, '${key}', ${value}, ${place.slice(4)} FROM made WHERE ${which}`).join(' UNION ALL ')}
       ),
       errors AS (
         INSERT INTO execution_errors SELECT ${place}, error_kind, error_code, error_message FROM made WHERE error_message IS NOT NULL
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
    'execution_errors',
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
