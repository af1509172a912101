import type { Database, Queryable, Transaction } from '@aloft/database';
import { isFirstPage, listQuery } from '../listing/bounded-query.js';
import { executionModel } from '../listing/run-models.js';
import { compileList, filtersName, SqlParameters, type ListRequest } from '../listing/list-query.js';
import type { ExecutionEngineName } from '../registry/entities.js';
import type { EntityKey, NameKey } from '../registry/identifiers.js';

/** A row to be inserted. Columns of `executions`, in hot-path form: everything encoded already. */
export interface NewExecution {
  uid: string;
  key: NameKey;
  launchEntity: 'LAUNCH_PLAN' | 'TASK';
  launchPlan: EntityKey;
  workflow: EntityKey;
  task: EntityKey | undefined;
  mode: number;
  spec: Buffer;
  closure: Buffer;
  settings: Buffer;
  inputs: Buffer | null;
  inputsUri: string | null;
  inputsSize: number;
  /** What filters see of them, as JSON. */
  inputValues: string | null;
  userInputs: Buffer | null;
  userInputsUri: string | null;
  createdAt: string;
  principal: string;
  cluster: string;
  nesting: number;
  parentExecutionId: bigint | null;
  parentNodeId: string | null;
  parentAttempt: number | null;
  sourceExecutionUid: string | null;
  engine: ExecutionEngineName;
  /** Labels, and tags with an empty value. */
  tags: readonly (readonly [key: string, value: string])[];
}

/** A row as calls read it. */
export interface ExecutionRow {
  id: bigint;
  uid: string;
  org: string;
  project: string;
  domain: string;
  name: string;
  phase: string;
  state: number;
  spec: Buffer;
  closure: Buffer;
  outputs: Buffer | null;
  outputsUri: string | null;
  lastSequence: bigint;
  quarantineReason: string | null;
  engine: ExecutionEngineName;
}

/** What only some calls need beside {@link ExecutionRow}. */
export interface ExecutionDataRow extends ExecutionRow {
  settings: Buffer;
  inputs: Buffer | null;
  inputsUri: string | null;
  inputsSize: bigint;
  userInputs: Buffer | null;
  userInputsUri: string | null;
  parentExecutionId: bigint | null;
  parentNodeId: string | null;
  parentAttempt: number | null;
}

const readColumns = `e.id, e.uid, e.org, e.project, e.domain, e.name, e.phase, e.state, e.spec, e.closure, e.outputs,
  e.outputs_uri AS "outputsUri", e.last_sequence AS "lastSequence", e.quarantine_reason AS "quarantineReason", e.engine`;
const dataColumns = `${readColumns}, e.settings, e.inputs, e.inputs_uri AS "inputsUri", e.inputs_size AS "inputsSize",
  e.user_inputs AS "userInputs", e.user_inputs_uri AS "userInputsUri", e.parent_execution_id AS "parentExecutionId",
  e.parent_node_id AS "parentNodeId", e.parent_attempt AS "parentAttempt"`;

type Cell = (row: NewExecution) => unknown;

/** Column, type of its array, value: one INSERT takes any number of rows, by unnest. */
const insertColumns: readonly (readonly [string, string, Cell])[] = [
  ['uid', 'uuid', (r) => r.uid],
  ['org', 'text', (r) => r.key.org],
  ['project', 'text', (r) => r.key.project],
  ['domain', 'text', (r) => r.key.domain],
  ['name', 'text', (r) => r.key.name],
  ['launch_entity', 'text', (r) => r.launchEntity],
  ['launch_plan_project', 'text', (r) => r.launchPlan.project],
  ['launch_plan_domain', 'text', (r) => r.launchPlan.domain],
  ['launch_plan_name', 'text', (r) => r.launchPlan.name],
  ['launch_plan_version', 'text', (r) => r.launchPlan.version],
  ['workflow_project', 'text', (r) => r.workflow.project],
  ['workflow_domain', 'text', (r) => r.workflow.domain],
  ['workflow_name', 'text', (r) => r.workflow.name],
  ['workflow_version', 'text', (r) => r.workflow.version],
  ['task_project', 'text', (r) => r.task?.project ?? null],
  ['task_domain', 'text', (r) => r.task?.domain ?? null],
  ['task_name', 'text', (r) => r.task?.name ?? null],
  ['task_version', 'text', (r) => r.task?.version ?? null],
  ['phase', 'text', () => 'UNDEFINED'],
  ['mode', 'smallint', (r) => r.mode],
  ['spec', 'bytea', (r) => r.spec],
  ['closure', 'bytea', (r) => r.closure],
  ['settings', 'bytea', (r) => r.settings],
  ['inputs', 'bytea', (r) => r.inputs],
  ['inputs_uri', 'text', (r) => r.inputsUri],
  ['inputs_size', 'bigint', (r) => r.inputsSize],
  ['input_values', 'jsonb', (r) => r.inputValues],
  ['user_inputs', 'bytea', (r) => r.userInputs],
  ['user_inputs_uri', 'text', (r) => r.userInputsUri],
  ['created_at', 'timestamptz', (r) => r.createdAt],
  ['updated_at', 'timestamptz', (r) => r.createdAt],
  ['principal', 'text', (r) => r.principal],
  ['cluster', 'text', (r) => r.cluster],
  ['nesting', 'integer', (r) => r.nesting],
  ['parent_execution_id', 'bigint', (r) => r.parentExecutionId],
  ['parent_node_id', 'text', (r) => r.parentNodeId],
  ['parent_attempt', 'integer', (r) => r.parentAttempt],
  ['source_execution_uid', 'uuid', (r) => r.sourceExecutionUid],
  ['engine', 'text', (r) => r.engine],
];

