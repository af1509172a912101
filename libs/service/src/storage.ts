import { busMigrations } from '@aloft/bus';
import {
  DatabaseError,
  inspectMigrations,
  migrate,
  openDatabase,
  type Database,
  type Migration,
} from '@aloft/database';
import { AloftError, failedPrecondition, toAloftError } from '@aloft/errors';
import { sharedCheck } from './checks.js';
import type { DatabaseConfig, ServiceConfig } from './config.js';
import { withPatience } from './patience.js';
import type { Service } from './service.js';

/** What a service has in Postgres. */
export interface Storage {
  /** Of its own, owned by its role. */
  schema: string;
  migrations: readonly Migration[];
  /** It consumes or publishes: the bus's tables are in its schema too. */
  bus?: {
    /** Topics that it publishes to (`tasks.commands.%`). */
    publishes: readonly string[];
  };
}

const advice = 'run "node dist/main.js migrate" of this service (or set database.migrations to "run")';

/** Migrations of a schema in the order in which they run, each list under the name that it is recorded by. */
export function migrationLists(storage: Storage): (readonly [service: string, migrations: readonly Migration[]])[] {
  return [...(storage.bus ? [['bus', busMigrations] as const] : []), [storage.schema, storage.migrations] as const];
}

/**
 * The service's database, after it was seen that it can be reached, that the credentials are right and that the schema is the
 * one this binary knows. Adds the readiness check and the step that closes the pool.
 */
export async function openServiceDatabase(
  service: Service<ServiceConfig & { database: DatabaseConfig }>,
  storage: Storage,
): Promise<Database> {
  const { config, logger, health, shutdown } = service;
  const { url, poolSize, migrations } = config.database;
  const database = openDatabase({ url, schema: storage.schema, poolSize, logger });
  shutdown.add('pools', 'database', () => database.close());
  await withPatience(
    async () => {
      await checkSchemaExists(database, 'database.url');
      if (migrations === 'run') await runMigrations(database, storage);
      else await checkMigrations(database, migrationLists(storage));
    },
    { part: 'database', patienceMs: config.start.patienceMs, logger, signal: shutdown.signal },
  );
  health.add(
    'ready',
    'database',
    sharedCheck(() => database.query('SELECT 1')),
  );
  return database;
}

/** Runs what is pending; returns the steps' names. */
export async function runMigrations(database: Database, storage: Storage): Promise<string[]> {
  const done: string[] = [];
  for (const [service, migrations] of migrationLists(storage))
    done.push(...(await migrate(database, service, migrations)));
  return done;
}

/** @throws FAILED_PRECONDITION that names the steps which are missing in the schema, or unknown to this binary. */
export async function checkMigrations(
  database: Database,
  lists: readonly (readonly [service: string, migrations: readonly Migration[]])[],
): Promise<void> {
  for (const [service, migrations] of lists) {
    const { pending, unknown } = await inspectMigrations(database, service, migrations);
    const quoted = (names: readonly string[]) => names.map((name) => `"${name}"`).join(', ');
    if (unknown.length > 0)
      throw failedPrecondition(
        `schema "${database.schema}" is newer than this binary, which does not know ${quoted(unknown)} of ${service}: ` +
          'start a binary at least as new as the one that migrated it',
      );
    if (pending.length > 0)
      throw failedPrecondition(
        `schema "${database.schema}" is older than this binary: ${quoted(pending)} of ${service} has not run; ${advice}`,
      );
  }
}

/** @throws what is wrong with the URL, the credentials or the schema, and how to mend it. `setting` names where they come from. */
export async function checkSchemaExists(database: Database, setting: string): Promise<void> {
  const { host, pathname, username } = new URL(database.url);
  const name = decodeURIComponent(pathname.slice(1));
  const role = decodeURIComponent(username);
  try {
    const { rows } = await database.query<{ usable: boolean | null }>(
      `SELECT (SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1) AS usable`,
      [database.schema],
    );
    const usable = rows[0]?.usable;
    if (usable === null)
      throw failedPrecondition(
        `${setting}: database "${name}" on ${host} has no schema "${database.schema}": run "node dist/main.js migrate" of this ` +
          'service with ALOFT_DATABASE_ADMIN_URL set, which makes the schema and its role',
      );
    if (usable === false)
      throw failedPrecondition(
        `${setting}: role "${role}" does not own schema "${database.schema}" of database "${name}" on ${host}: give the URL of ` +
          'the role that does',
      );
  } catch (error) {
    throw explained(error, setting, { host, name, role });
  }
}

function explained(
  thrown: unknown,
  setting: string,
  { host, name, role }: { host: string; name: string; role: string },
): AloftError {
  const error = toAloftError(thrown);
  const state = thrown instanceof DatabaseError ? thrown.sqlState : undefined;
  const mending: Record<string, string> = {
    '28P01': `the password of role "${role}" is wrong, or there is no such role: mend the user and password in it`,
    '28000': `role "${role}" may not log in: mend its user, or pg_hba.conf of the server`,
    '3D000': `there is no database "${name}": create it, or mend the name at the end of the URL`,
  };
  const how = state === undefined ? undefined : mending[state];
  if (how !== undefined) return failedPrecondition(`${setting}: Postgres at ${host} refuses: ${how}`, { cause: error });
  if (error.code === 'UNAVAILABLE')
    return new AloftError(
      'UNAVAILABLE',
      `${setting}: Postgres at ${host} cannot be reached (${error.message}): is the address right, and does the server run?`,
      { cause: error },
    );
  return error;
}
