import { readFileSync } from 'node:fs';
import { randomUUID } from 'node:crypto';
import { allowAll, type Policy } from '@aloft/auth';
import { temporaryBlobStore } from '@aloft/blob/testing';
import { envelope, type Consumer } from '@aloft/bus';
import { testBus, type TestBus } from '@aloft/bus/testing';
import { descriptorSetPath } from '@aloft/idl/descriptor';
import { ExecutionCommand, ExecutionEvent, ExecutionEvents, type StartExecution } from '@aloft/idl/aloft/v1/bus';
import { AttemptServiceClient } from '@aloft/idl/aloft/v1/attempts';
import { ExplainServiceClient } from '@aloft/idl/aloft/v1/explain';
import { HistoryServiceClient } from '@aloft/idl/aloft/v1/history';
import { NodeControlServiceClient } from '@aloft/idl/aloft/v1/control';
import { ProjectSettingsServiceClient } from '@aloft/idl/aloft/v1/project_settings';
import { LogServiceClient, WatchServiceClient } from '@aloft/idl/aloft/v1/watch';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { AdminServiceClient } from '@aloft/idl/flyteidl/service/admin';
import { AuthMetadataServiceClient } from '@aloft/idl/flyteidl/service/auth';
import { DataProxyServiceClient } from '@aloft/idl/flyteidl/service/dataproxy';
import { IdentityServiceClient } from '@aloft/idl/flyteidl/service/identity';
import { SignalServiceClient } from '@aloft/idl/flyteidl/service/signal';
import { connectGrpc, createClient, mountGateway, RestGateway, RpcServer } from '@aloft/rpc';
import { createLogger } from '@aloft/telemetry';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { adminExtraRoutes, adminGrpcServices, AdminModule } from '../admin.module.js';
import { adminConfigSchema } from '../config.js';
import { AdminLifecycle } from '../lifecycle.js';
import { adminMigrations } from '../migrations/index.js';
import { eventsTopic, eventsType } from '../projection/decode-events.js';
import { commandsTopic } from '../executions/commands.js';

type Event = Omit<Parameters<typeof ExecutionEvent.fromPartial>[0], 'sequence'>;

export interface PlatformOptions {
  config?: Parameters<typeof adminConfigSchema.parse>[0];
  policy?: Policy;
  /** Default: no propeller answers. */
  propellerAddress?: string;
}

/**
 * The admin service as a process would run it: real Postgres, bus, blob folder, gRPC and HTTP servers. In the propeller's place
 * stands whoever calls {@link Platform.emit}.
 */
