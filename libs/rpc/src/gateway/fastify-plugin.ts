import type { FastifyInstance } from 'fastify';
import type { RestGateway } from './rest-gateway.js';

/**
 * Puts a gateway in front of a Fastify instance (Nest's: `app.getHttpAdapter().getInstance()`), before it starts: requests
 * with a route of the gateway are answered by it, with no body parser in between; all others go on. Headers that hooks before it have
 * set (CORS) go out with its answers.
 */
export function mountGateway(fastify: FastifyInstance, gateway: RestGateway): void {
  fastify.addHook('onRequest', async (request, reply) => {
    for (const [name, value] of Object.entries(reply.getHeaders()))
      if (value !== undefined) reply.raw.setHeader(name, value);
    if (await gateway.handle(request.raw, reply.raw)) reply.hijack();
  });
}
