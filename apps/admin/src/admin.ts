import type { Policy } from '@aloft/auth';
import type { BlobStore } from '@aloft/blob';
import type { Bus } from '@aloft/bus';
import { createDataSource, GrowingTables, type Database } from '@aloft/database';
import { RunLogServiceClient } from '@aloft/idl/aloft/v1/history';
import { RunEraseServiceClient } from '@aloft/idl/aloft/v1/retention';
import { createClient } from '@aloft/rpc';
import type { Logger, Metrics } from '@aloft/telemetry';
import { AttributesRepository } from './attributes/attributes.repository.js';
import { AttributesService } from './attributes/attributes.service.js';
import type { AdminConfig } from './config.js';
import { DataProxyService } from './data-proxy/data-proxy.service.js';
import { LiteralReader } from './data-proxy/literal-reader.js';
import { DescriptionsRepository } from './descriptions/descriptions.repository.js';
import { DescriptionsService } from './descriptions/descriptions.service.js';
import { EventLiterals } from './events/event-literals.js';
import { EventWriter } from './events/event-writer.js';
import { EventsRepository } from './events/events.repository.js';
import { EventsService } from './events/events.service.js';
import { ExecutionControlService } from './executions/execution-control.service.js';
import { ExecutionMetricsService } from './executions/execution-metrics.service.js';
import { ExecutionReader } from './executions/execution-reader.js';
import { ExecutionReadsService } from './executions/execution-reads.service.js';
import { ExecutionWriter } from './executions/execution-writer.js';
import { ExecutionsRepository } from './executions/executions.repository.js';
import { ExecutionsService } from './executions/executions.service.js';
import { LaunchResolver } from './executions/launch-resolver.js';
import { AttemptsRepository } from './attempts/attempts.repository.js';
import { AttemptsService } from './attempts/attempts.service.js';
import { LoadService } from './attempts/load.service.js';
import { ItemsService } from './attempts/items.service.js';
import { ExplainService } from './explain/explain.service.js';
import { WaitsRepository } from './explain/waits.repository.js';
import { FoldSlots } from './history/fold-slots.js';
import { HistoryService } from './history/history.service.js';
import { ReadModelRepository } from './history/read-model.repository.js';
import { ReplayService } from './history/replay.service.js';
import { RunFolder } from './history/run-folder.js';
import { RunGraphs } from './history/run-graphs.js';
import { RunLogs } from './history/run-logs.js';
import { BuildInformation } from './identity/build-information.js';
import { LaunchPlansRepository } from './launch-plans/launch-plans.repository.js';
import { LaunchPlansService } from './launch-plans/launch-plans.service.js';
import { AdminLifecycle } from './lifecycle.js';
import { LogsService } from './logs/logs.service.js';
import { NamedEntitiesRepository } from './named-entities/named-entities.repository.js';
import { NamedEntitiesService } from './named-entities/named-entities.service.js';
import { InheritedRevisions } from './node-control/inherited-revisions.js';
import { NodeControlService } from './node-control/node-control.service.js';
import { NodePlaces } from './node-control/node-places.js';
import { RevisionsRepository } from './node-control/revisions.repository.js';
import { NodeExecutionsRepository } from './node-executions/node-executions.repository.js';
import { NodeExecutionsService } from './node-executions/node-executions.service.js';
import { DynamicClosures } from './projection/dynamic-closures.js';
import { ProjectionRepository } from './projection/projection.repository.js';
import { ProjectionService } from './projection/projection.service.js';
import { ProjectSettingsService } from './projects/project-settings.service.js';
import { ProjectsRepository } from './projects/projects.repository.js';
import { ProjectsService } from './projects/projects.service.js';
import { registryEntities } from './registry/entities.js';
import { RegistrationWriter } from './registry/registration-writer.js';
import { Registry } from './registry/registry.js';
import { createRetention } from './retention/create-retention.js';
import type { ErasuresService } from './retention/erasures.service.js';
import type { RetentionService } from './retention/retention.service.js';
import { SignalsRepository } from './signals/signals.repository.js';
import { SignalsService } from './signals/signals.service.js';
import { TaskExecutionsRepository } from './task-executions/task-executions.repository.js';
import { TaskExecutionsService } from './task-executions/task-executions.service.js';
import { TasksRepository } from './tasks/tasks.repository.js';
import { TasksService } from './tasks/tasks.service.js';
import { LiveEvents } from './watch/live-events.js';
import { WatchService } from './watch/watch.service.js';
import { Closures } from './workflows/closures.js';
import { WorkflowCompiler } from './workflows/workflow-compiler.js';
import { WorkflowsRepository } from './workflows/workflows.repository.js';
import { WorkflowsService } from './workflows/workflows.service.js';

