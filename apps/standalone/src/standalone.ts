import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  AdminLifecycle,
  adminExtraRoutes,
  adminGrpcServices,
  adminMigrations,
  AdminModule,
  adminOpenApi,
} from '@aloft/admin';
import { allowAll } from '@aloft/auth';
import { backendNames, Backends, BackendsModule, backendsMigrations } from '@aloft/backends';
import { catalogMigrations, CatalogModule, catalogServices } from '@aloft/catalog';
import { descriptorSetPath } from '@aloft/idl/descriptor';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import { Notifier, notifierMigrations, NotifierModule } from '@aloft/notifier';
import {
  type HostsHere,
  propellerMigrations,
  PropellerModule,
  PropellerService,
  propellerServices,
  propellerTopics,
} from '@aloft/propeller';
import { callInProcess, RestGateway, serviceName, type RpcServer } from '@aloft/rpc';
import { IdleHeap, Shutdown } from '@aloft/service';
import { createRpcServer, serveNest } from '@aloft/service/nest';
import { HealthRegistry, Metrics, startTracing, type Logger } from '@aloft/telemetry';
import type { DynamicModule, INestApplication } from '@nestjs/common';
import { writeClientConfig } from './client-config.js';
import { knownBackends, type StandaloneConfig } from './config.js';
import { startInfrastructure, type Infrastructure, type ServiceSchema } from './infrastructure.js';

/** The schemas of all services, each with a role of its own that may publish to its own topics only. */
const schemas: readonly ServiceSchema[] = [
  {
    schema: 'admin',
    migrations: adminMigrations,
    publishes: ['executions.commands', 'executions.events', 'registry.events'],
    poolSize: 12,
  },
  {
    schema: 'propeller',
    migrations: propellerMigrations,
    publishes: propellerTopics,
    poolSize: 6,
  },
  { schema: 'catalog', migrations: catalogMigrations, publishes: [], poolSize: 6 },
  { schema: 'backends', migrations: backendsMigrations, publishes: ['tasks.reports'], poolSize: 4 },
  { schema: 'notifier', migrations: notifierMigrations, publishes: [], poolSize: 3 },
];

/** The whole platform in one process: every service as it would run alone, talking over the bus and gRPC. */
export class Standalone {
  private constructor(
    readonly grpcAddress: string,
    readonly httpUrl: string,
    private readonly shutdown: Shutdown,
  ) {}

  /** Resolves when everything is ready; leaves nothing running if it rejects. */
  static async start(
    config: StandaloneConfig,
    logger: Logger,
    shutdown = new Shutdown({ logger }),
  ): Promise<Standalone> {
    try {
      return await compose({ ...config, dataDir: resolve(config.dataDir) }, logger, shutdown, (grpc, http) => {
        return new Standalone(grpc, http, shutdown);
      });
    } catch (error) {
      await shutdown.run();
      throw error;
    }
  }

  /** Not ready, stop consuming and drain, close the servers, flush, close the pools, end Postgres. */
  async stop(): Promise<void> {
    await this.shutdown.run();
  }
}

