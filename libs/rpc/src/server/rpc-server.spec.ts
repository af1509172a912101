import { readFileSync } from 'node:fs';
import { EventEmitter, once } from 'node:events';
import { AloftError, invalidArgument, notFound } from '@aloft/errors';
import { LogServiceService, LogServiceClient, type StreamLogsResponse } from '@aloft/idl/aloft/v1/watch';
import { descriptorSetPath } from '@aloft/idl/descriptor';
import { CreateWorkflowFailureReason } from '@aloft/idl/flyteidl/admin/workflow';
import { Project, ProjectListRequest, ProjectRegisterRequest, Projects } from '@aloft/idl/flyteidl/admin/project';
import { AdminServiceClient, AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import { HealthClient, HealthCheckResponse_ServingStatus } from '@aloft/idl/grpc/health/v1/health';
import { ServerReflectionClient, type ServerReflectionResponse } from '@aloft/idl/grpc/reflection/v1/reflection';
import { HealthRegistry, Metrics, newTrace, withTrace } from '@aloft/telemetry';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { currentCall } from '../call-context.js';
import { callInProcess } from '../client/call-in-process.js';
import { createClient } from '../client/create-client.js';
import { serveForTest } from '../testing/index.js';
import { type RpcServer } from './rpc-server.js';

const servers: RpcServer[] = [];
const closers: (() => void)[] = [];
afterEach(async () => {
  closers.splice(0).forEach((close) => close());
  await Promise.all(servers.splice(0).map((server) => server.close(0)));
});

type Serve = typeof serveForTest;
const serve: Serve = async (...args) => {
  const started = await serveForTest(...args);
  servers.push(started.server);
  return started;
};

function admin(address: string) {
  const client = createClient(AdminServiceClient, address);
  closers.push(() => client.close());
  return client;
}

/** Sends raw bytes to any path, as a broken client would. */
function rawCall(address: string, path: string, bytes: Buffer, metadata = new Metadata()): Promise<Buffer> {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
    'grpc.max_receive_message_length': -1,
  });
  closers.push(() => client.close());
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      (b: Buffer) => b,
      (b: Buffer) => b,
      bytes,
      metadata,
      (error, answer) => (error ? reject(error) : resolve(answer!)),
    );
  });
}

const registration = ProjectRegisterRequest.fromPartial({ project: { id: 'p', name: 'P' } });
const registerPath = AdminServiceService.registerProject.path;

