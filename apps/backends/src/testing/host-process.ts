// A process with a host of the backend `local`, for tests that kill or pause it. Arguments: database URL, folder of its own, blob
// folder, milliseconds of the lease. Says "ready"; SIGTERM stops it cleanly.
import { createLocalBlobStore } from '@aloft/blob';
import { createPostgresBus } from '@aloft/bus';
import { openDatabase } from '@aloft/database';
import { createLogger } from '@aloft/telemetry';
import { Backends } from '../backends.js';
import { backendsConfigSchema } from '../config.js';

const [url = '', dataDir = '', blobDir = '', leaseMs = '0', drainMs = '0'] = process.argv.slice(2);
const logger = createLogger('host', { level: process.env['ALOFT_TEST_LOG'] ?? 'silent' });
const database = openDatabase({ url, schema: 'backends', poolSize: 6, logger });
const bus = createPostgresBus({ database: openDatabase({ url, schema: 'bus', poolSize: 4, logger }), logger });
const backends = new Backends({
  config: backendsConfigSchema.parse({
    leaseMs: Number(leaseMs),
    drainMs: Number(drainMs),
    local: { warm: { atStart: false, node: 0 }, slots: 2, cpu: 4, graceMs: 500 },
  }),
  database,
  bus,
  blob: createLocalBlobStore({ dir: blobDir, durable: false }),
  shared: true,
  logger,
  dataDir,
  storage: () => ({}),
  publicUrl: () => 'http://localhost:8088',
  platformUrl: () => undefined,
});
process.on('SIGTERM', () => {
  void backends
    .stop()
    .then(() => bus.close())
    .then(() => process.exit(0));
});
await backends.start();
console.log('ready');
