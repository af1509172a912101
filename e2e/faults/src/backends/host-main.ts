// A process with the backend hosts as the platform composes them, over the Postgres bus. Argument: a file with its `HostSettings`.
// Says "ready"; SIGTERM stops it in good order.
import { readFileSync } from 'node:fs';
import { Backends, backendsConfigSchema } from '@aloft/backends';
import { createLocalBlobStore } from '@aloft/blob';
import { createPostgresBus } from '@aloft/bus';
import { openDatabase } from '@aloft/database';
import { createLogger } from '@aloft/telemetry';
import { type HostSettings, partitions } from './host.js';

const settings = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as HostSettings;
const { url, dataDir, blobDir, shared } = settings;
const logger = createLogger('host', { level: process.env['ALOFT_LOG_LEVEL'] ?? 'info' });
const database = openDatabase({ url, schema: 'backends', poolSize: 6, logger });
const bus = createPostgresBus({
  database: openDatabase({ url, schema: 'bus', poolSize: 4, logger }),
  logger,
  partitions,
});
const backends = new Backends({
  config: backendsConfigSchema.parse(settings.backends),
  database,
  bus,
  blob: createLocalBlobStore({ dir: blobDir, durable: false }),
  shared,
  logger,
  dataDir,
  storage: () => ({}),
  publicUrl: () => 'http://localhost:8088',
  platformUrl: () => undefined,
});
for (const kind of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(kind, (error) => {
    logger.fatal({ err: error }, `${kind}: the process ends`);
    process.exit(1);
  });
process.on('SIGTERM', () => {
  void backends
    .stop()
    .then(() => bus.close())
    .then(() => process.exit(0));
});
try {
  await backends.start();
  console.log('ready');
} catch (error) {
  // A supervisor starts it again.
  logger.error({ err: error }, 'the hosts could not be started');
  process.exit(1);
}
