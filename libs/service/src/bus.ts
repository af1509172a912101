import { readFileSync } from 'node:fs';
import { createPostgresBus, postgresBusMigrations, type Bus } from '@aloft/bus';
import { openDatabase, type Database } from '@aloft/database';
import { failedPrecondition } from '@aloft/errors';
import { sharedCheck } from './checks.js';
import type { BusConfig, ServiceConfig } from './config.js';
import { withPatience } from './patience.js';
import type { Service } from './service.js';
import { checkMigrations, checkSchemaExists } from './storage.js';

const poolSize = 4;

export interface BusParts {
  /** The service's own: its schema holds the outbox of what it publishes. */
  database: Database;
  /** Those that this process publishes to or reads. */
  topics: readonly string[];
}

/**
 * The event bus, after it was seen that it can be reached and is as the configuration says. Adds the readiness check, and the
 * step that flushes what is still to be sent.
 */
export async function openBus(service: Service<ServiceConfig & { bus: BusConfig }>, parts: BusParts): Promise<Bus> {
  return service.config.bus.driver === 'kafka' ? openKafkaBus(service, parts) : openPostgresBus(service);
}

async function openKafkaBus(
  { config, name, logger, metrics, health, shutdown }: Service<ServiceConfig & { bus: BusConfig }>,
  { database, topics }: BusParts,
): Promise<Bus> {
  // Its client is loaded only where it is used.
  const { createKafkaBus } = await import('@aloft/bus/kafka');
  const { partitions, kafka } = config.bus;
  const { tls, clientId = `aloft-${name}`, ...settings } = kafka;
  const bus = createKafkaBus({
    ...settings,
    clientId,
    tls: tls.enabled ? tlsOptions(tls) : undefined,
    partitions,
    topics,
    database,
    startTimeoutMs: config.start.patienceMs,
    logger,
    metrics,
  });
  shutdown.add('flush', 'bus', () => bus.close());
  await bus.start();
  health.add(
    'ready',
    'bus',
    sharedCheck(() => bus.check()),
  );
  return bus;
}

function tlsOptions({ caFile, certFile, keyFile, rejectUnauthorized }: BusConfig['kafka']['tls']) {
  const read = (setting: string, file: string | undefined): Buffer | undefined => {
    if (file === undefined) return undefined;
    try {
      return readFileSync(file);
    } catch (error) {
      throw failedPrecondition(`bus.kafka.tls.${setting}: ${file} can't be read (${(error as Error).message})`, {
        cause: error,
      });
    }
  };
  return {
    ca: read('caFile', caFile),
    cert: read('certFile', certFile),
    key: read('keyFile', keyFile),
    rejectUnauthorized,
  };
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
