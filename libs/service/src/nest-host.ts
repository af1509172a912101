import type { Policy } from '@aloft/auth';
import {
  connectGrpc,
  mountGateway,
  mountOpenApi,
  RpcServer,
  type RestGateway,
  type ServiceDefinition,
} from '@aloft/rpc';
import type { HealthRegistry, Logger, Metrics } from '@aloft/telemetry';
import { Module, type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import 'reflect-metadata';
import type { CorsConfig, GrpcConfig, HttpConfig } from './config.js';
import { allowOrigins } from './cors.js';
import { answerFrameworkError } from './framework-error.js';
import { closeHttp, listenHttp } from './http-server.js';
import { addOperationsRoutes } from './operations-routes.js';
import type { Shutdown } from './shutdown.js';

@Module({})
class ServiceModule {
  static compose(imports: DynamicModule[]): DynamicModule {
    return { module: ServiceModule, imports };
  }
}

/** What the servers of a process are told by it. */
export interface Host {
  logger: Logger;
  metrics: Metrics;
  health: HealthRegistry;
  shutdown: Shutdown;
}

export interface RpcHostOptions extends Omit<GrpcConfig, 'maxConnectionAgeMs'> {
  maxConnectionAgeMs?: number;
  policy: Policy;
  /** Encoded FileDescriptorSet, for reflection. */
  descriptorSet?: Uint8Array;
}

/** The gRPC server of a process, before it listens: modules may need its dispatcher. */
export function createRpcServer({ logger, metrics, health }: Host, options: RpcHostOptions): RpcServer {
  const { host, port, maxMessageBytes, maxConnectionAgeMs, policy, descriptorSet } = options;
  return new RpcServer({
    logger: logger.child({ part: 'rpc' }),
    host,
    port,
    maxMessageBytes,
    policy,
    metrics,
    health,
    descriptorSet,
    maxConnectionAgeMs,
  });
}

export interface NestHostOptions {
  modules: DynamicModule[];
  rpc: RpcServer;
  services: readonly ServiceDefinition[];
  http: Pick<HttpConfig, 'host' | 'port'> & { cors?: CorsConfig };
  /** REST routes of the services. */
  gateway?: RestGateway;
  /** Serves these routes' description, too. */
  openApi?: Parameters<typeof mountOpenApi>[2];
}

export interface NestHost {
  app: NestFastifyApplication;
  /** `http://host:port` as it listens. */
  httpUrl: string;
}

/**
 * Serves Nest modules over gRPC and HTTP, health and metrics among it. Adds the step of the shutdown that takes no new calls
 * (gRPC clients are told to go elsewhere), lets those under way end and closes.
 */
export async function serveNest(host: Host, options: NestHostOptions): Promise<NestHost> {
  const { modules, rpc, services, http, gateway, openApi } = options;
  const app = await NestFactory.create<NestFastifyApplication>(
    ServiceModule.compose(modules),
    new FastifyAdapter({
      forceCloseConnections: 'idle',
      return503OnClosing: false,
      frameworkErrors: answerFrameworkError,
    }),
    { logger: ['error', 'warn'], abortOnError: false },
  );
  const server = app.getHttpAdapter().getInstance();
  connectGrpc(app, rpc, services);
  if (http.cors) await allowOrigins(server, http.cors);
  if (gateway) mountGateway(server, gateway);
  if (gateway && openApi) mountOpenApi(server, gateway, openApi);
  addOperationsRoutes(server, host.health, host.metrics);
  host.shutdown.add('servers', 'gRPC and HTTP', async (remainingMs) => {
    // A little earlier than the step itself would be cut: closing tidily beats leaving behind.
    await Promise.all([rpc.close(remainingMs * 0.9), closeHttp(server, remainingMs)]);
    await app.close();
  });
  await app.startAllMicroservices();
  await listenHttp(() => app.listen(http.port, http.host), http);
  return { app, httpUrl: `http://${http.host}:${new URL(await app.getUrl()).port}` };
}
