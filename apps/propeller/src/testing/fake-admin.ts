import { AloftError, notFound } from '@aloft/errors';
import type {
  ExecutionCreateRequest,
  ExecutionRecoverRequest,
  ExecutionTerminateRequest,
} from '@aloft/idl/flyteidl/admin/execution';
import { Execution } from '@aloft/idl/flyteidl/admin/execution';
import { LaunchPlan } from '@aloft/idl/flyteidl/admin/launch_plan';
import { Task } from '@aloft/idl/flyteidl/admin/task';
import type { TaskTemplate } from '@aloft/idl/flyteidl/core/tasks';
import { AdminServiceClient, AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import { createClient, type RpcServer } from '@aloft/rpc';
import { serveForTest } from '@aloft/rpc/testing';
import type { AdminClient } from '../requests/child-requests.js';

/** AdminService as the propeller uses it, in memory behind the real gRPC interface. */
export class FakeAdmin {
  /** Creations that were granted, by name. */
  readonly created = new Map<string, ExecutionCreateRequest>();
  /** Every call of CreateExecution, with the header that names the parent's attempt. */
  readonly asked: { name: string; attempt: string | undefined }[] = [];
  /** Recoveries that were granted, by the new name. */
  readonly recovered = new Map<string, ExecutionRecoverRequest>();
  readonly terminated: ExecutionTerminateRequest[] = [];
  readonly tasks = new Map<string, TaskTemplate>();
  /** Thrown by the next calls of CreateExecution, in order. */
  readonly failures: AloftError[] = [];
  onRecover: (request: ExecutionRecoverRequest) => Promise<void> | void = () => undefined;
  onCreate: (request: ExecutionCreateRequest) => Promise<void> | void = () => undefined;

  private constructor(
    private readonly server: RpcServer,
    readonly client: AdminClient,
  ) {}

  static async open(): Promise<FakeAdmin> {
    const fake: { self?: FakeAdmin } = {};
    const { server, address } = await serveForTest(AdminServiceService, {
      createExecution: async (request, call) => {
        const self = fake.self!;
        self.asked.push({ name: request.name, attempt: call.header('aloft-parent-attempt') });
        const failure = self.failures.shift();
        if (failure) throw failure;
        const id = { project: request.project, domain: request.domain, name: request.name, org: request.org };
        if (self.created.has(request.name)) throw new AloftError('ALREADY_EXISTS', `execution ${request.name} exists`);
        self.created.set(request.name, request);
        await self.onCreate(request);
        return { id };
      },
      recoverExecution: async (request) => {
        const self = fake.self!;
        if (!self.created.has(request.id!.name)) throw notFound(`execution ${request.id!.name}`);
        self.recovered.set(request.name, request);
        await self.onRecover(request);
        return { id: { ...request.id!, name: request.name } };
      },
      getExecution: async ({ id }) => {
        const request = fake.self!.created.get(id!.name);
        if (!request) throw notFound(`execution ${id!.name}`);
        return Execution.fromPartial({ id: id!, spec: request.spec! });
      },
      terminateExecution: async (request) => {
        fake.self!.terminated.push(request);
        return {};
      },
      getTask: async ({ id }) => {
        const template = fake.self!.tasks.get(id!.name);
        if (!template) throw notFound(`task ${id!.name}`);
        return Task.fromPartial({ id: id!, closure: { compiledTask: { template } } });
      },
      getLaunchPlan: async ({ id }) => LaunchPlan.fromPartial({ id: id! }),
    });
    fake.self = new FakeAdmin(server, createClient(AdminServiceClient, address, { safe: () => false }));
    return fake.self;
  }

  async close(): Promise<void> {
    this.client.close();
    await this.server.close(0);
  }
}
