import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { allowAll } from '@aloft/auth';
import { descriptorSetPath } from '@aloft/idl/descriptor';
import { RestGateway, serviceName } from '@aloft/rpc';
import { openBlobStore, openBus, openServiceDatabase, runService } from '@aloft/service';
import { createRpcServer, serveNest } from '@aloft/service/nest';
import { adminExtraRoutes, adminGrpcServices, AdminModule, adminOpenApi } from './admin.module.js';
import { AdminLifecycle } from './lifecycle.js';
import { adminMigrations } from './migrations/index.js';
import { adminServiceConfig } from './service-config.js';

const storage = {
  schema: 'admin',
  migrations: adminMigrations,
  bus: { publishes: ['executions.commands', 'executions.events', 'registry.events'] },
};

await runService({
  name: 'admin',
  schema: adminServiceConfig,
  storage,
  async compose(service) {
    const { config, logger, shutdown } = service;
    const database = await openServiceDatabase(service, storage);
    const bus = await openBus(service, {
      database,
      topics: ['executions.commands', 'executions.events', 'registry.events'],
    });
    const blob = await openBlobStore(service);
    const descriptorSet = readFileSync(descriptorSetPath);
    const rpc = createRpcServer(service, { ...config.grpc, policy: allowAll, descriptorSet });
    const module = await AdminModule.register({
      config: config.admin,
      database,
      bus,
      blob,
      policy: allowAll,
      propellerAddress: () => config.propellerAddress,
      logger,
      metrics: service.metrics,
      dispatcher: () => rpc.dispatcher,
    });
    const gateway = new RestGateway({
      descriptorSet,
      services: adminGrpcServices.map(serviceName),
      dispatcher: rpc.dispatcher,
      logger: logger.child({ part: 'rest' }),
      extraRoutes: adminExtraRoutes,
    });
    const { app } = await serveNest(service, {
      modules: [module],
      rpc,
      services: adminGrpcServices,
      http: config.http,
      gateway,
      openApi: adminOpenApi(),
    });
    const lifecycle = app.get(AdminLifecycle);
    shutdown.add('pools', 'registry', () => lifecycle.close());
    await lifecycle.start();
    shutdown.add('consumers', 'projection and live streams', () => lifecycle.stop());
  },
});
