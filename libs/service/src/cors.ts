import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import type { CorsConfig } from './config.js';

/** Lets pages of other origins call this server, as configured; before anything that answers. Without origins it does nothing. */
export async function allowOrigins(http: FastifyInstance, config: CorsConfig): Promise<void> {
  const { origins, credentials, allowedHeaders, maxAgeSeconds } = config;
  if (origins.length === 0) return;
  await http.register(cors, {
    origin: origins.includes('*') ? '*' : origins,
    credentials,
    allowedHeaders,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    maxAge: maxAgeSeconds,
  });
}
