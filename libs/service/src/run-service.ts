import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { loadConfig } from '@aloft/config';
import { invalidArgument, toAloftError } from '@aloft/errors';
import { createLogger, HealthRegistry, Metrics, startTracing, type Logger } from '@aloft/telemetry';
import type { z } from 'zod';
import type { BusConfig, DatabaseConfig, ServiceConfig } from './config.js';
import { IdleHeap } from './idle-heap.js';
import { migrateService } from './migrate-command.js';
import type { Service } from './service.js';
import { Shutdown } from './shutdown.js';
import { endOnSignals } from './signals.js';
import type { Storage } from './storage.js';

type StoredConfig = ServiceConfig & { database: DatabaseConfig; bus?: BusConfig };

export interface ServiceDefinition<C extends StoredConfig> {
  /** As in logs and metrics: `propeller`. */
  name: string;
  /** `serviceConfig` with the service's parts. */
  schema: z.ZodObject & z.ZodType<C>;
  storage: Storage;
  /** Opens and starts everything, each with its step of the shutdown. The service is ready when it resolves. */
  compose(service: Service<C>): Promise<void>;
}

/**
 * The whole life of a service process: `node dist/main.js` serves until a signal, `node dist/main.js migrate` brings its
 * schema up to date and ends. Settings: the YAML file that ALOFT_CONFIG names, else `aloft.yaml` here, and ALOFT_*.
 * What keeps it from starting is told in one message, with the way to mend it; the exit code is 1 then.
 */
export async function runService<C extends StoredConfig>(definition: ServiceDefinition<C>): Promise<void> {
  const { name, schema } = definition;
  try {
    const [command, ...rest] = process.argv.slice(2);
    if (rest.length > 0 || (command !== undefined && command !== 'migrate'))
      throw invalidArgument(
        `there is no command "${process.argv.slice(2).join(' ')}": "migrate" brings the schema up to date, without one ${name} serves`,
      );
    const file = process.env.ALOFT_CONFIG ?? (existsSync('aloft.yaml') ? 'aloft.yaml' : undefined);
    const config: C = loadConfig({ schema, file });
    const replica = `${hostname()}/${process.pid}`;
    const logger = createLogger(name, { level: config.logLevel }).child({ replica });
    dieLoudly(logger);
    if (command === 'migrate') await runMigrateCommand(definition, config, logger);
    else await serve(definition, config, logger, replica);
  } catch (error) {
    tellAndExit(name, error);
  }
}

async function runMigrateCommand(
  { name, storage }: { name: string; storage: Storage },
  config: StoredConfig,
  logger: Logger,
): Promise<void> {
  const { database, bus } = config;
  const adminUrl = process.env.ALOFT_DATABASE_ADMIN_URL;
  const done = await migrateService({ database, bus, storage, adminUrl, logger });
  console.log(done.length === 0 ? `${name}: nothing to migrate` : `${name}: migrated ${done.join(', ')}`);
}

async function serve<C extends StoredConfig>(
  { name, compose }: ServiceDefinition<C>,
  config: C,
  logger: Logger,
  replica: string,
): Promise<void> {
  const health = new HealthRegistry();
  const metrics = new Metrics({ process: true });
  const shutdown = new Shutdown({ logger, ...config.shutdown });
  const service: Service<C> = { name, replica, config, logger, metrics, health, shutdown };
  const { serviceName = `aloft-${name}`, ...telemetry } = config.telemetry;
  const tracing = startTracing({ serviceName, instanceId: replica, ...telemetry, logger });
  // The first step of the last stage to be added is the last of all: what others do while they close is told, too.
  shutdown.add('pools', 'traces', () => tracing.shutdown());
  shutdown.add('unready', 'health', () => health.setServing(false));
  const heap = new IdleHeap();
  heap.start();
  shutdown.add('pools', 'heap', () => heap.stop());
  const starting = compose(service);
  endOnSignals({ logger, shutdown, starting });
  try {
    await starting;
  } catch (error) {
    await shutdown.run();
    if (toAloftError(error).code === 'CANCELLED') process.exit(0);
    throw error;
  }
  if (shutdown.signal.aborted) return;
  health.setServing(true);
  logger.info('ready');
}

/** Whatever nobody caught: the state is unknown, so the process ends and another one begins from what is stored. */
function dieLoudly(logger: Logger): void {
  for (const event of ['uncaughtException', 'unhandledRejection'] as const)
    process.on(event, (error: unknown) => {
      logger.fatal({ err: error }, `${event}: the process ends`);
      process.exit(1);
    });
}

function tellAndExit(name: string, thrown: unknown): never {
  const { message, code } = toAloftError(thrown);
  console.error(`${name} can't start (${code}): ${message}`);
  // A mistake of ours, not of a setting: where it came from is what helps.
  if (code === 'INTERNAL') console.error(thrown);
  process.exit(1);
}
