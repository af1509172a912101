import { readFileSync } from 'node:fs';
import { once, EventEmitter } from 'node:events';
import { createServer, get, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import Fastify from 'fastify';
import { AloftError, alreadyExists, invalidArgument, notFound } from '@aloft/errors';
import { LogServiceService } from '@aloft/idl/aloft/v1/watch';
import { descriptorSetPath } from '@aloft/idl/descriptor';
import { NamedEntityList, type ResourceListRequest } from '@aloft/idl/flyteidl/admin/common';
import { Execution, ExecutionCreateRequest, ExecutionCreateResponse } from '@aloft/idl/flyteidl/admin/execution';
import { TaskExecution, type TaskExecutionGetRequest } from '@aloft/idl/flyteidl/admin/task_execution';
import { CreateWorkflowFailureReason } from '@aloft/idl/flyteidl/admin/workflow';
import { Task, TaskList } from '@aloft/idl/flyteidl/admin/task';
import type { Primitive, Scalar } from '@aloft/idl/flyteidl/core/literals';
import { SimpleType } from '@aloft/idl/flyteidl/core/types';
import { Status } from '@aloft/idl/google/rpc/status';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import { createLogger } from '@aloft/telemetry';
import type { Handlers } from '../definition.js';
import { RpcServer } from '../server/rpc-server.js';
import { mountGateway } from './fastify-plugin.js';
import { RestGateway } from './rest-gateway.js';

const logger = createLogger('test', { level: 'silent' });
const descriptorSet = readFileSync(descriptorSetPath);
let server: Server;
let url: string;
const seen: unknown[] = [];
const gone = new EventEmitter();

const taskOfAllKinds = Task.fromPartial({
  closure: {
    compiledTask: {
      template: {
        metadata: { timeout: { seconds: 1n, nanos: 500_000_000 }, retries: {} },
        custom: { a: [1, null, true, { b: 'c' }], big: 1e21 },
        interface: { inputs: { variables: { x: { type: { type: { $case: 'simple', value: SimpleType.FLOAT } } } } } },
      },
    },
  },
});
const scalar = (value: NonNullable<Scalar['value']>) => ({ value: { $case: 'scalar' as const, value: { value } } });
const primitive = (value: NonNullable<Primitive['value']>) => scalar({ $case: 'primitive', value: { value } });
const executionOfAllKinds = Execution.fromPartial({
  spec: {
    interruptible: false,
    maxParallelism: 2 ** 31 - 1,
    inputs: {
      literals: {
        i: primitive({ $case: 'integer', value: -(2n ** 63n) }),
        f: primitive({ $case: 'floatValue', value: NaN }),
        t: primitive({ $case: 'datetime', value: { seconds: -62_135_596_800n, nanos: 0 } }),
        d: primitive({ $case: 'duration', value: { seconds: 0n, nanos: -1 } }),
        b: scalar({ $case: 'binary', value: { value: Buffer.from([0xfb, 0xff]), tag: 'x' } }),
        none: scalar({ $case: 'noneType', value: {} }),
      },
    },
  },
});

const admin: Partial<Handlers<typeof AdminServiceService>> = {
  getTask: async ({ id }) => {
    seen.push(id);
    if (id?.name === 'missing') throw notFound('no such task');
    if (id?.name === 'broken') throw new TypeError('oops');
    if (id?.name === 'big') return Task.fromPartial({ id, shortDescription: 'text '.repeat(1_000) });
    if (id?.name === 'kinds') return taskOfAllKinds;
    return Task.fromPartial({ id, closure: { createdAt: { seconds: 1n, nanos: 123456789 } } });
  },
  listTasks: async (request) => (seen.push(request), TaskList.fromPartial({ token: 'next' })),
  createTask: async () => {
    throw alreadyExists('exists', {
      details: [
        {
          type: 'flyteidl.admin.CreateWorkflowFailureReason',
          value: CreateWorkflowFailureReason.encode(
            CreateWorkflowFailureReason.fromPartial({
              reason: { $case: 'existsIdenticalStructure', value: { id: { name: 'w' } } },
            }),
          ).finish(),
        },
      ],
    });
  },
  createExecution: async (request, call) => {
    seen.push(request, call.header('authorization'), call.header('x-a'));
    return ExecutionCreateResponse.fromPartial({ id: { project: request.project, name: request.name } });
  },
  updateExecution: async (request) => {
    seen.push(request);
    throw invalidArgument('no');
  },
  getTaskExecution: async (request) => (seen.push(request), TaskExecution.fromPartial({})),
  listNamedEntities: async (request) => (seen.push(request), NamedEntityList.fromPartial({})),
  getExecution: async ({ id }) =>
    id?.name === 'kinds'
      ? executionOfAllKinds
      : Execution.fromPartial({ closure: { phase: 4, duration: { seconds: 2n, nanos: 5 } } }),
};

beforeAll(async () => {
  const rpc = new RpcServer({ logger, port: 0 });
  rpc.register(AdminServiceService, admin);
  rpc.register(LogServiceService, {
    streamLogs: async function* ({ tailLines }, call) {
      yield { data: Buffer.from('a'), time: undefined };
      if (tailLines === 1) throw new AloftError('UNAVAILABLE', 'lost');
      if (tailLines === 2) {
        call.signal.addEventListener('abort', () => gone.emit('gone'));
        await once(call.signal, 'abort');
      }
      yield { data: Buffer.from('b'), time: undefined };
    },
  });
  const gateway = new RestGateway({
    descriptorSet,
    services: ['flyteidl.service.AdminService'],
    dispatcher: rpc.dispatcher,
    logger,
    extraRoutes: [['GET /api/v1/logs/{node.execution_id.name}', 'aloft.v1.LogService/StreamLogs']],
    maxBodyBytes: 100_000,
  });
  server = createServer((request, response) => {
    void gateway.handle(request, response).then((served) => {
      if (!served) response.writeHead(404).end('not the gateway');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => void seen.splice(0));

const json = async (path: string, init?: RequestInit) => {
  const answer = await fetch(url + path, init);
  return [answer.status, await answer.json()] as [number, Record<string, unknown>];
};
const post = (path: string, body: unknown, method = 'POST') => json(path, { method, body: JSON.stringify(body) });

describe('requests', () => {
  test('path fields, also nested, escaped and of numbers', async () => {
    await json('/api/v1/tasks/p/d/a%2Fb%20c/v1');
    expect(seen[0]).toMatchObject({ project: 'p', domain: 'd', name: 'a/b c', version: 'v1' });
    await json('/api/v1/task_executions/p/d/run/n0/tp/td/tn/tv/3');
    expect(seen[1]).toMatchObject({
      id: {
        nodeExecutionId: { nodeId: 'n0', executionId: { name: 'run' } },
        taskId: { version: 'tv' },
        retryAttempt: 3,
      },
    } satisfies Partial<Record<keyof TaskExecutionGetRequest, unknown>>);
  });

  test('query fields: nested, enums by name and number, JSON names; unknown ones are left out', async () => {
    await json(
      '/api/v1/tasks/p/d?limit=5&token=a%20b&filters=eq(x,y)&sort_by.key=created_at&sort_by.direction=ASCENDING&_=1',
    );
    expect(seen[0]).toMatchObject({
      id: { project: 'p', domain: 'd', name: '' },
      limit: 5,
      token: 'a b',
      filters: 'eq(x,y)',
      sortBy: { key: 'created_at', direction: 1 },
    } satisfies Partial<Record<keyof ResourceListRequest, unknown>>);
    await json('/api/v1/tasks/p/d/n?sortBy.direction=1&id.name=other');
    expect(seen[1]).toMatchObject({ id: { name: 'n' }, sortBy: { direction: 1 } });
    await json(`/api/v1/named_entities/${ResourceType.WORKFLOW}/p/d`);
    await json('/api/v1/named_entities/LAUNCH_PLAN/p/d');
    expect(seen.slice(2)).toMatchObject([
      { resourceType: ResourceType.WORKFLOW },
      { resourceType: ResourceType.LAUNCH_PLAN },
    ]);
  });

  test.each([
    ['/api/v1/tasks/p/d?limit=many', 'parameter limit: "many" should be an integer'],
    ['/api/v1/tasks/p/d?sort_by.direction=UP', 'should be one of DESCENDING, ASCENDING'],
    ['/api/v1/tasks/p/d?sort_by=x', 'is a message (flyteidl.admin.Sort): give its fields'],
    ['/api/v1/tasks/p/d?limit=99999999999', 'limit'],
  ])('%s: INVALID_ARGUMENT that names the parameter', async (path, message) => {
    const [status, body] = await json(path);
    expect([status, body['code']]).toEqual([400, 3]);
    expect(body['message']).toContain(message);
  });

  test('bodies in JSON (either spelling of names), and headers as metadata', async () => {
    const [status, body] = await json('/api/v1/executions', {
      method: 'POST',
      headers: { authorization: 'Bearer x', 'grpc-metadata-x-a': 'b' },
      body: JSON.stringify({
        project: 'p',
        name: 'run',
        spec: { launch_plan: { name: 'lp' }, maxParallelism: 4, labels: { values: { a: 'b' } } },
        inputs: { literals: { x: { scalar: { primitive: { integer: '9007199254740993' } } } } },
      }),
    });
    expect([status, body]).toEqual([200, { id: { project: 'p', domain: '', name: 'run', org: '' } }]);
    expect(seen).toMatchObject([
      {
        spec: { launchPlan: { name: 'lp' }, maxParallelism: 4, labels: { values: { a: 'b' } } },
        inputs: {
          literals: { x: { value: { value: { value: { value: { value: { value: 9007199254740993n } } } } } } },
        },
      },
      'Bearer x',
      'b',
    ]);
  });

  test('binary bodies and answers', async () => {
    const answer = await fetch(`${url}/api/v1/executions`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', accept: 'application/octet-stream' },
      body: Buffer.from(ExecutionCreateRequest.encode(ExecutionCreateRequest.fromPartial({ project: 'p' })).finish()),
    });
    expect(answer.headers.get('content-type')).toBe('application/octet-stream');
    expect(ExecutionCreateResponse.decode(Buffer.from(await answer.arrayBuffer())).id?.project).toBe('p');
  });

  test('the path counts more than the body', async () => {
    await post('/api/v1/executions/p/d/run', { id: { name: 'other', org: 'o' }, state: 'EXECUTION_ARCHIVED' }, 'PUT');
    expect(seen).toMatchObject([{ id: { project: 'p', name: 'run', org: 'o' }, state: 1 }]);
  });

  test.each([
    ['no JSON', '{', 'application/json'],
    ['an unknown field', '{"nonsense": 1}', 'application/json'],
    ['a wrong type', '{"project": 3}', 'application/json'],
    ['no message', '\xff\xff\xff', 'application/octet-stream'],
  ])('a body that is %s: 400', async (_what, body, type) => {
    const [status, answer] = await json('/api/v1/executions', {
      method: 'POST',
      body,
      headers: { 'content-type': type, accept: 'application/json' },
    });
    expect([status, answer['code']]).toEqual([400, 3]);
  });

  test('a body over the limit: 429 with the limit', async () => {
    const [status, body] = await post('/api/v1/executions', { project: 'x'.repeat(200_000) });
    expect([status, body['code']]).toEqual([429, 8]);
    expect(body['message']).toContain('100000');
  });

  test('broken escapes: 400; other verbs: 405; other paths are not the gateway’s', async () => {
    expect((await json('/api/v1/tasks/p/d/%ff/v'))[0]).toBe(400);
    const answer = await fetch(`${url}/api/v1/tasks/p/d`, { method: 'DELETE' });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'GET']);
    expect((await fetch(`${url}/api/v1/tasks/p`)).status).toBe(404);
    expect((await fetch(`${url}/api/v1/tasks/p//n`)).status).toBe(404);
  });
});

describe('answers', () => {
  test('canonical JSON: proto names, zero values, null for unset messages, 64-bit numbers as text, nanoseconds', async () => {
    const [, body] = await json('/api/v1/executions/p/d/run');
    expect(body).toMatchObject({
      id: null,
      spec: null,
      closure: {
        phase: 'SUCCEEDED',
        duration: '2.000000005s',
        started_at: null,
        workflow_id: null,
        notifications: [],
        state_change_details: null,
      },
    });
    expect(body['closure']).not.toHaveProperty('outputs');
    const [, task] = await json('/api/v1/tasks/p/d/n/v');
    expect(task).toMatchObject({ short_description: '', closure: { created_at: '1970-01-01T00:00:01.123456789Z' } });
  });

  test('K-38: errors with grpc-gateway’s status and body, details typed', async () => {
    expect(await json('/api/v1/tasks/p/d/missing/v')).toEqual([
      404,
      { error: 'no such task', code: 5, message: 'no such task', details: [] },
    ]);
    const [status, body] = await post('/api/v1/tasks', {});
    expect(status).toBe(409);
    expect(body).toMatchObject({
      code: 6,
      details: [
        {
          '@type': 'type.googleapis.com/flyteidl.admin.CreateWorkflowFailureReason',
          exists_identical_structure: { id: { name: 'w' } },
        },
      ],
    });
    expect(await json('/api/v1/tasks/p/d/broken/v')).toMatchObject([500, { code: 13 }]);
    expect(await json('/api/v1/version')).toMatchObject([501, { code: 12 }]);
  });

  test('streams: a line of JSON a message, an error last', async () => {
    const lines = async (query: string, accept: string) =>
      (await (await fetch(`${url}/api/v1/logs/run${query}`, { headers: { accept } })).text()).trim().split(/\n+/);
    const a = '{"result":{"data":"YQ==","time":null}}';
    expect(await lines('', 'application/json')).toEqual([a, '{"result":{"data":"Yg==","time":null}}']);
    expect(await lines('?tail_lines=1', 'text/event-stream')).toEqual([
      `data: ${a}`,
      'data: {"error":{"error":"lost","code":14,"message":"lost","details":[]}}',
    ]);
  });

  test('a reader that leaves ends the stream’s handler', async () => {
    const controller = new AbortController();
    const ended = once(gone, 'gone');
    const answer = await fetch(`${url}/api/v1/logs/run?tail_lines=2`, { signal: controller.signal });
    await answer.body!.getReader().read();
    controller.abort();
    await ended;
  });
});

describe('compression and binary', () => {
  const raw = (path: string, headers: Record<string, string>) =>
    new Promise<{ headers: IncomingHttpHeaders; body: Buffer; status: number | undefined }>((resolve, reject) => {
      get(url + path, { headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ headers: answer.headers, body: Buffer.concat(chunks), status: answer.statusCode }),
        );
      }).on('error', reject);
    });

  test('whole answers are compressed for those who take it, and only where it pays', async () => {
    const big = '/api/v1/tasks/p/d/big/v';
    const plain = await raw(big, {});
    expect(plain.headers).toMatchObject({ vary: 'Accept-Encoding' });
    expect(plain.headers['content-encoding']).toBeUndefined();
    for (const accept of ['gzip', 'br;q=1, gzip;q=0.5', '*']) {
      const { headers, body } = await raw(big, { 'accept-encoding': accept });
      expect(headers).toMatchObject({ 'content-encoding': 'gzip', 'content-length': String(body.length) });
      expect(gunzipSync(body).equals(plain.body)).toBe(true);
    }
    for (const accept of ['br', 'gzip;q=0', '*;q=0', 'gzip;q=0, *'])
      expect((await raw(big, { 'accept-encoding': accept })).headers['content-encoding']).toBeUndefined();
    expect(
      (await raw('/api/v1/tasks/p/d/small/v', { 'accept-encoding': 'gzip' })).headers['content-encoding'],
    ).toBeUndefined();
  });

  test('streams are not, so that each message arrives when it is told', async () => {
    const answer = await fetch(`${url}/api/v1/logs/run?tail_lines=2`, { headers: { 'accept-encoding': 'gzip' } });
    const reader = answer.body!.getReader();
    expect(Buffer.from((await reader.read()).value!).toString()).toContain('YQ==');
    expect(answer.headers.get('content-encoding')).toBeNull();
    await reader.cancel();
  });

  test('errors are google.rpc.Status in binary; a binary body is answered in binary unless JSON is asked for', async () => {
    const binary = 'application/octet-stream';
    const missing = await raw('/api/v1/tasks/p/d/missing/v', { accept: binary });
    expect([missing.status, missing.headers['content-type']]).toEqual([404, binary]);
    expect(Status.decode(missing.body)).toMatchObject({ code: 5, message: 'no such task' });
    const send = (accept: string) =>
      fetch(`${url}/api/v1/tasks`, { method: 'POST', headers: { 'content-type': binary, accept }, body: '' });
    const failed = Status.decode(Buffer.from(await (await send('*/*')).arrayBuffer()));
    expect(failed).toMatchObject({
      code: 6,
      details: [{ typeUrl: 'type.googleapis.com/flyteidl.admin.CreateWorkflowFailureReason' }],
    });
    expect(await (await send('application/json')).json()).toMatchObject({ code: 6 });
  });
});

