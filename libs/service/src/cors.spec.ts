import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import fastify, { type FastifyInstance } from 'fastify';
import { corsConfig } from './config.js';
import { allowOrigins } from './cors.js';

const origin = 'https://console.example.com';

const open: FastifyInstance[] = [];
afterEach(async () => {
  for (const http of open.splice(0)) await http.close();
});

/** A server that answers everything itself, as the gateway does: with the headers that hooks before it have set. */
async function server(settings: Parameters<typeof corsConfig.parse>[0]) {
  const http = fastify({ forceCloseConnections: true });
  open.push(http);
  await allowOrigins(http, corsConfig.parse(settings));
  http.addHook('onRequest', async (_request, reply) => {
    for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value!);
    reply.raw.writeHead(200).end('{}');
    reply.hijack();
  });
  const url = await http.listen({ port: 0, host: '127.0.0.1' });
  return async (method: string, headers: Record<string, string>) => {
    const asked = request(url, { method, headers });
    asked.end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    answer.resume();
    return answer;
  };
}
const preflight = (from: string) => ({
  origin: from,
  'access-control-request-method': 'POST',
  'access-control-request-headers': 'x-other',
});

test('A-1: off unless configured', async () => {
  const call = await server({});
  const { headers } = await call('GET', { origin });
  expect(headers).not.toHaveProperty('access-control-allow-origin');
});

test('allows the origins that are named, and no others', async () => {
  const call = await server({ origins: `${origin}, https://other.example.com`, credentials: true });
  const asked = await call('OPTIONS', preflight(origin));
  expect(asked.statusCode).toBe(204);
  expect(asked.headers).toMatchObject({
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-allow-headers': 'Authorization, Content-Type',
    'access-control-allow-methods': 'GET, HEAD, POST, PUT, DELETE',
    'access-control-max-age': '600',
  });
  const answered = await call('GET', { origin });
  expect(answered.headers).toMatchObject({ 'access-control-allow-origin': origin, vary: 'Origin' });
  const strange = await call('OPTIONS', preflight('https://evil.example.com'));
  expect(strange.headers).not.toHaveProperty('access-control-allow-origin');
});

test('everybody', async () => {
  const call = await server({ origins: ['*'] });
  expect((await call('GET', { origin })).headers).toMatchObject({
    'access-control-allow-origin': '*',
  });
});

test.each([
  [{ origins: ['console.example.com'] }, 'should be * or an origin'],
  [{ origins: ['https://console.example.com/path'] }, 'should be * or an origin'],
  [{ origins: ['*'], credentials: true }, 'with credentials, name the origins'],
  [{ origins: ['*'], allowedHeaders: ['a b'] }, 'should be the name of a header'],
  [{ origins: ['*'], maxAgeSeconds: -1 }, 'Too small'],
])('%j is refused', (settings, message) => {
  const { error } = corsConfig.safeParse(settings);
  expect(error?.message).toContain(message);
});
