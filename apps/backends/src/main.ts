import 'reflect-metadata';
import {
  closeHttp,
  openBlobStore,
  openBus,
  openServiceDatabase,
  runService,
  startOperationsServer,
} from '@aloft/service';
import { NestFactory } from '@nestjs/core';
import { Backends, backendsMigrations } from './backends.js';
import { BackendsModule } from './backends.module.js';
import { backendsServiceConfig, commandTopics } from './service-config.js';

const storage = { schema: 'backends', migrations: backendsMigrations, bus: { publishes: ['tasks.reports'] } };

await runService({
  name: 'backends',
  schema: backendsServiceConfig,
  storage,
  async compose(service) {
    const { config, logger, metrics, health, shutdown } = service;
    const { endpoint, region, accessKeyId, secretAccessKey } = config.blob;
    const database = await openServiceDatabase(service, storage);
    const bus = await openBus(service, {
      database,
      topics: ['tasks.reports', ...commandTopics(config.backends)],
    });
    const blob = await openBlobStore(service);
    const http = await startOperationsServer(config.http, health, metrics);
    shutdown.add('servers', 'HTTP', (remainingMs) => closeHttp(http, remainingMs));
    const app = await NestFactory.createApplicationContext(
      await BackendsModule.register({
        config: config.backends,
        database,
        bus,
        blob,
        shared: true,
        logger,
        metrics,
        health,
        dataDir: config.dataDir,
        python: config.python,
        storage: () => ({ endpoint, region, accessKeyId, secretAccessKey }),
        publicUrl: () => config.publicUrl,
        platformUrl: () => config.platformAddress,
      }),
      { logger: ['error', 'warn'], abortOnError: false },
    );
    shutdown.add('flush', 'modules', () => app.close());
    const backends = app.get(Backends);
    await backends.start();
    shutdown.add('consumers', 'backend hosts', (remainingMs) => backends.stop(remainingMs));
  },
});