test('numbers, times, wrappers, bytes, structs and oneofs as protojson writes them', async () => {
  const [, task] = await json('/api/v1/tasks/p/d/kinds/v');
  const template = (task as { closure: { compiled_task: { template: Record<string, unknown> } } }).closure.compiled_task
    .template;
  expect(template).toMatchObject({
    metadata: {
      timeout: '1.500s',
      // Zero and unset, each in its way: proto3 scalars have values, messages are null, members of a oneof are left out.
      discoverable: false,
      runtime: null,
      retries: { retries: 0 },
      cache_ignore_input_vars: [],
      tags: {},
    },
    custom: { a: [1, null, true, { b: 'c' }], big: 1e21 },
    interface: {
      inputs: { variables: { x: { type: { simple: 'FLOAT' }, description: '' } } },
      outputs: null,
    },
    extended_resources: null,
  });
  expect(template['metadata']).not.toHaveProperty('interruptible');
  expect(template).not.toHaveProperty('container');
  const [, execution] = await json('/api/v1/executions/p/d/kinds');
  expect(execution).toMatchObject({
    spec: {
      interruptible: false,
      max_parallelism: 2147483647,
      inputs: {
        literals: {
          i: { scalar: { primitive: { integer: '-9223372036854775808' } } },
          f: { scalar: { primitive: { float_value: 'NaN' } } },
          t: { scalar: { primitive: { datetime: '0001-01-01T00:00:00Z' } } },
          d: { scalar: { primitive: { duration: '-0.000000001s' } } },
          b: { scalar: { binary: { value: '+/8=', tag: 'x' } } },
          none: { scalar: { none_type: {} } },
        },
      },
    },
  });
});

