import type { FastifyInstance } from 'fastify';
import type { HealthRegistry, Metrics } from '@aloft/telemetry';

/**
 * Health and metrics of the process: `/healthz`, `/healthcheck`, `/readyz`, `/metrics`. Once the process is not serving
 * any more, every answer asks its caller to make the next connection elsewhere.
 */
export function addOperationsRoutes(http: FastifyInstance, health: HealthRegistry, metrics: Metrics): void {
  let served = false;
  http.addHook('onSend', async (_request, reply) => {
    served ||= health.isServing;
    if (served && !health.isServing) reply.header('connection', 'close');
  });
  for (const path of ['/healthz', '/healthcheck'])
    http.get(path, async (_request, reply) => {
      const report = await health.live();
      return reply.code(report.ok ? 200 : 503).send(report);
    });
  http.get('/readyz', async (_request, reply) => {
    const report = await health.ready();
    return reply.code(report.ok ? 200 : 503).send(report);
  });
  http.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
}
