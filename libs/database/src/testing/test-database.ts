import { createHash, randomBytes } from 'node:crypto';
import { createLogger } from '@aloft/telemetry';
import pg from 'pg';
import type { Database } from '../database.js';
import { checksum, migrate, type Migration } from '../migrations.js';
import { checkIdentifier, openDatabase } from '../open-database.js';
import { sharedPostgres } from './shared-postgres.js';

/** A schema of a test database with the services whose tables it holds. */
export interface TestSchema {
  schema: string;
  /** Name under which its migrations are recorded (default: the schema's). */
  service?: string;
  migrations?: readonly Migration[];
}

export interface TestDatabaseOptions extends TestSchema {
  /** More schemas (and services in the same one) of the same database, e.g. the bus's. */
  also?: readonly TestSchema[];
  /** Connections at most of each opened Database (default 8). */
  poolSize?: number;
}

export interface TestDatabase {
  /** On `options.schema`. */
  database: Database;
  url: string;
  /** Another Database on this one, e.g. of a schema of `also`; closed by `drop`. */
  open(schema: string, poolSize?: number): Database;
  /** Closes what was opened and removes the database, whoever is still connected. */
  drop(): Promise<void>;
}

/**
 * A database of its own for a test (file): a clone of a template that is migrated once per set of migrations and
 * shared by all test processes. About 0.1 s. Migrations that are functions count as unchanged while their revision is.
 */
export async function testDatabase(options: TestDatabaseOptions): Promise<TestDatabase> {
  const schemas: TestSchema[] = [options, ...(options.also ?? [])];
  const admin = await sharedPostgres();
  const template = `template_${fingerprint(schemas)}`;
  const name = `test_${process.pid}_${randomBytes(6).toString('hex')}`;
  await asAdmin(admin, async (client) => {
    const clone = () => client.query(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`);
    await clone().catch(async (error: { code?: string }) => {
      if (error.code !== '3D000') throw error;
      await makeTemplate(client, admin, template, schemas);
      await clone();
    });
  });
  const url = on(admin, name);
  // Tests lose connections on purpose.
  const logger = createLogger('database', { level: process.env.ALOFT_TEST_LOG ?? 'error' });
  const opened: Database[] = [];
  const open = (schema: string, poolSize = options.poolSize) => {
    const database = openDatabase({ url, schema, poolSize, logger });
    opened.push(database);
    return database;
  };
  return {
    database: open(options.schema),
    url,
    open,
    drop: async () => {
      await Promise.all(opened.map((database) => database.close()));
      await asAdmin(admin, (client) => client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
    },
  };
}

async function makeTemplate(
  client: pg.Client,
  admin: string,
  template: string,
  schemas: readonly TestSchema[],
): Promise<void> {
  // Of several test processes one makes it; the others wait here and find it made. It gets its name when complete.
  await client.query(`SELECT pg_advisory_lock(hashtext($1))`, [template]);
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [template]);
    if (rowCount) return;
    const draft = `${template}_draft`;
    await client.query(`DROP DATABASE IF EXISTS ${draft} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${draft}`);
    for (const { schema, service, migrations } of schemas) {
      const database = openDatabase({ url: on(admin, draft), schema: checkIdentifier('schema', schema), poolSize: 1 });
      try {
        await database.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
        await migrate(database, service ?? schema, migrations ?? []);
      } finally {
        await database.close();
      }
    }
    // A pool's connections end a moment after it was closed.
    await client.query('SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = $1', [draft]);
    await client.query(`ALTER DATABASE ${draft} RENAME TO ${template}`);
  } finally {
    await client.query(`SELECT pg_advisory_unlock(hashtext($1))`, [template]);
  }
}

function fingerprint(schemas: readonly TestSchema[]): string {
  const parts = schemas.map(({ schema, service, migrations }) => [schema, service, (migrations ?? []).map(checksum)]);
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

async function asAdmin(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

function on(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}