describe('errors', () => {
  test('A-4: code, message and typed details reach any gRPC client', async () => {
    const reason: CreateWorkflowFailureReason = {
      reason: { $case: 'existsIdenticalStructure', value: { id: undefined } },
    };
    const { address } = await serve(AdminServiceService, {
      registerProject: async () => {
        throw new AloftError('ALREADY_EXISTS', 'workflow exists: 100 % the same\nüber', {
          details: [
            {
              type: 'flyteidl.admin.CreateWorkflowFailureReason',
              value: CreateWorkflowFailureReason.encode(reason).finish(),
            },
          ],
        });
      },
    });
    const error = await admin(address)
      .registerProject(registration)
      .catch((e: unknown) => e as AloftError);
    expect(error).toMatchObject({ code: 'ALREADY_EXISTS', message: 'workflow exists: 100 % the same\nüber' });
    const [detail] = (error as AloftError).details;
    expect(detail?.type).toBe('flyteidl.admin.CreateWorkflowFailureReason');
    expect(CreateWorkflowFailureReason.decode(detail!.value).reason?.$case).toBe('existsIdenticalStructure');
    await expect(rawCall(address, registerPath, Buffer.alloc(0))).rejects.toMatchObject({
      code: status.ALREADY_EXISTS,
    });
  });

  test('an uncaught throw is INTERNAL, never UNKNOWN', async () => {
    const { address } = await serve(AdminServiceService, {
      registerProject: async () => {
        throw new TypeError('x is undefined');
      },
      listProjects: () => {
        throw 'a string';
      },
    });
    await expect(rawCall(address, registerPath, Buffer.alloc(0))).rejects.toMatchObject({
      code: status.INTERNAL,
      details: 'x is undefined',
    });
    await expect(rawCall(address, AdminServiceService.listProjects.path, Buffer.alloc(0))).rejects.toMatchObject({
      code: status.INTERNAL,
      details: 'a string',
    });
  });

  test('a message that no header may carry is mended: lone surrogates and great length', async () => {
    const { address } = await serve(AdminServiceService, {
      registerProject: async () => {
        throw invalidArgument(`\ud800 ${'ä'.repeat(100_000)}`);
      },
    });
    const error = await rawCall(address, registerPath, Buffer.alloc(0)).catch((e: ServiceError) => e);
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect((error as ServiceError).details).toMatch(/^\ufffd ä+ … \(shortened; 100002 characters in all\)$/);
  });

  test('bytes that are no message are INVALID_ARGUMENT, and the server lives', async () => {
    const { address } = await serve(AdminServiceService, { registerProject: async () => ({}) });
    await expect(rawCall(address, registerPath, Buffer.from('ffffffffffff', 'hex'))).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('is not a message of its type'),
    });
    await expect(admin(address).registerProject(registration)).resolves.toBeDefined();
  });

  test('a text that is no UTF-8 is INVALID_ARGUMENT: nothing is replaced silently', async () => {
    const { address } = await serve(AdminServiceService, { registerProject: async () => ({}) });
    // project { id: C3 28 }
    await expect(rawCall(address, registerPath, Buffer.from('0a040a02c328', 'hex'))).rejects.toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: expect.stringContaining('is not UTF-8'),
    });
  });

  test('an unknown method, an unserved rpc and an unknown service are UNIMPLEMENTED', async () => {
    const { address } = await serve(AdminServiceService, {});
    for (const path of [registerPath, '/flyteidl.service.AdminService/Nonsense', '/no.Such/Thing'])
      await expect(rawCall(address, path, Buffer.alloc(0))).rejects.toMatchObject({ code: status.UNIMPLEMENTED });
  });

  test('A-2: a message over the limit is RESOURCE_EXHAUSTED with sizes and the setting, in both directions', async () => {
    const { address } = await serve(
      AdminServiceService,
      {
        registerProject: async () => ({}),
        listProjects: async () => Projects.fromPartial({ projects: [{ description: 'x'.repeat(3000) }] }),
      },
      { maxMessageBytes: 2000 },
    );
    const large = (size: number) =>
      ProjectRegisterRequest.fromPartial({ project: { id: 'p', description: 'x'.repeat(size) } });
    await expect(admin(address).registerProject(large(3000))).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringMatching(/RegisterProject has 3\d\d\d bytes, the limit is 2000.*maxMessageBytes/),
    });
    await expect(admin(address).registerProject(large(20_000_000))).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
    await expect(admin(address).listProjects(ProjectListRequest.fromPartial({}))).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
    });
    await expect(admin(address).registerProject(registration)).resolves.toBeDefined();
  });
});

