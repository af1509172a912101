import 'reflect-metadata';
import { AdminServiceClient } from '@aloft/idl/flyteidl/service/admin';
import { createClient } from '@aloft/rpc';
import {
  closeHttp,
  openBus,
  openServiceDatabase,
  runService,
  sharedCheck,
  startOperationsServer,
} from '@aloft/service';
import { NestFactory } from '@nestjs/core';
import { notifierMigrations } from './migrations.js';
import { Notifier } from './notifier.js';
import { NotifierModule } from './notifier.module.js';
import { notifierServiceConfig } from './service-config.js';

const storage = { schema: 'notifier', migrations: notifierMigrations, bus: { publishes: [] } };

await runService({
  name: 'notifier',
  schema: notifierServiceConfig,
  storage,
  async compose(service) {
    const { config, logger, metrics, health, shutdown } = service;
    const database = await openServiceDatabase(service, storage);
    const bus = await openBus(service, { database, topics: ['executions.events'] });
    const http = await startOperationsServer(config.http, health, metrics);
    shutdown.add('servers', 'HTTP', (remainingMs) => closeHttp(http, remainingMs));
    const admin = createClient(AdminServiceClient, config.adminAddress);
    shutdown.add('flush', 'admin client', () => admin.close());
    health.add(
      'ready',
      'admin',
      sharedCheck(() => admin.ready(1_500)),
    );
    const app = await NestFactory.createApplicationContext(
      NotifierModule.register({ database, bus, admin, config: config.notifier, logger, metrics }),
      { logger: ['error', 'warn'], abortOnError: false },
    );
    shutdown.add('flush', 'modules', () => app.close());
    const notifier = app.get(Notifier);
    await notifier.start();
    shutdown.add('consumers', 'notifier', () => notifier.stop());
  },
});
