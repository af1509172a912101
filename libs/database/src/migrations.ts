import { createHash } from 'node:crypto';
import { failedPrecondition, invalidArgument } from '@aloft/errors';
import type { Database, Queryable, Transaction } from './database.js';

/**
 * One step of a schema. Immutable once released: what it did is recorded with its checksum, and a change of it refuses
 * to start. Steps run in the order of their array, each in a transaction of its own.
 */
export type Migration =
  | { readonly name: string; readonly sql: string }
  | {
      readonly name: string;
      /** Rises when `up` changes before its release (a function has no checksum of its own). */
      readonly revision: number;
      up(tx: Transaction): Promise<void>;
    };

/** SHA-256 of what identifies a step. */
export function checksum(migration: Migration): string {
  const what = 'sql' in migration ? migration.sql : `function, revision ${migration.revision}`;
  return createHash('sha256').update(`${migration.name}\n${what}`).digest('hex');
}

/**
 * Brings a service's tables in the database's schema up to date; returns the names of the steps it ran. Several
 * services may share a schema, each with its own list. Processes that start together wait for one another.
 *
 * FAILED_PRECONDITION when the schema is newer than this binary, or a step that has run is no longer the same.
 */
export async function migrate(
  database: Database,
  service: string,
  migrations: readonly Migration[],
): Promise<string[]> {
  const duplicate = migrations.find((m, i) => migrations.findIndex((other) => other.name === m.name) !== i);
  if (duplicate) throw invalidArgument(`migrations of ${service}: two are named "${duplicate.name}"`);
  await database.transaction(async (tx) => {
    await lock(tx, database.schema);
    await tx.query(`CREATE TABLE IF NOT EXISTS aloft_migrations (
      service text NOT NULL,
      step int NOT NULL,
      name text NOT NULL,
      checksum text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (service, step)
    )`);
  });
  const done: string[] = [];
  for (;;) {
    const name = await database.transaction((tx) => step(tx, database.schema, service, migrations));
    if (name === undefined) return done;
    done.push(name);
  }
}

/** Where a service's tables stand, against the steps that this binary knows. */
export interface MigrationState {
  /** Names of steps that have not run: the schema is too old for this binary. */
  pending: string[];
  /** Names of steps that this binary does not know: the schema is too new for it. */
  unknown: string[];
}

/**
 * The sibling of {@link migrate} that changes nothing. FAILED_PRECONDITION when a step that has run is no longer the same.
 */
export async function inspectMigrations(
  database: Queryable & { readonly schema: string },
  service: string,
  migrations: readonly Migration[],
): Promise<MigrationState> {
  const { rows } = await database.query<{ there: boolean }>(
    `SELECT to_regclass($1 || '.aloft_migrations') IS NOT NULL AS there`,
    [database.schema],
  );
  const applied = rows[0]!.there ? await appliedSteps(database, service) : [];
  checkUnchanged(applied, database.schema, service, migrations);
  return {
    pending: migrations.slice(applied.length).map(({ name }) => name),
    unknown: applied.slice(migrations.length).map(({ name }) => name),
  };
}

interface AppliedStep {
  name: string;
  checksum: string;
}

async function appliedSteps(on: Queryable, service: string): Promise<AppliedStep[]> {
  const { rows } = await on.query<{ name: string; checksum: string }>(
    'SELECT name, checksum FROM aloft_migrations WHERE service = $1 ORDER BY step',
    [service],
  );
  return rows;
}

function checkUnchanged(
  applied: readonly AppliedStep[],
  schema: string,
  service: string,
  migrations: readonly Migration[],
): void {
  for (const [i, row] of applied.entries()) {
    const known = migrations[i];
    if (known !== undefined && (known.name !== row.name || checksum(known) !== row.checksum))
      throw failedPrecondition(
        `schema "${schema}" of ${service}: step ${i + 1} ran as "${row.name}" (checksum ${row.checksum.slice(0, 12)}), ` +
          `this binary has "${known.name}" (${checksum(known).slice(0, 12)}) there. A step that has run never changes: ` +
          `put it back and add a new step at the end`,
      );
  }
}

/** Runs the next step that has not run; undefined when there is none. */
async function step(
  tx: Transaction,
  schema: string,
  service: string,
  migrations: readonly Migration[],
): Promise<string | undefined> {
  await lock(tx, schema);
  const applied = await appliedSteps(tx, service);
  checkUnchanged(applied, schema, service, migrations);
  if (applied.length > migrations.length)
    throw failedPrecondition(
      `schema "${schema}" of ${service} is at step ${applied.length} ("${applied.at(-1)!.name}"), this binary knows ` +
        `${migrations.length}: it is older than the database. Start a binary at least as new as the one that migrated it`,
    );
  const next = migrations[applied.length];
  if (next === undefined) return undefined;
  if ('sql' in next) await tx.query(next.sql);
  else await next.up(tx);
  await tx.query('INSERT INTO aloft_migrations (service, step, name, checksum) VALUES ($1, $2, $3, $4)', [
    service,
    applied.length + 1,
    next.name,
    checksum(next),
  ]);
  return next.name;
}

async function lock(tx: Transaction, schema: string): Promise<void> {
  await tx.query(`SELECT pg_advisory_xact_lock(hashtext('aloft.migrations'), hashtext($1))`, [schema]);
}
