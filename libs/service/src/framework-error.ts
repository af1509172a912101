import { errorMapping } from '@aloft/errors';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';

/** What the HTTP server refuses before any route is found (a path that is not properly encoded): in grpc-gateway's form, like the rest. */
export function answerFrameworkError(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  const { message, statusCode = errorMapping.INVALID_ARGUMENT.http } = error;
  void reply
    .status(statusCode)
    .send({ error: message, code: errorMapping.INVALID_ARGUMENT.grpc, message, details: [] });
}