const insertText = `INSERT INTO executions (${insertColumns.map(([column]) => column).join(', ')})
SELECT * FROM unnest(${insertColumns.map(([, type], i) => `$${i + 1}::${type}[]`).join(', ')})`;
const insertStatement = {
  name: 'admin-insert-executions',
  text: `${insertText} ON CONFLICT DO NOTHING RETURNING id, uid`,
};
const insertNewStatement = { name: 'admin-insert-new-executions', text: insertText };
/** Beside key and value what places a run in lists. */
const tagColumns = 'execution_id, key, value, org, project, domain, created_at';
const insertNewTagsStatement = {
  name: 'admin-insert-new-execution-tags',
  text: `INSERT INTO execution_tags (${tagColumns})
SELECT e.id, t.key, t.value, e.org, e.project, e.domain, e.created_at
FROM unnest($1::uuid[], $2::text[], $3::text[]) AS t(uid, key, value) JOIN executions e ON e.uid = t.uid
ON CONFLICT DO NOTHING`,
};

const insertTagsStatement = {
  name: 'admin-insert-execution-tags',
  text: `INSERT INTO execution_tags (${tagColumns})
SELECT e.id, t.key, t.value, e.org, e.project, e.domain, e.created_at
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS t(id, key, value) JOIN executions e ON e.id = t.id
ON CONFLICT DO NOTHING`,
};

const whereKey = 'e.org = $1 AND e.project = $2 AND e.domain = $3 AND e.name = $4';
const keyValues = (key: NameKey) => [key.org, key.project, key.domain, key.name];
const findStatement = {
  name: 'admin-find-execution',
  text: `SELECT ${readColumns} FROM executions e WHERE ${whereKey}`,
};
const findAllStatement = {
  name: 'admin-find-executions',
  text: `SELECT ${readColumns} FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS k(org, project, domain, name)
JOIN executions e ON e.org = k.org AND e.project = k.project AND e.domain = k.domain AND e.name = k.name`,
};

const terminalPhases = `('SUCCEEDED', 'FAILED', 'ABORTED', 'TIMED_OUT')`;

/** I/O on the table of executions: hand-written SQL, since runs are created and read far more often than anything else. */
export class ExecutionsRepository {
  /** Inserts those whose name is free; returns their ids by uid. */
  async insert(db: Queryable, rows: readonly NewExecution[]): Promise<Map<string, bigint>> {
    const { rows: inserted } = await db.query<{ id: bigint; uid: string }>(
      insertStatement,
      insertColumns.map(([, , cell]) => rows.map(cell)),
    );
    const ids = new Map(inserted.map(({ id, uid }) => [uid, id]));
    const tags = rows.flatMap((row) => {
      const id = ids.get(row.uid);
      return id === undefined ? [] : row.tags.map(([key, value]) => ({ id, key, value }));
    });
    if (tags.length > 0)
      await db.query(insertTagsStatement, [tags.map((t) => t.id), tags.map((t) => t.key), tags.map((t) => t.value)]);
    return ids;
  }

  /** Inserts executions whose names are thought to be free; the commit fails with ALREADY_EXISTS, and nothing is written, if one isn't. */
  sendNew(tx: Transaction, rows: readonly NewExecution[]): void {
    tx.send(
      insertNewStatement,
      insertColumns.map(([, , cell]) => rows.map(cell)),
    );
    const tags = rows.flatMap(({ uid, tags }) => tags.map(([key, value]) => ({ uid, key, value })));
    if (tags.length > 0)
      tx.send(insertNewTagsStatement, [
        tags.map(({ uid }) => uid),
        tags.map(({ key }) => key),
        tags.map(({ value }) => value),
      ]);
  }

