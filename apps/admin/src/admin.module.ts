import type { BlobStore } from '@aloft/blob';
import { AttemptServiceService } from '@aloft/idl/aloft/v1/attempts';
import { ExplainServiceService } from '@aloft/idl/aloft/v1/explain';
import { HistoryServiceService } from '@aloft/idl/aloft/v1/history';
import { NodeControlServiceService } from '@aloft/idl/aloft/v1/control';
import { ProjectSettingsServiceService } from '@aloft/idl/aloft/v1/project_settings';
import { RetentionServiceService } from '@aloft/idl/aloft/v1/retention';
import { LogServiceService, WatchServiceService } from '@aloft/idl/aloft/v1/watch';
import { AdminServiceService } from '@aloft/idl/flyteidl/service/admin';
import { AuthMetadataServiceService } from '@aloft/idl/flyteidl/service/auth';
import { DataProxyServiceService } from '@aloft/idl/flyteidl/service/dataproxy';
import { IdentityServiceService } from '@aloft/idl/flyteidl/service/identity';
import { SignalServiceService } from '@aloft/idl/flyteidl/service/signal';
import { commentsPath } from '@aloft/idl/descriptor';
import type { Dispatcher, mountOpenApi, ServiceDefinition } from '@aloft/rpc';
import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { createAdminServices, type AdminDependencies, type AdminServices } from './admin.js';
import { AttemptsController } from './attempts/attempts.controller.js';
import { AttemptsService } from './attempts/attempts.service.js';
import { ItemsService } from './attempts/items.service.js';
import { LoadService } from './attempts/load.service.js';
import { AttributesController } from './attributes/attributes.controller.js';
import { AttributesService } from './attributes/attributes.service.js';
import { ConsoleController } from './console/console.controller.js';
import { DataProxyController } from './data-proxy/data-proxy.controller.js';
import { DataProxyService } from './data-proxy/data-proxy.service.js';
import { DescriptionsController } from './descriptions/descriptions.controller.js';
import { DescriptionsService } from './descriptions/descriptions.service.js';
import { EventsController } from './events/events.controller.js';
import { EventsService } from './events/events.service.js';
import { ExecutionControlService } from './executions/execution-control.service.js';
import { ExecutionMetricsService } from './executions/execution-metrics.service.js';
import { ExecutionReadsService } from './executions/execution-reads.service.js';
import { ExecutionsController } from './executions/executions.controller.js';
import { ExecutionsService } from './executions/executions.service.js';
import { ExplainController } from './explain/explain.controller.js';
import { ExplainService } from './explain/explain.service.js';
import { HistoryController } from './history/history.controller.js';
import { HistoryService } from './history/history.service.js';
import { ReplayService } from './history/replay.service.js';
import { InProcessCalls } from './http/in-process-calls.js';
import { OutputsHttpController } from './http/outputs.controller.js';
import { BuildInformation } from './identity/build-information.js';
import { AuthMetadataController, IdentityController, VersionController } from './identity/identity.controller.js';
import { LaunchPlansController } from './launch-plans/launch-plans.controller.js';
import { LaunchPlansService } from './launch-plans/launch-plans.service.js';
import { AdminLifecycle } from './lifecycle.js';
import { LogsController } from './logs/logs.controller.js';
import { LogsService } from './logs/logs.service.js';
import { NamedEntitiesController } from './named-entities/named-entities.controller.js';
import { NamedEntitiesService } from './named-entities/named-entities.service.js';
import { NodeControlController } from './node-control/node-control.controller.js';
import { NodeControlService } from './node-control/node-control.service.js';
import { NodeExecutionsController } from './node-executions/node-executions.controller.js';
import { NodeExecutionsService } from './node-executions/node-executions.service.js';
import { ProjectSettingsController } from './projects/project-settings.controller.js';
import { ProjectSettingsService } from './projects/project-settings.service.js';
import { ProjectsController } from './projects/projects.controller.js';
import { ProjectsService } from './projects/projects.service.js';
import { ErasuresService } from './retention/erasures.service.js';
import { RetentionController } from './retention/retention.controller.js';
import { RetentionService } from './retention/retention.service.js';
import { SignalsController } from './signals/signals.controller.js';
import { SignalsService } from './signals/signals.service.js';
import { TaskExecutionsController } from './task-executions/task-executions.controller.js';
import { TaskExecutionsService } from './task-executions/task-executions.service.js';
import { TasksController } from './tasks/tasks.controller.js';
import { TasksService } from './tasks/tasks.service.js';
import { WatchController } from './watch/watch.controller.js';
import { WatchService } from './watch/watch.service.js';
import { WorkflowsController } from './workflows/workflows.controller.js';
import { WorkflowsService } from './workflows/workflows.service.js';

/** What admin serves over gRPC. */
export const adminGrpcServices: readonly ServiceDefinition[] = [
  AdminServiceService,
  SignalServiceService,
  DataProxyServiceService,
  IdentityServiceService,
  AuthMetadataServiceService,
  WatchServiceService,
  LogServiceService,
  HistoryServiceService,
  ExplainServiceService,
  AttemptServiceService,
  NodeControlServiceService,
  ProjectSettingsServiceService,
  RetentionServiceService,
];

