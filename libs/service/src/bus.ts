import { createPostgresBus, postgresBusMigrations, type Bus } from '@aloft/bus';
import { openDatabase } from '@aloft/database';
import { AloftError } from '@aloft/errors';
import { sharedCheck } from './checks.js';
import type { BusConfig, ServiceConfig } from './config.js';
import { withPatience } from './patience.js';
import type { Service } from './service.js';
import { checkMigrations, checkSchemaExists } from './storage.js';

const poolSize = 4;

/**
 * The event bus, after it was seen that it can be reached and is as the configuration says. Adds the readiness check, and the
 * step that flushes what is still to be sent.
 */
export async function openBus(service: Service<ServiceConfig & { bus: BusConfig }>): Promise<Bus> {
  switch (service.config.bus.driver) {
    case 'postgres':
      return openPostgresBus(service);
    case 'kafka':
      throw new AloftError('UNIMPLEMENTED', 'bus.driver: "kafka" is not part of this build');
  }
}

async function openPostgresBus(service: Service<ServiceConfig & { bus: BusConfig }>): Promise<Bus> {
  const { config, logger, health, shutdown } = service;
  const database = openDatabase({ url: config.bus.postgres.url!, schema: 'bus', poolSize, logger });
  shutdown.add('pools', 'bus database', () => database.close());
  await withPatience(
    async () => {
      await checkSchemaExists(database, 'bus.postgres.url');
      await checkMigrations(database, [['bus', postgresBusMigrations]]);
    },
    { part: 'bus', patienceMs: config.start.patienceMs, logger, signal: shutdown.signal },
  );
  const bus = createPostgresBus({ database, partitions: config.bus.partitions, logger });
  shutdown.add('flush', 'bus', () => bus.close());
  health.add(
    'ready',
    'bus',
    sharedCheck(() => database.query('SELECT 1')),
  );
  return bus;
}
