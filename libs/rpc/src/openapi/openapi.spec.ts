import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import Fastify from 'fastify';
import { commentsPath, descriptorSetPath } from '@aloft/idl/descriptor';
import { createLogger } from '@aloft/telemetry';
import { Validator } from '@seriousme/openapi-schema-validator';
import { mountGateway } from '../gateway/fastify-plugin.js';
import { RestGateway } from '../gateway/rest-gateway.js';
import { RpcServer } from '../server/rpc-server.js';
import type { OpenApiDocument } from './document.js';
import { mountOpenApi } from './page.js';

const logger = createLogger('test', { level: 'silent' });
const gateway = new RestGateway({
  descriptorSet: readFileSync(descriptorSetPath),
  services: [
    ...['Admin', 'DataProxy', 'Signal', 'Identity', 'AuthMetadata'].map((one) => `flyteidl.service.${one}Service`),
    'aloft.v1.NodeControlService',
  ],
  dispatcher: new RpcServer({ logger, port: 0 }).dispatcher,
  logger,
  extraRoutes: [['GET /api/v1/watch/executions/{id.name}', 'aloft.v1.WatchService/WatchExecution']],
});

const fastify = Fastify();
let url: string;
let document: OpenApiDocument;
beforeAll(async () => {
  mountGateway(fastify, gateway);
  mountOpenApi(fastify, gateway, { title: 'Test', version: '1.2.3', commentsPath });
  url = await fastify.listen({ port: 0, host: '127.0.0.1' });
  document = (await (await fetch(`${url}/api/v1/openapi`)).json()) as OpenApiDocument;
});
afterAll(() => fastify.close());

type Operation = {
  operationId: string;
  parameters?: { name: string; in: string; schema: object; description?: string }[];
  description?: string;
  requestBody?: { content: Record<string, unknown> };
  responses: Record<string, { content: Record<string, unknown> }>;
};
const operations = () =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([verb, operation]) => ({ path, verb, operation: operation as Operation })),
  );
const at = (path: string, verb: string) => document.paths[path]?.[verb] as Operation;

test('A-1: the document is valid OpenAPI 3, says the specification’s schema', async () => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document) as never);
  expect(result.errors).toBeUndefined();
  expect(result.valid).toBe(true);
  expect(document).toMatchObject({ openapi: '3.0.3', info: { title: 'Test', version: '1.2.3' } });
});

test('what the schema can’t say: references lead somewhere, ids are unique, paths name their parameters and no others', () => {
  const references = JSON.stringify(document).match(/#\/components\/schemas\/[\w.]+/g) ?? [];
  const missing = [...new Set(references)].filter(
    (one) => !(one.slice('#/components/schemas/'.length) in document.components.schemas),
  );
  expect(missing).toEqual([]);
  const ids = operations().map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { path, operation } of operations()) {
    const named = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    const inPath = (operation.parameters ?? []).filter((each) => each.in === 'path').map(({ name }) => name);
    expect([path, inPath]).toEqual([path, named]);
    const all = (operation.parameters ?? []).map((each) => `${each.in} ${each.name}`);
    expect(new Set(all).size).toBe(all.length);
  }
  const shapes = Object.keys(document.paths).map((path) => path.replace(/\{[^}]+\}/g, '{}'));
  expect(new Set(shapes).size).toBe(shapes.length);
});

test('every rpc with a route is there, streams and our own too', () => {
  const ids = operations().map(({ operation }) => operation.operationId);
  for (const id of [
    'AdminService_CreateTask',
    'SignalService_SetSignal',
    'DataProxyService_GetData',
    'NodeControlService_RetryNode',
  ])
    expect(ids).toContain(id);
  expect(Object.keys(at('/api/v1/watch/executions/{id.name}', 'get').responses['200']!.content)).toEqual([
    'application/x-ndjson',
    'text/event-stream',
  ]);
});

test('texts of the proto files, parameters, bodies and the JSON of each kind of field', () => {
  const list = at('/api/v1/tasks/{id.project}/{id.domain}', 'get');
  expect(list.description).toMatch(/Fetch a list of/);
  const names = list.parameters?.map((each) => `${each.in} ${each.name}`);
  expect(names).toEqual(
    expect.arrayContaining(['path id.project', 'query limit', 'query sort_by.direction', 'query filters']),
  );
  expect(list.parameters?.find(({ name }) => name === 'limit')?.description).toMatch(/number of resources/);
  expect(Object.keys(at('/api/v1/executions', 'post').requestBody!.content)).toEqual([
    'application/json',
    'application/octet-stream',
  ]);
  const { schemas } = document.components;
  expect(schemas['flyteidl.core.Primitive']).toMatchObject({
    properties: {
      integer: { type: 'string', format: 'int64', description: expect.stringContaining('At most one of `value`') },
      float_value: { type: 'number', format: 'double' },
      datetime: { type: 'string', format: 'date-time' },
      duration: { type: 'string' },
    },
  });
  expect(schemas['flyteidl.core.Binary']).toMatchObject({ properties: { value: { type: 'string', format: 'byte' } } });
  expect(schemas['flyteidl.core.TaskTemplate']).toMatchObject({
    properties: {
      custom: { type: 'object', nullable: true },
      config: { type: 'object', additionalProperties: { type: 'string' } },
      id: { nullable: true, allOf: [{ $ref: '#/components/schemas/flyteidl.core.Identifier' }] },
    },
  });
  expect(schemas['flyteidl.core.WorkflowExecution.Phase']).toMatchObject({
    type: 'string',
    enum: expect.arrayContaining(['QUEUED', 'ABORTING']),
  });
  expect(schemas['flyteidl.admin.ExecutionSpec']).toMatchObject({
    properties: { interruptible: { type: 'boolean', nullable: true } },
  });
});

test('a browser gets the page, whose parts all come from here; gzip for who takes it', async () => {
  const page = await fetch(`${url}/api/v1/openapi`, { headers: { accept: 'text/html,*/*;q=0.8' } });
  expect(page.headers.get('content-type')).toContain('text/html');
  expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
  const html = await page.text();
  const parts = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, part]) => part!);
  expect(parts).toHaveLength(4);
  for (const part of parts) {
    expect(part).toMatch(/^\/api\/v1\/openapi\/assets\//);
    const answer = await fetch(url + part);
    expect([part, answer.status]).toEqual([part, 200]);
    expect((await answer.arrayBuffer()).byteLength).toBeGreaterThan(100);
  }
  for (const file of ['nope.js', '..%2fpackage.json', 'toString'])
    expect((await fetch(`${url}/api/v1/openapi/assets/${file}`)).status).toBe(404);
  const [raw] = (await once(get(`${url}/api/v1/openapi`, { headers: { 'accept-encoding': 'gzip' } }), 'response')) as [
    IncomingMessage,
  ];
  expect(raw.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept, Accept-Encoding' });
  expect(JSON.parse(gunzipSync(await buffer(raw)).toString())).toEqual(document);
});