export interface AdminDependencies {
  config: AdminConfig;
  /** On the schema that `adminMigrations` and `busMigrations` have made. */
  database: Database;
  bus: Bus;
  blob: BlobStore;
  policy: Policy;
  /** gRPC target of the propeller's RunLogService and RunEraseService (see `createClient`); read when the first call is made. */
  propellerAddress: () => string;
  logger: Logger;
  metrics?: Metrics;
  /** Version told by GetVersion; default: this package's. */
  build?: BuildInformation;
}

/** Every service of admin, put together by hand: who needs what is to be read here. */
export interface AdminServices {
  projects: ProjectsService;
  projectSettings: ProjectSettingsService;
  attributes: AttributesService;
  namedEntities: NamedEntitiesService;
  descriptions: DescriptionsService;
  tasks: TasksService;
  workflows: WorkflowsService;
  launchPlans: LaunchPlansService;
  executions: ExecutionsService;
  events: EventsService;
  control: ExecutionControlService;
  nodeControl: NodeControlService;
  reads: ExecutionReadsService;
  metrics: ExecutionMetricsService;
  nodeExecutions: NodeExecutionsService;
  taskExecutions: TaskExecutionsService;
  signals: SignalsService;
  dataProxy: DataProxyService;
  watch: WatchService;
  logs: LogsService;
  history: HistoryService;
  replays: ReplayService;
  explain: ExplainService;
  attempts: AttemptsService;
  loads: LoadService;
  items: ItemsService;
  retention: RetentionService;
  erasures: ErasuresService;
  build: BuildInformation;
  lifecycle: AdminLifecycle;
}

/** A run's folder may hold a million objects. */
const eraseMs = 600_000;

