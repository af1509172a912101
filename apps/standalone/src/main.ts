import 'reflect-metadata';
import { existsSync } from 'node:fs';
import { loadConfig } from '@aloft/config';
import { toAloftError } from '@aloft/errors';
import { endOnSignals, Shutdown } from '@aloft/service';
import { createLogger } from '@aloft/telemetry';
import { standaloneConfigSchema } from './config.js';
import { Standalone } from './standalone.js';

/** One process: embedded Postgres, blob folder, all services. Settings: aloft.yaml here, or ALOFT_CONFIG's file, and ALOFT_*. */
async function main(): Promise<void> {
  const file = process.env.ALOFT_CONFIG ?? (existsSync('aloft.yaml') ? 'aloft.yaml' : undefined);
  const config = loadConfig({ schema: standaloneConfigSchema, file });
  const logger = createLogger('aloft', { level: config.logLevel });
  const shutdown = new Shutdown({ logger });
  const starting = Standalone.start(config, logger, shutdown);
  endOnSignals({ logger, shutdown, starting });
  const platform = await starting;
  if (shutdown.signal.aborted) return;
  console.log(
    `Aloft is ready: gRPC ${platform.grpcAddress}, HTTP ${platform.httpUrl}, console ${platform.httpUrl}/console`,
  );
}

main().catch((error: unknown) => {
  const { message, code } = toAloftError(error);
  console.error(`Aloft can't start (${code}): ${message}`);
  if (code === 'INTERNAL') console.error(error);
  process.exit(1);
});
