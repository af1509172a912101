import { testDatabase, type TestDatabase } from '@aloft/database/testing';
import { Sort_Direction } from '@aloft/idl/flyteidl/admin/common';
import { executionListStatement, ExecutionsRepository } from '../executions/executions.repository.js';
import { adminMigrations } from '../migrations/index.js';

const runs = 20_000;
const scope = { org: '', project: 'p', domain: 'd' };
const newest = { key: 'created_at', direction: Sort_Direction.DESCENDING };

/** Run `n` is `r<n>`; the newest is the last. Half of them are in the project that is listed. */
const fill = `
INSERT INTO executions (uid, org, project, domain, name, launch_entity, launch_plan_project, launch_plan_domain, launch_plan_name,
  launch_plan_version, workflow_project, workflow_domain, workflow_name, workflow_version, phase, state, mode, spec, closure, settings,
  created_at, updated_at, principal, input_values)
SELECT gen_random_uuid(), '', CASE WHEN n % 2 = 0 THEN 'p' ELSE 'other' END, 'd', 'r' || n, 'LAUNCH_PLAN', 'p', 'd', 'plans.' || n % 50, 'v',
  'p', 'd', 'flows.' || n % 50, 'v', (ARRAY['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED', 'FAILED'])[1 + n / 2 % 5],
  CASE WHEN n = 100 THEN 1 ELSE 0 END, 0, repeat('s', 300)::bytea, repeat('c', 300)::bytea, '',
  timestamptz '2026-01-01' + n * interval '1 second', '2026-01-01', 'user-' || n % 20,
  jsonb_build_object('x', n % 1000, 's', 'text ' || n)
FROM generate_series(1, ${runs}) AS n;
INSERT INTO execution_tags (execution_id, key, value, org, project, domain, created_at)
SELECT id, 'team', 'team-' || substr(name, 2)::int / 2 % 20, org, project, domain, created_at FROM executions UNION ALL
SELECT id, 'rare', '', org, project, domain, created_at FROM executions WHERE name IN ('r4', 'r7', 'r9000');
UPDATE executions SET error_kind = 'USER', error_code = 'E', error_message = 'disk ' || name || ' is full' WHERE phase = 'FAILED';`;