async function compose<T>(
  config: StandaloneConfig,
  logger: Logger,
  shutdown: Shutdown,
  done: (grpcAddress: string, httpUrl: string) => T,
): Promise<T> {
  const health = new HealthRegistry();
  const metrics = new Metrics({ process: true });
  const host = { logger, metrics, health, shutdown };
  shutdown.add('unready', 'health', () => health.setServing(false));
  const tracing = startTracing({ serviceName: 'aloft', ...config.telemetry, logger });
  shutdown.add('pools', 'traces', () => tracing.shutdown());
  const heap = new IdleHeap();
  heap.start();
  shutdown.add('pools', 'heap', () => heap.stop());
  const infrastructure = await startInfrastructure(config, schemas, logger);
  shutdown.add('pools', 'bus, databases and blob storage', () => infrastructure.close());
  watchPostgres(infrastructure, health, logger);

  const descriptorSet = readFileSync(descriptorSetPath);
  const rpc = createRpcServer(host, {
    host: config.host,
    ...config.grpc,
    policy: allowAll,
    descriptorSet,
  });
  // Known once the servers listen, before anything that needs them starts.
  let grpcAddress = '';
  let publicUrl = '';
  const hosts: { backends?: Backends } = {};
  const modules = await serviceModules(config, infrastructure, logger, metrics, health, {
    rpc,
    grpcAddress: () => grpcAddress,
    publicUrl: () => publicUrl,
    hosts: {
      names: () => backendNames(config.backends),
      discovered: () => hosts.backends?.discovered() ?? {},
    },
  });
  const services = [...adminGrpcServices, ...catalogServices, ...propellerServices];
  const { app, httpUrl } = await serveNest(host, {
    modules,
    rpc,
    services,
    http: { host: config.host, ...config.http },
    gateway: new RestGateway({
      descriptorSet,
      services: services.map(serviceName),
      dispatcher: rpc.dispatcher,
      logger: logger.child({ part: 'rest' }),
      extraRoutes: adminExtraRoutes,
    }),
    openApi: adminOpenApi(),
  });
  hosts.backends = app.get(Backends);
  const lifecycle = app.get(AdminLifecycle);
  shutdown.add('pools', 'registry', () => lifecycle.close());
  grpcAddress = `${config.host}:${rpc.port}`;
  publicUrl = config.publicUrl ?? httpUrl;

  await startConsumers(app, shutdown);
  await writeClientConfig(config.dataDir, { grpcAddress, publicUrl, storage: infrastructure.blobAccess });
  health.setServing(true);
  return done(grpcAddress, httpUrl);
}

interface Surroundings {
  rpc: RpcServer;
  grpcAddress: () => string;
  publicUrl: () => string;
  hosts: HostsHere;
}

async function serviceModules(
  config: StandaloneConfig,
  infrastructure: Infrastructure,
  logger: Logger,
  metrics: Metrics,
  health: HealthRegistry,
  { rpc, grpcAddress, publicUrl, hosts }: Surroundings,
): Promise<DynamicModule[]> {
  const { bus, blob } = infrastructure;
  const of = (service: string) => ({
    database: infrastructure.databaseOf(service),
    bus,
    blob,
    logger: logger.child({ part: service }),
    metrics,
  });
  return [
    await AdminModule.register({
      ...of('admin'),
      config: config.admin,
      policy: allowAll,
      propellerAddress: grpcAddress,
      dispatcher: () => rpc.dispatcher,
    }),
    CatalogModule.register(of('catalog')),
    PropellerModule.register({
      ...of('propeller'),
      config: withBackends(config),
      hosts,
      adminAddress: grpcAddress,
      catalogAddress: grpcAddress,
    }),
    await BackendsModule.register({
      ...of('backends'),
      config: config.backends,
      health,
      dataDir: config.dataDir,
      python: config.python,
      storage: () => infrastructure.blobAccess,
      publicUrl,
      platformUrl: grpcAddress,
    }),
    NotifierModule.register({
      ...of('notifier'),
      config: config.notifier,
      admin: {
        getExecution: (request, options) =>
          callInProcess(rpc.dispatcher, AdminServiceService.getExecution, request, options),
      },
    }),
  ];
}

/** The propeller knows every backend that this process has hosts of. */
function withBackends({ propeller, backends }: StandaloneConfig): StandaloneConfig['propeller'] {
  return { ...propeller, backends: { ...propeller.backends, known: knownBackends({ propeller, backends }) } };
}

/** Consumers start once the servers answer, hosts last: what they report finds its reader. */
async function startConsumers(app: INestApplication, shutdown: Shutdown): Promise<void> {
  const services = {
    'projection and live streams': app.get(AdminLifecycle),
    notifier: app.get(Notifier),
    propeller: app.get(PropellerService),
    'backend hosts': app.get(Backends),
  };
  for (const [name, service] of Object.entries(services)) {
    await service.start();
    shutdown.add('consumers', name, () => service.stop());
  }
}

/** Without its database nothing works: not ready, and said why. */
function watchPostgres(infrastructure: Infrastructure, health: HealthRegistry, logger: Logger): void {
  let ended: Error | undefined;
  void infrastructure.postgres.exited.then((error) => {
    if (!error) return;
    ended = error;
    logger.fatal({ err: error }, 'Postgres has ended: the platform stops');
    process.kill(process.pid, 'SIGTERM');
  });
  health.add('live', 'postgres', () => {
    if (ended) throw ended;
  });
}