test('in front of a Fastify instance', async () => {
  const rpc = new RpcServer({ logger, port: 0 });
  rpc.register(AdminServiceService, admin);
  const gateway = new RestGateway({
    descriptorSet,
    services: ['flyteidl.service.AdminService'],
    dispatcher: rpc.dispatcher,
    logger,
  });
  const fastify = Fastify();
  mountGateway(fastify, gateway);
  fastify.get('/healthz', () => 'ok');
  const base = await fastify.listen({ port: 0, host: '127.0.0.1' });
  expect(await (await fetch(`${base}/healthz`)).text()).toBe('ok');
  expect(((await (await fetch(`${base}/api/v1/tasks/p/d/n/v`)).json()) as { id: unknown }).id).toMatchObject({
    name: 'n',
  });
  expect((await fetch(`${base}/nothing`)).status).toBe(404);
  const created = await fetch(`${base}/api/v1/executions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"project":"p"}',
  });
  expect(created.status).toBe(200);
  await fastify.close();
});

test('every annotated route of the services leads somewhere', () => {
  const rpc = new RpcServer({ logger, port: 0 });
  expect(
    () =>
      new RestGateway({
        descriptorSet,
        services: ['Admin', 'DataProxy', 'Signal', 'Identity', 'AuthMetadata'].map(
          (one) => `flyteidl.service.${one}Service`,
        ),
        dispatcher: rpc.dispatcher,
        logger,
      }),
  ).not.toThrow();
});
