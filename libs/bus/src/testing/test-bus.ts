import type { Migration } from '@aloft/database';
import { createLogger } from '@aloft/telemetry';
import { testDatabase, type TestDatabase } from '@aloft/database/testing';
import { busMigrations } from '../consumer/migrations.js';
import { postgresBusMigrations } from '../postgres/migrations.js';
import { createPostgresBus, type PostgresBus, type PostgresBusOptions } from '../postgres/postgres-bus.js';

export interface TestBusOptions extends Partial<Omit<PostgresBusOptions, 'database'>> {
  /** The service under test: its schema gets `busMigrations` and these. */
  schema: string;
  migrations?: readonly Migration[];
}

export interface TestBus extends TestDatabase {
  bus: PostgresBus;
  /** Another process' bus on the same database. */
  openBus(): PostgresBus;
}

/** A test database with a service's schema and the `postgres` driver's, and a bus on it. `drop` closes everything. */
export async function testBus(options: TestBusOptions): Promise<TestBus> {
  const { schema, migrations = [], ...busOptions } = options;
  const test = await testDatabase({
    schema,
    migrations,
    also: [
      { schema, service: 'bus', migrations: busMigrations },
      { schema: 'bus', migrations: postgresBusMigrations },
    ],
  });
  // Tests make things fail on purpose.
  const logger = createLogger('bus', { level: process.env.ALOFT_TEST_LOG ?? 'silent' });
  const buses: PostgresBus[] = [];
  const openBus = () => {
    const bus = createPostgresBus({ logger, ...busOptions, database: test.open('bus', 4) });
    buses.push(bus);
    return bus;
  };
  return {
    ...test,
    bus: openBus(),
    openBus,
    drop: async () => {
      await Promise.all(buses.map((bus) => bus.close()));
      await test.drop();
    },
  };
}