/** REST routes beside the annotated ones, for the gateway's `extraRoutes`: live streams as lines of JSON or server-sent events. */
export const adminExtraRoutes: readonly (readonly [pattern: string, rpc: string])[] = [
  ['GET /api/v1/watch/executions/{id.project}/{id.domain}/{id.name}', 'aloft.v1.WatchService/WatchExecution'],
  ['GET /api/v1/watch/projects/{project}/{domain}', 'aloft.v1.WatchService/WatchProject'],
  ['GET /api/v1/history/{id.project}/{id.domain}/{id.name}', 'aloft.v1.HistoryService/StreamHistory'],
  ['GET /api/v1/history/{id.project}/{id.domain}/{id.name}/at', 'aloft.v1.HistoryService/GetExecutionAt'],
  ['GET /api/v1/history/{id.project}/{id.domain}/{id.name}/replay', 'aloft.v1.HistoryService/ReplayExecution'],
  ['GET /api/v1/explain/{id.project}/{id.domain}/{id.name}', 'aloft.v1.ExplainService/ExplainExecution'],
  [
    'GET /api/v1/explain/{id.execution_id.project}/{id.execution_id.domain}/{id.execution_id.name}/{id.node_id}',
    'aloft.v1.ExplainService/ExplainNode',
  ],
  ['GET /api/v1/waiting/{project}/{domain}', 'aloft.v1.ExplainService/ListWaiting'],
];

/** What `GET /api/v1/openapi` says of itself. */
export const adminOpenApi = (): NonNullable<Parameters<typeof mountOpenApi>[2]> => ({
  title: 'Aloft',
  version: BuildInformation.ofThisPackage().version,
  description: "Flyte's control plane over HTTP, and what Aloft adds to it: the same calls as over gRPC.",
  commentsPath,
});

export interface AdminModuleDependencies extends AdminDependencies {
  blob: BlobStore;
  /**
   * Makes rpcs in process for HTTP routes that are none themselves (logs, decks): `() => rpcServer.dispatcher`. They pass
   * authentication and authorisation like any other call.
   */
  dispatcher: () => Dispatcher;
}

/** The control plane: registry, executions' read model, data proxy, live views. */
@Module({})
export class AdminModule {
  /** Connects to the database; the caller owns all dependencies and calls {@link AdminLifecycle} in its own order. */
  static async register(dependencies: AdminModuleDependencies): Promise<DynamicModule> {
    const services = await createAdminServices(dependencies);
    return {
      module: AdminModule,
      controllers: [
        ProjectsController,
        ProjectSettingsController,
        AttributesController,
        NamedEntitiesController,
        DescriptionsController,
        TasksController,
        WorkflowsController,
        LaunchPlansController,
        ExecutionsController,
        EventsController,
        NodeExecutionsController,
        NodeControlController,
        TaskExecutionsController,
        SignalsController,
        DataProxyController,
        IdentityController,
        AuthMetadataController,
        VersionController,
        WatchController,
        LogsController,
        HistoryController,
        ExplainController,
        AttemptsController,
        RetentionController,
        OutputsHttpController,
        ConsoleController,
      ],
      providers: [
        ...providersOf(services),
        { provide: InProcessCalls, useValue: new InProcessCalls(dependencies.dispatcher, dependencies.blob) },
      ],
      exports: [AdminLifecycle],
    };
  }
}

function providersOf(services: AdminServices): Provider[] {
  return [
    { provide: ProjectsService, useValue: services.projects },
    { provide: ProjectSettingsService, useValue: services.projectSettings },
    { provide: AttributesService, useValue: services.attributes },
    { provide: NamedEntitiesService, useValue: services.namedEntities },
    { provide: DescriptionsService, useValue: services.descriptions },
    { provide: TasksService, useValue: services.tasks },
    { provide: WorkflowsService, useValue: services.workflows },
    { provide: LaunchPlansService, useValue: services.launchPlans },
    { provide: ExecutionsService, useValue: services.executions },
    { provide: EventsService, useValue: services.events },
    { provide: ExecutionControlService, useValue: services.control },
    { provide: ExecutionReadsService, useValue: services.reads },
    { provide: ExecutionMetricsService, useValue: services.metrics },
    { provide: NodeControlService, useValue: services.nodeControl },
    { provide: NodeExecutionsService, useValue: services.nodeExecutions },
    { provide: TaskExecutionsService, useValue: services.taskExecutions },
    { provide: SignalsService, useValue: services.signals },
    { provide: DataProxyService, useValue: services.dataProxy },
    { provide: WatchService, useValue: services.watch },
    { provide: LogsService, useValue: services.logs },
    { provide: HistoryService, useValue: services.history },
    { provide: ReplayService, useValue: services.replays },
    { provide: ExplainService, useValue: services.explain },
    { provide: AttemptsService, useValue: services.attempts },
    { provide: LoadService, useValue: services.loads },
    { provide: ItemsService, useValue: services.items },
    { provide: RetentionService, useValue: services.retention },
    { provide: ErasuresService, useValue: services.erasures },
    { provide: BuildInformation, useValue: services.build },
    { provide: AdminLifecycle, useValue: services.lifecycle },
  ];
}
