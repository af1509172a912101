import { migrate } from '@aloft/database';
import { testDatabase, type TestDatabase } from '@aloft/database/testing';
import { ExecutionsRepository } from '../executions/executions.repository.js';
import { adminMigrations } from './index.js';

const last = adminMigrations.findIndex(({ name }) => name === 'what lists of executions look through');

/** As the version before writes them, which goes on while pods are replaced. */
const insert = (name: string) => `
WITH made AS (
  INSERT INTO executions (uid, org, project, domain, name, launch_entity, launch_plan_project, launch_plan_domain, launch_plan_name,
    launch_plan_version, workflow_project, workflow_domain, workflow_name, workflow_version, phase, mode, spec, closure, settings,
    created_at, updated_at, principal, input_values)
  VALUES (gen_random_uuid(), '', 'p', 'd', '${name}', 'LAUNCH_PLAN', 'p', 'd', 'plan', 'v', 'p', 'd', 'flow', 'v', 'RUNNING', 0, '', '', '',
    now(), now(), 'me', '{"x": 1}')
  RETURNING id
)
SELECT id FROM made;
INSERT INTO execution_tags (execution_id, key, value) SELECT id, 'team', 'ml' FROM executions WHERE name = '${name}';
UPDATE executions SET phase = 'FAILED', error_kind = 'USER', error_code = 'E', error_message = 'disk full', output_values = '{"y": 2}'
WHERE name = '${name}';`;

describe('what lists of executions look through', () => {
  let db: TestDatabase;
  beforeAll(
    async () => void (db = await testDatabase({ schema: 'admin', migrations: adminMigrations.slice(0, last) })),
  );
  afterAll(() => db.drop());

  test('is made of what there is, and of what processes of the version before still write', async () => {
    await db.database.query(insert('before'));
    expect(await migrate(db.database, 'admin', adminMigrations)).toContain('what lists of executions look through');
    await db.database.query(insert('since'));
    const scope = { org: '', project: 'p', domain: 'd' };
    for (const filters of [
      'eq(execution_tag.key,team)+eq(execution_tag.value,ml)',
      'eq(admin_tag.name,team)',
      'contains(error_message,disk)+eq(error_code,E)',
      'eq(input.x,1)',
      'eq(output.y,2)+gt(input.x,0)',
    ]) {
      const request = { filters, sortBy: undefined, limit: 10, token: '' };
      const { rows } = await new ExecutionsRepository().list(db.database, scope, request, 5_000);
      expect({ filters, found: rows.map(({ name }) => name) }).toEqual({ filters, found: ['before', 'since'] });
    }
    await db.database.query('DELETE FROM executions');
    const { rows } = await db.database.query(
      'SELECT execution_id FROM execution_errors UNION ALL SELECT execution_id FROM execution_values',
    );
    expect(rows).toEqual([]);
  });
});
