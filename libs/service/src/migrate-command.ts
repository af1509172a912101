import { allowPublishing, postgresBusMigrations } from '@aloft/bus';
import { createService, migrate, openDatabase, type Database } from '@aloft/database';
import { invalidArgument } from '@aloft/errors';
import type { Logger } from '@aloft/telemetry';
import type { BusConfig, DatabaseConfig } from './config.js';
import { checkSchemaExists, runMigrations, type Storage } from './storage.js';

export interface MigrateOptions {
  database: DatabaseConfig;
  bus?: BusConfig;
  storage: Storage;
  /** Of a role that may make roles and schemas: then those that are missing are made first. */
  adminUrl?: string;
  logger: Logger;
}

/**
 * `node dist/main.js migrate`: brings a service's schema up to date, and that of the bus where it lies in Postgres. Safe to
 * repeat, and to run for several services at the same time.
 */
export async function migrateService({ database, bus, storage, adminUrl, logger }: MigrateOptions): Promise<string[]> {
  if (adminUrl !== undefined) await makeSchema(adminUrl, storage.schema, database.url, 'database.url');
  const done = await withDatabase(database.url, storage.schema, logger, async (own) => {
    await checkSchemaExists(own, 'database.url');
    return runMigrations(own, storage);
  });
  const busUrl = bus?.driver === 'postgres' ? bus.postgres.url : undefined;
  if (busUrl === undefined || !storage.bus) return done;
  const { publishes } = storage.bus;
  if (adminUrl !== undefined) await makeSchema(adminUrl, 'bus', busUrl, 'bus.postgres.url');
  const ofBus = await withDatabase(busUrl, 'bus', logger, async (own) => {
    await checkSchemaExists(own, 'bus.postgres.url');
    const steps = await migrate(own, 'bus', postgresBusMigrations);
    await allowPublishing(own, userOf(database.url, 'database.url').role, publishes);
    return steps;
  });
  return [...ofBus, ...done];
}

async function makeSchema(adminUrl: string, schema: string, url: string, setting: string): Promise<void> {
  await createService(adminUrl, { schema, ...userOf(url, setting) });
}

function userOf(url: string, setting: string): { role: string; password: string } {
  const { username, password } = new URL(url);
  if (username === '' || password === '')
    throw invalidArgument(`${setting}: has no user and password: they are what the service's role is made with`);
  return { role: decodeURIComponent(username), password: decodeURIComponent(password) };
}

async function withDatabase<T>(
  url: string,
  schema: string,
  logger: Logger,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const database = openDatabase({ url, schema, poolSize: 1, logger });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}
