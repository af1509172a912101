import { unavailable } from '@aloft/errors';
import type { HealthRegistry, Metrics } from '@aloft/telemetry';
import fastify, { type FastifyInstance } from 'fastify';
import type { HttpConfig } from './config.js';
import { addOperationsRoutes } from './operations-routes.js';

/** The HTTP server of a service that has no other: health and metrics. Listens when it resolves. */
export async function startOperationsServer(
  config: HttpConfig,
  health: HealthRegistry,
  metrics: Metrics,
): Promise<FastifyInstance> {
  const http = fastify({ forceCloseConnections: 'idle' });
  addOperationsRoutes(http, health, metrics);
  const { host, port } = config;
  await listenHttp(() => http.listen({ host, port }), config);
  return http;
}

/** @throws UNAVAILABLE that names the setting when the address cannot be had. */
export async function listenHttp<T>(
  listen: () => Promise<T>,
  { host, port }: Pick<HttpConfig, 'host' | 'port'>,
): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE' && code !== 'EACCES' && code !== 'EADDRNOTAVAIL') throw error;
    throw unavailable(`cannot listen for HTTP on ${host}:${port} (http.host, http.port): ${message}`, { cause: error });
  }
}

/** Answers what is under way, for at most `ms`; then cuts it. */
export async function closeHttp(http: FastifyInstance, ms: number): Promise<void> {
  const timer = setTimeout(() => http.server.closeAllConnections(), ms * 0.9);
  try {
    await http.close();
  } finally {
    clearTimeout(timer);
  }
}
