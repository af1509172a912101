import { createLocalBlobStore } from '@aloft/blob';
import { createS3BlobStore } from '@aloft/blob/s3';
import { busMigrations, createPostgresBus } from '@aloft/bus';
import { loadConfig } from '@aloft/config';
import { migrate, openDatabase } from '@aloft/database';
import { createLogger } from '@aloft/telemetry';
import { NestFactory } from '@nestjs/core';
import 'reflect-metadata';
import { z } from 'zod';
import { propellerConfigSchema } from './config.js';
import { propellerMigrations } from './migrations.js';
import { PropellerModule } from './propeller.module.js';
import { PropellerService } from './propeller.service.js';

/** A propeller in a process of its own: `ALOFT_CONFIG` names a YAML file; every setting is a variable too. */
const schema = z.object({
  database: z.object({ url: z.url(), busUrl: z.url(), poolSize: z.number().int().positive().default(8) }),
  /** Partitions of every topic; the same in all processes of the installation. */
  partitions: z.number().int().positive().default(1),
  blob: z.object({
    /** Folder of a local store; empty = S3. */
    dir: z.string().default(''),
    bucket: z.string().min(1).default('aloft'),
    endpoint: z.string().optional(),
    region: z.string().default('us-east-1'),
  }),
  admin: z.object({ address: z.string().min(1) }),
  catalog: z.object({ address: z.string().min(1) }),
  logLevel: z.string().default('info'),
  propeller: propellerConfigSchema,
});

const config = loadConfig({ schema, file: process.env.ALOFT_CONFIG });
const logger = createLogger('propeller', { level: config.logLevel });
const database = openDatabase({
  url: config.database.url,
  schema: 'propeller',
  poolSize: config.database.poolSize,
  logger,
});
const busDatabase = openDatabase({ url: config.database.busUrl, schema: 'bus', poolSize: 4, logger });
await migrate(database, 'bus-consumer', busMigrations);
await migrate(database, 'propeller', propellerMigrations);
const bus = createPostgresBus({ database: busDatabase, partitions: config.partitions, logger });
const { dir, bucket, endpoint, region } = config.blob;
const blob =
  dir === ''
    ? createS3BlobStore({ buckets: [bucket], endpoint, region })
    : createLocalBlobStore({ dir, buckets: [bucket] });

const app = await NestFactory.createApplicationContext(
  PropellerModule.register({
    database,
    bus,
    blob,
    adminAddress: () => config.admin.address,
    catalogAddress: () => config.catalog.address,
    config: config.propeller,
    logger,
  }),
  { logger: false },
);
const service = app.get(PropellerService);
await service.start();
logger.info({ partitions: service.status().partitions }, 'propeller is running');

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    void (async () => {
      await service.stop();
      await bus.close();
      await Promise.all([database.close(), busDatabase.close()]);
      await app.close();
    })().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.fatal({ err: error }, 'could not stop cleanly');
        process.exit(1);
      },
    );
  });
}