  async find(db: Queryable, key: NameKey): Promise<ExecutionRow | undefined> {
    const { rows } = await db.query<ExecutionRow>(findStatement, keyValues(key));
    return rows[0];
  }

  /** Those of these that there are, in any order. */
  async findAll(db: Queryable, keys: readonly NameKey[]): Promise<ExecutionRow[]> {
    const [only] = keys;
    const { rows } =
      keys.length === 1
        ? await db.query<ExecutionRow>(findStatement, keyValues(only as NameKey))
        : await db.query<ExecutionRow>(
            findAllStatement,
            (['org', 'project', 'domain', 'name'] as const).map((part) => keys.map((key) => key[part])),
          );
    return rows;
  }

  async findData(db: Queryable, key: NameKey): Promise<ExecutionDataRow | undefined> {
    const { rows } = await db.query<ExecutionDataRow>(
      `SELECT ${dataColumns} FROM executions e WHERE ${whereKey}`,
      keyValues(key),
    );
    return rows[0];
  }

  async findUid(db: Queryable, id: bigint): Promise<string | undefined> {
    const { rows } = await db.query<{ uid: string }>('SELECT uid FROM executions WHERE id = $1', [id]);
    return rows[0]?.uid;
  }

  /** Locks the row until the transaction ends. */
  async lock(db: Queryable, key: NameKey): Promise<ExecutionRow | undefined> {
    const { rows } = await db.query<ExecutionRow>(
      `SELECT ${readColumns} FROM executions e WHERE ${whereKey} FOR NO KEY UPDATE`,
      keyValues(key),
    );
    return rows[0];
  }

  async markAborting(db: Queryable, id: bigint, closure: Buffer, cause: string): Promise<void> {
    await db.query(
      `UPDATE executions SET phase = 'ABORTING', closure = $2, abort_cause = $3, updated_at = now() WHERE id = $1`,
      [id, closure, cause],
    );
  }

  async setState(db: Queryable, id: bigint, state: number, closure: Buffer): Promise<void> {
    await db.query('UPDATE executions SET state = $2, closure = $3, updated_at = now() WHERE id = $1', [
      id,
      state,
      closure,
    ]);
  }

  /** Runs of any version of a launch plan that have not ended (A-36), counted under a lock of the plan's name. */
  async countRunning(db: Queryable, plan: NameKey): Promise<number> {
    const { org, project, domain, name } = plan;
    await db.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 36))', [
      JSON.stringify([org, project, domain, name]),
    ]);
    const { rows } = await db.query<{ running: number }>(
      `SELECT count(*)::integer AS running FROM executions
       WHERE org = $1 AND launch_plan_project = $2 AND launch_plan_domain = $3 AND launch_plan_name = $4
         AND phase NOT IN ${terminalPhases}`,
      [org, project, domain, name],
    );
    return rows[0]?.running ?? 0;
  }

  /** A-53: archived runs are hidden unless a filter names `state`. RESOURCE_EXHAUSTED if filters take longer than that. */
  async list(
    database: Database,
    scope: Omit<NameKey, 'name'>,
    request: ListRequest,
    limitMs: number,
  ): Promise<{ rows: ExecutionRow[]; token: string }> {
    const { text, values, nextToken } = executionListStatement(scope, request);
    const { rows } = await listQuery(database, limitMs, request, (db) => db.query<ExecutionRow>(text, values));
    return { rows, token: nextToken(rows.length) };
  }
}

/** The statement of a list: oldest first unless the request says otherwise, in the order of the index. */
export function executionListStatement(
  { org, project, domain }: Omit<NameKey, 'name'>,
  request: ListRequest,
): { text: string; values: unknown[]; nextToken(rows: number): string } {
  const parameters = new SqlParameters();
  const where = [
    `e.org = ${parameters.add(org)}`,
    `e.project = ${parameters.add(project)}`,
    `e.domain = ${parameters.add(domain)}`,
  ];
  if (!filtersName(executionModel, request.filters, 'state')) where.push('e.state = 0');
  const defaultOrder = ['e.created_at', 'e.id'];
  const { tail, order, nextToken } = compileList({ model: executionModel, request, parameters, where, defaultOrder });
  // What isn't the front of an index is looked for in indexes alone; only the page's rows are read whole.
  const text = isFirstPage(request)
    ? `SELECT ${readColumns} ${tail}`
    : `SELECT ${readColumns} FROM (SELECT e.id ${tail}) AS page JOIN executions e ON e.id = page.id ORDER BY ${order}`;
  return { text, values: parameters.values, nextToken };
}
