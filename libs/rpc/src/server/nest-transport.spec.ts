import { notFound } from '@aloft/errors';
import { LogServiceClient, LogServiceService, StreamLogsRequest } from '@aloft/idl/aloft/v1/watch';
import {
  ProjectListRequest,
  type Project,
  type ProjectGetRequest,
  type ProjectRegisterRequest,
} from '@aloft/idl/flyteidl/admin/project';
import { AdminServiceClient, AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import { createLogger } from '@aloft/telemetry';
import { Inject, Injectable, Module, type INestApplication } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import 'reflect-metadata';
import type { CallContext } from '../call-context.js';
import { createClient } from '../client/create-client.js';
import { GrpcController } from '../controller.js';
import type { Handlers } from '../definition.js';
import { connectGrpc } from './nest-transport.js';
import { RpcServer } from './rpc-server.js';

@Injectable()
class Greetings {
  greet(name: string) {
    return `hello ${name}`;
  }
}

@GrpcController(AdminServiceService, LogServiceService)
class ProjectsController
  implements Pick<Handlers<typeof AdminServiceService>, 'getProject'>, Handlers<typeof LogServiceService>
{
  constructor(@Inject(Greetings) private readonly greetings: Greetings) {}

  async getProject({ id, org }: ProjectGetRequest, call: CallContext): Promise<Project> {
    if (id === 'missing') throw notFound(`project "${id}" not found`);
    if (id === 'broken') throw new RangeError('oops');
    return {
      id,
      name: this.greetings.greet(id),
      description: call.path,
      org,
      domains: [],
      labels: undefined,
      state: 0,
    };
  }

  async *streamLogs() {
    yield { data: Buffer.from('a'), time: undefined };
    yield { data: Buffer.from('b'), time: undefined };
  }
}

@GrpcController(AdminServiceService)
class OtherController {
  async registerProject(request: ProjectRegisterRequest) {
    return request.project === undefined ? Promise.reject(new Error('none')) : {};
  }
}

@Module({ controllers: [ProjectsController, OtherController], providers: [Greetings] })
class TestModule {}

describe('Nest hosts ts-proto services', () => {
  let app: INestApplication;
  let rpc: RpcServer;

  async function start(definitions = [AdminServiceService, LogServiceService]) {
    const module = await Test.createTestingModule({ imports: [TestModule] }).compile();
    app = module.createNestApplication(new FastifyAdapter(), { logger: false });
    rpc = new RpcServer({ logger: createLogger('test', { level: 'silent' }), port: 0 });
    connectGrpc(app, rpc, definitions);
    await app.startAllMicroservices();
  }
  afterEach(() => app.close());

  test('unary calls over several controllers, streams, injected services, our errors', async () => {
    await start();
    const address = `127.0.0.1:${rpc.port}`;
    const admin = createClient(AdminServiceClient, address);
    const logs = createClient(LogServiceClient, address);
    expect(await admin.getProject({ id: 'p', org: '' })).toMatchObject({
      name: 'hello p',
      description: '/flyteidl.service.AdminService/GetProject',
    });
    await expect(admin.getProject({ id: 'missing', org: '' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'project "missing" not found',
    });
    await expect(admin.getProject({ id: 'broken', org: '' })).rejects.toMatchObject({
      code: 'INTERNAL',
      message: 'oops',
    });
    await expect(admin.registerProject({ project: undefined })).rejects.toMatchObject({ code: 'INTERNAL' });
    await expect(admin.listProjects(ProjectListRequest.fromPartial({}))).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
    });
    let text = '';
    for await (const { data } of logs.streamLogs(StreamLogsRequest.fromPartial({}))) text += data.toString();
    expect(text).toBe('ab');
    admin.close();
    logs.close();
  });

  test('a controller of a service that is not hosted stops the start', async () => {
    await expect(start([AdminServiceService] as never)).rejects.toThrow('not among those to be hosted');
  });
});
