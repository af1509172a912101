import { readFileSync } from 'node:fs';
import {
  AdminLifecycle,
  adminConfigSchema,
  adminExtraRoutes,
  adminGrpcServices,
  adminMigrations,
  AdminModule,
} from '@aloft/admin';
import { allowAll } from '@aloft/auth';
import { temporaryBlobStore } from '@aloft/blob/testing';
import { busMigrations, createPostgresBus, postgresBusMigrations } from '@aloft/bus';
import { catalogMigrations, CatalogModule, catalogServices } from '@aloft/catalog';
import { testDatabase } from '@aloft/database/testing';
import { descriptorSetPath } from '@aloft/idl/descriptor';
import { ExplainServiceClient } from '@aloft/idl/aloft/v1/explain';
import { HistoryServiceClient } from '@aloft/idl/aloft/v1/history';
import { RetentionServiceClient } from '@aloft/idl/aloft/v1/retention';
import { WatchServiceClient } from '@aloft/idl/aloft/v1/watch';
import { AdminServiceClient } from '@aloft/idl/flyteidl/service/admin';
import { SignalServiceClient } from '@aloft/idl/flyteidl/service/signal';
import {
  propellerConfigSchema,
  propellerMigrations,
  PropellerModule,
  PropellerService,
  propellerServices,
} from '@aloft/propeller';
import { createClient, RestGateway, serviceName } from '@aloft/rpc';
import { Shutdown } from '@aloft/service';
import { createRpcServer, serveNest } from '@aloft/service/nest';
import { createLogger, HealthRegistry, Metrics } from '@aloft/telemetry';
import { ScriptedBackend } from './scripted-backend.js';

/**
 * Admin, catalog and propeller as they run, in one process: real Postgres, bus, blob folder, gRPC and HTTP. In the place of
 * backend hosts stands a script.
 */
export async function startServices(propeller: Record<string, unknown> = {}) {
  const logger = createLogger('services-test', { level: process.env.ALOFT_TEST_LOG ?? 'silent' });
  const test = await testDatabase({
    schema: 'admin',
    migrations: adminMigrations,
    also: [
      { schema: 'admin', service: 'bus', migrations: busMigrations },
      { schema: 'propeller', service: 'bus', migrations: busMigrations },
      { schema: 'propeller', migrations: propellerMigrations },
      { schema: 'catalog', migrations: catalogMigrations },
      { schema: 'bus', migrations: postgresBusMigrations },
    ],
  });
  const bus = createPostgresBus({ logger, partitions: 2, database: test.open('bus', 4) });
  const blobs = temporaryBlobStore({
    endpoint: 'http://127.0.0.1:1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'secret' },
  });
  const host = { logger, metrics: new Metrics(), health: new HealthRegistry(), shutdown: new Shutdown({ logger }) };
  const descriptorSet = readFileSync(descriptorSetPath);
  const local = { host: '127.0.0.1', port: 0 };
  const maxMessageBytes = 16 * 1024 * 1024;
  const rpc = createRpcServer(host, { ...local, maxMessageBytes, policy: allowAll, descriptorSet });
  const address = () => `127.0.0.1:${rpc.port}`;
  const services = [...adminGrpcServices, ...catalogServices, ...propellerServices];
  const database = test.open('propeller');
  const catalogDatabase = test.open('catalog');
  const { app, httpUrl } = await serveNest(host, {
    modules: [
      await AdminModule.register({
        config: adminConfigSchema.parse({ caches: { settingsTtlMs: 0 } }),
        database: test.database,
        bus,
        blob: blobs.store,
        policy: allowAll,
        propellerAddress: address,
        logger,
        dispatcher: () => rpc.dispatcher,
      }),
      CatalogModule.register({ database: catalogDatabase }),
      PropellerModule.register({
        database,
        bus,
        blob: blobs.store,
        adminAddress: address,
        catalogAddress: address,
        config: propellerConfigSchema.parse({ leaseMs: 5_000, ...propeller }),
        logger,
      }),
    ],
    rpc,
    services,
    http: local,
    gateway: new RestGateway({
      descriptorSet,
      services: services.map(serviceName),
      dispatcher: rpc.dispatcher,
      logger,
      extraRoutes: adminExtraRoutes,
    }),
  });
  const lifecycle = app.get(AdminLifecycle);
  const runner = app.get(PropellerService);
  await lifecycle.start();
  await runner.start();
  const backend = new ScriptedBackend(bus);
  const clients = {
    admin: createClient(AdminServiceClient, address()),
    signals: createClient(SignalServiceClient, address()),
    watch: createClient(WatchServiceClient, address()),
    explain: createClient(ExplainServiceClient, address()),
    history: createClient(HistoryServiceClient, address()),
    retention: createClient(RetentionServiceClient, address()),
  };
  return {
    ...clients,
    backend,
    blob: blobs.store,
    /** `host:port` of gRPC, and the URL of REST. */
    address: address(),
    httpUrl,
    /** The read model's. */
    database: test.database,
    /** The propeller's own. */
    propellerDatabase: database,
    catalogDatabase,
    /** Resolves when all that was published is in the read model. */
    caughtUp: () => lifecycle.caughtUp(),
    async stop(): Promise<void> {
      for (const client of Object.values(clients)) client.close();
      await runner.stop();
      await lifecycle.stop();
      await backend.close();
      await host.shutdown.run();
      await lifecycle.close();
      await bus.close();
      await test.drop();
      blobs.close();
    },
  };
}

export type Services = Awaited<ReturnType<typeof startServices>>;