describe('calls', () => {
  test('a handler has principal, trace, deadline, headers and the bytes of the request', async () => {
    const seen: unknown[] = [];
    const { address } = await serve(
      AdminServiceService,
      {
        registerProject: async (request, call) => {
          expect(currentCall()).toBe(call);
          seen.push(
            request.project?.id,
            call.principal.subject,
            call.trace.traceparent,
            Buffer.from(call.requestBytes),
          );
          expect(call.deadline).toBeGreaterThan(Date.now());
          expect(call.header('x-a')).toBe('b');
          return {};
        },
      },
      {
        authenticator: {
          authenticate: (header) => ({ subject: header('authorization') ?? '', kind: 'user', scopes: [] }),
        },
      },
    );
    const { traceparent } = newTrace();
    await admin(address).registerProject(registration, {
      metadata: { authorization: 'Bearer ann', traceparent, 'x-a': 'b' },
    });
    const bytes = Buffer.from(ProjectRegisterRequest.encode(registration).finish());
    expect(seen).toEqual(['p', 'Bearer ann', traceparent, bytes]);
  });

  test('unknown fields of a request stay in its bytes', async () => {
    let bytes: Uint8Array | undefined;
    const { address } = await serve(AdminServiceService, {
      registerProject: async (_request, call) => {
        bytes = call.requestBytes;
        return {};
      },
    });
    const sent = Buffer.concat([ProjectRegisterRequest.encode(registration).finish(), Buffer.from([0xf8, 0x07, 0x01])]);
    await rawCall(address, registerPath, sent);
    expect(Buffer.from(bytes!)).toEqual(sent);
  });

  test('the policy is asked for every rpc, with action and resource', async () => {
    const asked: unknown[] = [];
    const { address } = await serve(
      AdminServiceService,
      { getProject: async () => Project.fromPartial({}), registerProject: async () => ({}) },
      {
        policy: {
          allows: (_principal, action, resource) => {
            asked.push([action, resource]);
            return action.endsWith('/GetProject');
          },
        },
      },
    );
    await admin(address).getProject({ id: 'p', org: 'o' });
    await expect(admin(address).registerProject(registration)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(asked).toEqual([
      ['flyteidl.service.AdminService/GetProject', { org: 'o' }],
      ['flyteidl.service.AdminService/RegisterProject', {}],
    ]);
  });

  test('deadlines end calls for the caller and tell the handler', async () => {
    const events = new EventEmitter();
    const { address } = await serve(AdminServiceService, {
      registerProject: (_request, call) =>
        new Promise(() => call.signal.addEventListener('abort', () => events.emit('aborted'))),
    });
    const aborted = once(events, 'aborted');
    await expect(admin(address).registerProject(registration, { deadlineMs: 50 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    await aborted;
  });

  test('the deadline of the rpc being served bounds calls made for it', async () => {
    const inner = await serve(AdminServiceService, { registerProject: () => new Promise(() => undefined) });
    const innerClient = admin(inner.address);
    const seen = new EventEmitter();
    const { address } = await serve(AdminServiceService, {
      registerProject: (request) =>
        innerClient.registerProject(request).catch((error: AloftError) => {
          seen.emit('inner', error.code);
          throw error;
        }),
    });
    const innerError = once(seen, 'inner');
    await expect(admin(address).registerProject(registration, { deadlineMs: 100 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect(await innerError).toEqual(['DEADLINE_EXCEEDED']);
  });

  test('metrics count by rpc and code', async () => {
    const metrics = new Metrics();
    const { address } = await serve(
      AdminServiceService,
      { registerProject: () => Promise.reject(notFound('no')) },
      { metrics },
    );
    await admin(address)
      .registerProject(registration)
      .catch(() => undefined);
    expect(await metrics.text()).toContain(
      'aloft_rpc_server_duration_seconds_count{rpc="/flyteidl.service.AdminService/RegisterProject",code="NOT_FOUND"} 1',
    );
  });

  test('safe calls are sent again when the server was away, others fail at once', async () => {
    const first = await serve(AdminServiceService, { listProjects: async () => Projects.fromPartial({}) });
    const port = first.server.port;
    const client = admin(first.address);
    await client.listProjects(ProjectListRequest.fromPartial({}));
    await first.server.close(0);
    await expect(client.registerProject(registration)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const answer = client.listProjects(ProjectListRequest.fromPartial({}));
    await serve(AdminServiceService, { listProjects: async () => Projects.fromPartial({}) }, { port });
    await expect(answer).resolves.toMatchObject({ projects: [] });
  });

  test('the dispatcher makes the same calls without a network', async () => {
    const { server } = await serve(AdminServiceService, {
      registerProject: async (request) => {
        throw notFound(`no ${request.project?.id}`);
      },
    });
    const call = {
      peer: 'in-process',
      deadline: undefined,
      signal: new AbortController().signal,
      header: () => undefined,
    };
    const bytes = ProjectRegisterRequest.encode(registration).finish();
    await expect(server.dispatcher.unary(registerPath, bytes, call)).rejects.toMatchObject({ message: 'no p' });
    await expect(server.dispatcher.unary('/a/B', bytes, call)).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
  });

  test('a call in process carries trace and headers, and gets the answer or the error', async () => {
    const seen: unknown[] = [];
    const { server } = await serve(AdminServiceService, {
      listProjects: async (_request, call) => {
        seen.push(call.header('authorization'), call.trace.traceparent.slice(0, 35), call.deadline !== undefined);
        return Projects.fromPartial({ projects: [{ id: 'p' }] });
      },
    });
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`;
    const options = { metadata: { authorization: 'Bearer t' } };
    const answer = await withTrace({ traceparent }, () =>
      callInProcess(server.dispatcher, AdminServiceService.listProjects, ProjectListRequest.fromPartial({}), options),
    );
    expect(answer.projects.map(({ id }) => id)).toEqual(['p']);
    expect(seen).toEqual(['Bearer t', traceparent.slice(0, 35), true]);
    await expect(
      callInProcess(server.dispatcher, AdminServiceService.registerProject, registration),
    ).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
  });
});

describe('server streams', () => {
  const line = (text: string): StreamLogsResponse => ({ data: Buffer.from(text), time: undefined });
  function logs(address: string) {
    const client = createClient(LogServiceClient, address);
    closers.push(() => client.close());
    return client;
  }
  const request = { node: undefined, retryAttempt: 0, index: undefined, follow: true, tailLines: 0 };

  test('deliver in order and end, or end with an error', async () => {
    const { address } = await serve(LogServiceService, {
      streamLogs: async function* (asked) {
        for (let i = 0; i < 100; i++) yield line(String(i));
        if (asked.tailLines === 1) throw invalidArgument('enough');
      },
    });
    const client = logs(address);
    const got: string[] = [];
    for await (const { data } of client.streamLogs(request)) got.push(data.toString());
    expect(got).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
    const failing = (async () => {
      for await (const _ of client.streamLogs({ ...request, tailLines: 1 }));
    })();
    await expect(failing).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: 'enough' });
  });

  test('a slow reader holds the handler up instead of filling memory', async () => {
    let made = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const { address } = await serve(LogServiceService, {
      streamLogs: async function* () {
        for (; made < 2000; made++) yield { data: chunk, time: undefined };
      },
    });
    let read = 0;
    for await (const _ of logs(address).streamLogs(request)) {
      await new Promise((resolve) => setImmediate(resolve));
      if (++read === 20) break;
    }
    // 2000 × 64 KiB = 128 MB if it were not held up.
    expect(made).toBeLessThan(400);
  });

  test('a caller that leaves ends the handler, also one that waits', async () => {
    const events = new EventEmitter();
    const { address } = await serve(LogServiceService, {
      streamLogs: async function* (_request, call) {
        try {
          yield line('first');
          await once(call.signal, 'abort');
        } finally {
          events.emit('ended');
        }
      },
    });
    const ended = once(events, 'ended');
    for await (const _ of logs(address).streamLogs(request)) break;
    await ended;
  });
});

describe('standard services', () => {
  test('A-1: health, also under the name flyteadmin, follows readiness', async () => {
    const health = new HealthRegistry();
    const { address } = await serve(AdminServiceService, {}, { health });
    const client = createClient(HealthClient, address);
    closers.push(() => client.close());
    const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus;
    expect(await client.check({ service: '' })).toMatchObject({ status: NOT_SERVING });
    health.setServing(true);
    for (const service of ['', 'flyteadmin', 'flyteidl.service.AdminService'])
      expect(await client.check({ service })).toMatchObject({ status: SERVING });
    await expect(client.check({ service: 'nobody' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const seen: number[] = [];
    for await (const { status: now } of client.watch({ service: '' })) {
      seen.push(now);
      if (seen.length === 1) health.setServing(false);
      else break;
    }
    expect(seen).toEqual([SERVING, NOT_SERVING]);
    health.setServing(true);
    health.add('ready', 'database', () => Promise.reject(new Error('no connection')));
    expect(await client.check({ service: '' })).toMatchObject({ status: NOT_SERVING });
  });

  test.each(['v1', 'v1alpha'])(
    'A-1: reflection %s lists services and gives files with their imports',
    async (version) => {
      const { address } = await serve(AdminServiceService, {}, { descriptorSet: readFileSync(descriptorSetPath) });
      const client = new ServerReflectionClient(address, credentials.createInsecure());
      closers.push(() => client.close());
      const { requestSerialize, responseDeserialize } = ServerReflectionClient.service.serverReflectionInfo;
      const stream = client.makeBidiStreamRequest(
        `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
        requestSerialize,
        responseDeserialize,
      );
      const ask = async (messageRequest: Parameters<typeof requestSerialize>[0]['messageRequest']) => {
        stream.write({ host: '', messageRequest });
        const [answer] = (await once(stream, 'data')) as [ServerReflectionResponse];
        return answer.messageResponse;
      };
      const list = await ask({ $case: 'listServices', value: '' });
      expect(list?.$case === 'listServicesResponse' && list.value.service.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['flyteidl.service.AdminService', 'grpc.reflection.v1.ServerReflection']),
      );
      for (const symbol of [
        'flyteidl.service.AdminService',
        'flyteidl.service.AdminService.GetTask',
        'flyteidl.core.Literal',
      ]) {
        const file = await ask({ $case: 'fileContainingSymbol', value: symbol });
        expect(file?.$case === 'fileDescriptorResponse' && file.value.fileDescriptorProto.length).toBeGreaterThan(1);
      }
      expect(await ask({ $case: 'fileByFilename', value: 'nowhere.proto' })).toMatchObject({
        $case: 'errorResponse',
        value: { errorCode: status.NOT_FOUND },
      });
      stream.end();
      await once(stream, 'end');
    },
  );
});