/** What lists of runs read (docs/architecture/read-model.md), of 10,000 runs in the project and 10,000 beside it. */
describe('lists of runs', () => {
  let db: TestDatabase;

  beforeAll(async () => {
    db = await testDatabase({ schema: 'admin', migrations: adminMigrations });
    await db.database.query(fill);
    for (const table of ['executions', 'execution_tags', 'execution_errors', 'execution_values'])
      await db.database.query(`VACUUM ANALYZE ${table}`);
  }, 120_000);
  afterAll(() => db.drop());

  const statement = (filters: string, more: object = {}) =>
    executionListStatement(scope, { filters, sortBy: newest, limit: 5, token: '', ...more });

  async function names(filters: string, more: object = {}): Promise<string[]> {
    const { text, values } = statement(filters, more);
    return (await db.database.query<{ name: string }>(text, values)).rows.map(({ name }) => name);
  }

  const label = 'eq(execution_tag.key,team)+eq(execution_tag.value,team-4)';
  test.each([
    ['a common label', label, 'execution_tags_by_value', 200],
    ['a label that no run has', 'eq(execution_tag.key,team)+eq(execution_tag.value,x)', 'execution_tags_by_value', 200],
    ['a label whatever its value', 'eq(execution_tag.key,team)', 'execution_tags_by_key', 200],
    ['a rare tag', 'eq(admin_tag.name,rare)', 'execution_tags_by_', 200],
    ['a label and a rare tag', `eq(admin_tag.name,rare)+${label}`, 'execution_tags_by', 300],
    ['phases that no run is in', 'value_in(phase,RUNNING;QUEUED)', 'executions', 200],
    ['one of two phases', 'eq(phase,FAILED) OR eq(phase,ABORTED)', 'executions', 200],
    ['a user', 'eq(user,user-8)', 'executions', 200],
    ['a user that there is not', 'eq(user,x)', 'executions_by_user', 200],
    ['archived runs', 'eq(state,1)', 'executions_archived', 200],
    ['a task that no run is of', 'eq(task.name,x)', 'executions_by_task', 200],
    ['a part of names', 'contains(name,xyz)', 'Index Only Scan using executions_newest', 500],
    ['a part of plans', 'contains(launch_plan.name,xyz)', 'Index Only Scan using executions_newest', 500],
    ['a part of errors', 'contains(error_message,xyz)', 'execution_errors', 200],
    ['an input', 'eq(input.x,8)', 'execution_values_by_input', 300],
    ['a part of inputs', 'contains(input.s,xyz)', 'execution_values', 500],
    ['an input above all', 'gt(input.x,5000)', 'execution_values', 500],
    ['a page far from the first', 'ne(phase,FAILED)', 'Index Only Scan using executions_newest', 500],
  ])('%s: from an index, without the rows that do not fit', async (what, filters, index, most) => {
    const { text, values } = statement(filters, what.startsWith('a page') ? { token: '7000' } : {});
    const { rows } = await db.database.query<{ 'QUERY PLAN': string }>(`EXPLAIN (ANALYZE, BUFFERS) ${text}`, values);
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    const [, hit = '0', read = '0'] = /Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?/.exec(plan) ?? [];
    const buffers = Number(hit) + Number(read);
    expect({ buffers, few: buffers <= most, plan }).toMatchObject({ few: true, plan: expect.stringContaining(index) });
  });

  test('what they begin with changes nothing of what they answer', async () => {
    expect(await names(label)).toEqual(['r19968', 'r19928', 'r19888', 'r19848', 'r19808']);
    expect(await names(label, { token: '3' })).toEqual((await names(label, { limit: 8 })).slice(3));
    const oldest = { sortBy: undefined };
    expect(await names(label, oldest)).toEqual(['r8', 'r48', 'r88', 'r128', 'r168']);
    expect(await names(`${label}+eq(phase,FAILED)`)).toEqual(await names(`eq(phase,FAILED)+${label}`));
    expect(await names(`${label} OR eq(name,r2)`, { limit: 1, token: '500' })).toEqual(['r2']);
    // Other projects' runs are not there, and a run with two values of a key is there once.
    expect(await names('eq(admin_tag.name,rare)')).toEqual(['r9000', 'r4']);
    await db.database.query(
      `INSERT INTO execution_tags SELECT id, 'rare', 'x' FROM executions WHERE name IN ('r4', 'r6')`,
    );
    expect(await names('eq(admin_tag.name,rare)')).toEqual(['r9000', 'r6', 'r4']);
    expect(await names('eq(execution_tag.key,rare)+eq(execution_tag.value,x)')).toEqual(['r6', 'r4']);
    const failed = await names('eq(phase,FAILED)', { limit: 3 });
    expect(await names('contains(error_message,is full)', { limit: 3 })).toEqual(failed);
    expect(await names(`contains(error_message,${failed[1]} )+eq(error_kind,USER)`)).toEqual([failed[1]]);
    expect(await names('ne(error_code,E)')).toEqual([]);
    expect(await names('eq(input.x,8)')).toEqual(['r19008', 'r18008', 'r17008', 'r16008', 'r15008']);
    expect(await names('gt(input.x,3)+lt(input.x,7)', { limit: 3 })).toEqual(['r19006', 'r19004', 'r18006']);
    expect(await names('contains(input.s,t 1234)+ne(input.x,346)')).toEqual([
      'r12348',
      'r12344',
      'r12342',
      'r12340',
      'r1234',
    ]);
    expect(await names('ne(output.y,1)', { limit: 2 })).toEqual(['r20000', 'r19998']);
  });

  test('what takes longer than the limit is refused, and says which list that was', async () => {
    const filters = Array.from({ length: 50 }, (_, i) => `contains(name,nothing ${i})`).join(' OR ');
    const request = { filters, sortBy: newest, limit: 5, token: '' };
    await expect(new ExecutionsRepository().list(db.database, scope, request, 1)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringMatching(
        /the list of "contains\(name,nothing 0\) OR .*" sorted by created_at takes longer than 1 ms/,
      ),
    });
  });

  test('errors, inputs and outputs follow their runs', async () => {
    const [name] = await names('eq(phase,FAILED)');
    const find = (message: string) => names(`contains(error_message,${message})`);
    await db.database.query(`UPDATE executions SET error_message = 'another reason' WHERE name = $1`, [name]);
    expect(await find('another reason')).toEqual([name]);
    expect(await find(`${name} `)).toEqual([]);
    await db.database.query(`UPDATE executions SET output_values = '{"y": 1}' WHERE name = $1`, [name]);
    expect(await names('eq(output.y,1)')).toEqual([name]);
    expect(await names('ne(output.y,1)', { limit: 1 })).not.toEqual([name]);
    await db.database.query('DELETE FROM executions WHERE name = $1', [name]);
    expect((await db.database.query(`SELECT 1 FROM execution_values WHERE output_values IS NOT NULL`)).rows).toEqual(
      [],
    );
    const { rows } = await db.database.query(`SELECT 1 FROM execution_errors WHERE message = 'another reason'`);
    expect(rows).toEqual([]);
  });
});