export async function startPlatform(options: PlatformOptions = {}) {
  const test: TestBus = await testBus({ schema: 'admin', migrations: adminMigrations });
  const blobs = temporaryBlobStore({
    endpoint: 'http://127.0.0.1:1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'secret' },
  });
  const logger = createLogger('admin', { level: process.env.ALOFT_TEST_LOG ?? 'silent' });
  const policy = options.policy ?? allowAll;
  const descriptorSet = readFileSync(descriptorSetPath);
  const rpc = new RpcServer({ logger, port: 0, policy, descriptorSet });
  const module = await Test.createTestingModule({
    imports: [
      AdminModule.register({
        config: adminConfigSchema.parse({ caches: { settingsTtlMs: 0 }, ...(options.config as object) }),
        database: test.database,
        bus: test.bus,
        blob: blobs.store,
        policy,
        propellerAddress: () => options.propellerAddress ?? '127.0.0.1:1',
        logger,
        dispatcher: () => rpc.dispatcher,
      }),
    ],
  }).compile();
  const app = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter(), { logger: false });
  connectGrpc(app, rpc, adminGrpcServices);
  const services = adminGrpcServices.map((definition) => Object.values(definition)[0]?.path.split('/')[1] as string);
  mountGateway(
    app.getHttpAdapter().getInstance() as never,
    new RestGateway({ descriptorSet, services, dispatcher: rpc.dispatcher, logger, extraRoutes: adminExtraRoutes }),
  );
  const lifecycle = app.get(AdminLifecycle, { strict: false });
  await lifecycle.start();
  await app.startAllMicroservices();
  await app.listen(0, '127.0.0.1');
  const address = `127.0.0.1:${rpc.port}`;
  const commands = await tailCommands(test);
  const clients = {
    admin: createClient(AdminServiceClient, address),
    signals: createClient(SignalServiceClient, address),
    data: createClient(DataProxyServiceClient, address),
    identity: createClient(IdentityServiceClient, address),
    auth: createClient(AuthMetadataServiceClient, address),
    watch: createClient(WatchServiceClient, address),
    logs: createClient(LogServiceClient, address),
    explain: createClient(ExplainServiceClient, address),
    attempts: createClient(AttemptServiceClient, address),
    history: createClient(HistoryServiceClient, address),
    nodes: createClient(NodeControlServiceClient, address),
    settings: createClient(ProjectSettingsServiceClient, address),
  };
  const sequences = new Map<string, bigint>();
  return {
    ...clients,
    address,
    http: await app.getUrl(),
    blob: blobs.store,
    database: test.database,
    lifecycle,
    commands,
    /** Publishes events of a run as its propeller would, without waiting for the projection. */
    async publish({ id, uid }: Pick<StartExecution, 'id' | 'uid'>, ...events: Event[]): Promise<void> {
      const numbered = events.map((event) => {
        // The propeller's own event, outside the run's sequence.
        if (event.event?.$case === 'quarantined') return ExecutionEvent.fromPartial({ ...event, sequence: 0n });
        const sequence = (sequences.get(uid) ?? 0n) + 1n;
        sequences.set(uid, sequence);
        return ExecutionEvent.fromPartial({ ...event, sequence });
      });
      await test.database.transaction((tx) =>
        test.bus.publish(tx, [
          {
            topic: eventsTopic,
            envelope: envelope({
              id: randomUUID(),
              type: eventsType,
              payload: ExecutionEvents.encode({ events: numbered, projected: false }).finish(),
              execution: id as WorkflowExecutionIdentifier,
              executionUid: uid,
            }),
          },
        ]),
      );
    },
    /** {@link publish}, and waits until it is in the read model. */
    async emit(start: Pick<StartExecution, 'id' | 'uid'>, ...events: Event[]): Promise<void> {
      await this.publish(start, ...events);
      await lifecycle.caughtUp();
    },
    async stop(): Promise<void> {
      for (const client of Object.values(clients)) client.close();
      await lifecycle.stop();
      await commands.close();
      await app.close();
      await rpc.close(0);
      await lifecycle.close();
      await test.drop();
      blobs.close();
    },
  };
}

export type Platform = Awaited<ReturnType<typeof startPlatform>>;

/** Every command that admin sends, as a propeller would get it. */
async function tailCommands(test: TestBus) {
  const received: NonNullable<ExecutionCommand['command']>[] = [];
  const waiting = new Set<() => void>();
  const consumer: Consumer = test.bus.consume({
    topic: commandsTopic,
    group: 'test-propeller',
    database: test.database,
    mode: 'tail',
    handle: async (messages) => {
      for (const { envelope: message } of messages) {
        const { command } = ExecutionCommand.decode(message.payload);
        if (command) received.push(command);
      }
      for (const wake of waiting) wake();
    },
  });
  await consumer.caughtUp();
  const find = async <T>(pick: (command: NonNullable<ExecutionCommand['command']>) => T | undefined): Promise<T> => {
    for (;;) {
      for (const command of received) {
        const found = pick(command);
        if (found !== undefined) return found;
      }
      await new Promise<void>((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          resolve();
        };
        waiting.add(wake);
      });
    }
  };
  return {
    received,
    find,
    /** The start command of a run. */
    start: (name: string) =>
      find((command) => (command.$case === 'start' && command.value.id?.name === name ? command.value : undefined)),
    close: () => consumer.close(),
  };
}
