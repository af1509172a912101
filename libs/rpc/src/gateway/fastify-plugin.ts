import type { FastifyInstance } from 'fastify';
import type { RestGateway } from './rest-gateway.js';

/**
 * Puts a gateway in front of a Fastify instance (Nest's: `app.getHttpAdapter().getInstance()`), before it starts: requests
 * with a route of the gateway are answered by it, with no body parser in between; all others go on.
 */
export function mountGateway(fastify: FastifyInstance, gateway: RestGateway): void {
  fastify.addHook('onRequest', async (request, reply) => {
    if (await gateway.handle(request.raw, reply.raw)) reply.hijack();
  });
}
