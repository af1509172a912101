import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { allowAll } from '@aloft/auth';
import { descriptorSetPath } from '@aloft/idl/descriptor';
import { openBlobStore, openBus, openServiceDatabase, runService, sharedCheck } from '@aloft/service';
import { createRpcServer, serveNest } from '@aloft/service/nest';
import { propellerTopics, topics } from './events/outgoing.js';
import { propellerMigrations } from './migrations.js';
import { PropellerModule, propellerServices } from './propeller.module.js';
import { PropellerService } from './propeller.service.js';
import { propellerServiceConfig } from './service-config.js';

const storage = { schema: 'propeller', migrations: propellerMigrations, bus: { publishes: propellerTopics } };

await runService({
  name: 'propeller',
  schema: propellerServiceConfig,
  storage,
  async compose(service) {
    const { config, logger, metrics, health, shutdown } = service;
    const database = await openServiceDatabase(service, storage);
    const { commands, reports, events, tasks } = topics;
    const bus = await openBus(service, {
      database,
      topics: [commands, reports, events, ...config.propeller.backends.known.map(tasks)],
    });
    const blob = await openBlobStore(service);
    const rpc = createRpcServer(service, {
      ...config.grpc,
      policy: allowAll,
      descriptorSet: readFileSync(descriptorSetPath),
    });
    const module = PropellerModule.register({
      database,
      bus,
      blob,
      adminAddress: () => config.adminAddress,
      catalogAddress: () => config.catalogAddress,
      config: config.propeller,
      logger,
      metrics,
    });
    const { app } = await serveNest(service, {
      modules: [module],
      rpc,
      services: propellerServices,
      http: config.http,
    });
    const propeller = app.get(PropellerService);
    health.add('ready', 'shards', () => propeller.check());
    for (const [name, check] of Object.entries(propeller.callees)) health.add('ready', name, sharedCheck(check));
    await propeller.start();
    shutdown.add('consumers', 'propeller', () => propeller.stop());
    logger.info({ partitions: propeller.status().partitions }, 'shards taken');
  },
});