export async function createAdminServices(dependencies: AdminDependencies): Promise<AdminServices> {
  const { config, database, bus, blob, policy, logger } = dependencies;
  const registry = new Registry(await createDataSource(database, { entities: registryEntities }), database);
  const names = new NamedEntitiesRepository();
  const plansRepository = new LaunchPlansRepository();
  const projectRows = new ProjectsRepository();
  const projects = new ProjectsService(registry, projectRows, config, policy);
  const attributes = new AttributesService(registry, new AttributesRepository(), projects, config, policy);
  const descriptionRows = new DescriptionsRepository();
  const descriptions = new DescriptionsService(registry, descriptionRows);
  const growing = new GrowingTables(database, logger);
  const writer = new RegistrationWriter(database, names, descriptionRows, bus, growing);
  const tasks = new TasksService(registry, new TasksRepository(), writer, descriptions, projects, attributes, config);
  const compiler = new WorkflowCompiler(registry, tasks, plansRepository);
  const workflowRows = new WorkflowsRepository();
  const closures = new Closures(registry, workflowRows, blob, config);
  const workflows = new WorkflowsService(
    registry,
    workflowRows,
    writer,
    descriptions,
    projects,
    compiler,
    closures,
    config,
  );
  const launchPlans = new LaunchPlansService(registry, plansRepository, writer, workflows, projects, bus, config);

  const executionRows = new ExecutionsRepository();
  const attemptRows = new AttemptsRepository();
  const executionReader = new ExecutionReader(database, executionRows);
  const nodeRows = new NodeExecutionsRepository();
  const taskRows = new TaskExecutionsRepository();
  const literals = new LiteralReader(blob, config, logger);
  const revisionRows = new RevisionsRepository();
  const inherited = new InheritedRevisions(database, revisionRows, tasks);
  const executions = new ExecutionsService(
    database,
    executionRows,
    new ExecutionWriter(database, executionRows, bus, growing),
    new LaunchResolver(tasks, workflows, launchPlans),
    projects,
    attributes,
    inherited,
    closures,
    blob,
    bus,
    config,
  );
  const projectionRows = new ProjectionRepository();
  const dynamicClosures = new DynamicClosures(blob, config);
  const projection = new ProjectionService(projectionRows, revisionRows, dynamicClosures, dependencies.metrics);
  const live = new LiveEvents(bus, database, config);
  const propeller = lazily(() =>
    createClient(RunLogServiceClient, dependencies.propellerAddress(), { safe: () => true }),
  );
  const eraser = lazily(() =>
    createClient(RunEraseServiceClient, dependencies.propellerAddress(), { safe: () => true, deadlineMs: eraseMs }),
  );
  const control = new ExecutionControlService(database, executionRows, bus);
  const { retention, erasures, work } = createRetention({
    database,
    executions: executionRows,
    control,
    projects,
    blob,
    propeller: eraser.get,
    config,
    logger,
    gone: (key) => executions.forget(key),
  });
  const runLogs = new RunLogs(propeller.get);
  const folder = new RunFolder(runLogs, new RunGraphs(blob));
  const slots = new FoldSlots(config.history.foldsAtOnce, config.history.maxWaiting);
  const readModel = new ReadModelRepository(projectionRows);
  return {
    projects,
    projectSettings: new ProjectSettingsService(registry, projectRows, projects),
    attributes,
    namedEntities: new NamedEntitiesService(registry, names, config),
    descriptions,
    tasks,
    workflows,
    launchPlans,
    executions,
    events: new EventsService(
      new EventLiterals(database, executionRows, blob, config),
      new EventWriter(database, new EventsRepository(), projectionRows, dynamicClosures, bus),
    ),
    control,
    nodeControl: new NodeControlService(
      database,
      executionRows,
      revisionRows,
      inherited,
      new NodePlaces(database, nodeRows, workflows, closures),
      tasks,
      executions,
      live,
      bus,
      config,
    ),
    reads: new ExecutionReadsService(database, executionRows, executionReader, literals, config),
    metrics: new ExecutionMetricsService(database, executionRows, nodeRows, taskRows, workflows, closures),
    nodeExecutions: new NodeExecutionsService(
      database,
      executionRows,
      nodeRows,
      taskRows,
      closures,
      literals,
      config,
      logger,
    ),
    taskExecutions: new TaskExecutionsService(database, executionRows, taskRows, literals, config),
    signals: new SignalsService(database, executionRows, new SignalsRepository(), bus),
    dataProxy: new DataProxyService(
      database,
      executionRows,
      nodeRows,
      taskRows,
      literals,
      projects,
      blob,
      config,
      policy,
    ),
    watch: new WatchService(database, executionRows, executionReader, nodeRows, taskRows, live, projection, config),
    logs: new LogsService(database, executionRows, taskRows, live, blob),
    history: new HistoryService(database, executionRows, runLogs, folder, slots, config),
    replays: new ReplayService(database, executionRows, readModel, runLogs, folder, slots),
    explain: new ExplainService(database, executionRows, nodeRows, new WaitsRepository(), folder, slots),
    attempts: new AttemptsService(database, executionRows, attemptRows),
    items: new ItemsService(database, executionRows, attemptRows),
    loads: new LoadService(database, attemptRows),
    retention,
    erasures,
    build: dependencies.build ?? BuildInformation.ofThisPackage(),
    lifecycle: new AdminLifecycle(
      database,
      bus,
      projection,
      live,
      work,
      {
        close: async () => {
          propeller.made?.close();
          eraser.made?.close();
          await compiler.close();
          await registry.close();
        },
      },
      logger,
      dependencies.metrics,
    ),
  };
}

function lazily<T>(make: () => T): { get: () => T; readonly made: T | undefined } {
  let made: T | undefined;
  return {
    get: () => (made ??= make()),
    get made() {
      return made;
    },
  };
}
