import { readFileSync } from 'node:fs';
import { availableParallelism, hostname, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { AdminLifecycle, adminExtraRoutes, adminGrpcServices, adminMigrations, AdminModule } from '@aloft/admin';
import { allowAll } from '@aloft/auth';
import { BackendHost, backendMigrations, PostgresWorkStore } from '@aloft/backend-kit';
import { LocalProcessBackend } from '@aloft/backend-local-process';
import { catalogMigrations, CatalogModule, catalogServices } from '@aloft/catalog';
import { descriptorSetPath } from '@aloft/idl/descriptor';
import { DataCatalogClient } from '@aloft/idl/flyteidl/datacatalog/datacatalog';
import { AdminServiceClient } from '@aloft/idl/flyteidl/service/admin';
import { Propeller, propellerMigrations } from '@aloft/propeller';
import { connectGrpc, createClient, mountGateway, RestGateway, RpcServer, serviceName } from '@aloft/rpc';
import { HealthRegistry, Metrics, type Logger } from '@aloft/telemetry';
import { Module, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { StandaloneConfig } from './config.js';
import { addOperationsRoutes } from './operations-routes.js';
import { startInfrastructure, type Infrastructure } from './infrastructure.js';

@Module({})
class StandaloneModule {
  static compose(imports: DynamicModule[]): DynamicModule {
    return { module: StandaloneModule, imports };
  }
}

/** The whole platform in one process: every service as it would run alone, talking over the bus and gRPC. */
export class Standalone {
  private constructor(
    readonly grpcAddress: string,
    readonly httpUrl: string,
    private readonly closing: (() => Promise<unknown>)[],
    private readonly logger: Logger,
  ) {}

  /** Resolves when everything is ready; leaves nothing running if it rejects. */
  static async start(config: StandaloneConfig, logger: Logger): Promise<Standalone> {
    const closing: (() => Promise<unknown>)[] = [];
    try {
      return await Standalone.compose({ ...config, dataDir: resolve(config.dataDir) }, logger, closing);
    } catch (error) {
      await closeAll(closing, logger);
      throw error;
    }
  }

  private static async compose(
    config: StandaloneConfig,
    logger: Logger,
    closing: (() => Promise<unknown>)[],
  ): Promise<Standalone> {
    const health = new HealthRegistry();
    const metrics = new Metrics({ process: true });
    const infrastructure = await startInfrastructure(config, schemas, logger);
    closing.push(() => infrastructure.close());
    const { bus, blob } = infrastructure;
    const part = (name: string) => logger.child({ part: name });
    const database = (schema: string) => databaseOf(infrastructure, schema);

    const descriptorSet = readFileSync(descriptorSetPath);
    const rpc = new RpcServer({
      logger: part('rpc'),
      host: config.host,
      port: config.grpc.port,
      maxMessageBytes: config.grpc.maxMessageBytes,
      policy: allowAll,
      metrics,
      health,
      descriptorSet,
    });
    const adminModule = await AdminModule.register({
      config: config.admin,
      database: database('admin'),
      bus,
      blob,
      policy: allowAll,
      logger: part('admin'),
      dispatcher: () => rpc.dispatcher,
    });
    const app = await NestFactory.create<NestFastifyApplication>(
      StandaloneModule.compose([adminModule, CatalogModule.register({ database: database('catalog') })]),
      new FastifyAdapter({ forceCloseConnections: true }),
      { logger: ['error', 'warn'], abortOnError: false },
    );
    closing.push(() => app.close());
    const services = [...adminGrpcServices, ...catalogServices];
    connectGrpc(app, rpc, services);
    const http = app.getHttpAdapter().getInstance();
    const gateway = new RestGateway({
      descriptorSet,
      services: services.map(serviceName),
      dispatcher: rpc.dispatcher,
      logger: part('rest'),
      extraRoutes: adminExtraRoutes,
    });
    mountGateway(http, gateway);
    addOperationsRoutes(http, health, metrics);

    await app.startAllMicroservices();
    await app.listen(config.http.port, config.host);
    const grpcAddress = `${config.host}:${rpc.port}`;
    const httpUrl = `http://${config.host}:${new URL(await app.getUrl()).port}`;
    const publicUrl = config.publicUrl ?? httpUrl;

    const catalogClient = createClient(DataCatalogClient, grpcAddress);
    const adminClient = createClient(AdminServiceClient, grpcAddress, {
      maxMessageBytes: 4 * config.grpc.maxMessageBytes,
    });
    closing.push(async () => {
      catalogClient.close();
      adminClient.close();
    });

    const lifecycle = app.get(AdminLifecycle);
    await lifecycle.start();
    closing.push(() => lifecycle.stop().then(() => lifecycle.close()));

    const host = startHost(config, infrastructure, { publicUrl, grpcAddress }, part('backends'));
    const propeller = new Propeller({
      database: database('propeller'),
      bus,
      blob,
      catalog: () => catalogClient,
      admin: () => adminClient,
      config: { ...config.propeller, consoleUrl: config.propeller.consoleUrl || `${publicUrl}/console` },
      logger: part('propeller'),
      metrics,
    });
    health.add('ready', 'propeller', () => propeller.check());
    await propeller.start();
    closing.push(() => propeller.stop());
    await host.start();
    closing.push(() => host.stop());

    health.setServing(true);
    closing.push(async () => health.setServing(false));
    return new Standalone(grpcAddress, httpUrl, closing, logger);
  }

  /** Not ready, stop consuming and drain, close the servers, flush, close the pools, end Postgres. */
  stop(): Promise<void> {
    return closeAll(this.closing, this.logger);
  }
}

/** The schemas of all services, each with a role of its own that may publish to its own topics only. */
const schemas = [
  {
    schema: 'admin',
    migrations: adminMigrations,
    publishes: ['executions.commands', 'registry.events'],
    poolSize: 12,
  },
  {
    schema: 'propeller',
    migrations: propellerMigrations,
    publishes: ['executions.commands', 'executions.events', 'tasks.commands.%'],
    poolSize: 6,
  },
  { schema: 'catalog', migrations: catalogMigrations, publishes: [], poolSize: 6 },
  { schema: 'backends', migrations: backendMigrations, publishes: ['tasks.reports'], poolSize: 4 },
];

function startHost(
  config: StandaloneConfig,
  infrastructure: Infrastructure,
  addresses: { publicUrl: string; grpcAddress: string },
  logger: Logger,
): BackendHost {
  const { local } = config;
  const plugin = new LocalProcessBackend(
    {
      workDir: join(config.dataDir, 'work'),
      python: pythonOf(config),
      warmAtStart: local.warmAtStart,
      warmNode: local.warmNode,
      nodeExecutor: import.meta.resolve('@aloft/sdk/execute'),
      nodeModules: undefined,
      capacity: {
        cpu: local.cpu ?? availableParallelism(),
        memoryBytes: local.memoryBytes ?? Math.floor(totalmem() * 0.8),
        slots: local.slots,
        gpuDevices: local.gpuDevices,
      },
      graceMs: local.graceMs,
      storage: () => infrastructure.blobAccess,
      publicUrl: () => addresses.publicUrl,
      platformUrl: () => addresses.grpcAddress,
      passEnv: local.passEnv,
      secret: () => undefined,
    },
    logger,
  );
  const database = databaseOf(infrastructure, 'backends');
  return new BackendHost({
    plugin,
    bus: infrastructure.bus,
    database,
    store: new PostgresWorkStore(database, plugin.name),
    blob: infrastructure.blob,
    logger,
    name: hostname(),
  });
}

/** The interpreter that was named, else that of the active virtual environment, else the one on PATH. */
function pythonOf(config: StandaloneConfig): string {
  const environment = process.env.VIRTUAL_ENV;
  return config.python ?? (environment ? join(environment, 'bin', 'python') : 'python3');
}

function databaseOf(infrastructure: Infrastructure, schema: string) {
  const database = infrastructure.databases.get(schema);
  if (!database) throw new Error(`no database was opened for ${schema}`);
  return database;
}

async function closeAll(closing: (() => Promise<unknown>)[], logger: Logger): Promise<void> {
  for (const step of closing.splice(0).reverse()) {
    try {
      await step();
    } catch (error) {
      logger.error({ err: error }, 'a step of the shutdown failed; the others go on');
    }
  }
}
