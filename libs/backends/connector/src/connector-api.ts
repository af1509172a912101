import type { Asked, AttemptContext, Capacity, Created, Launch, PhaseReport, WebApi } from '@aloft/backend-kit';
import { AloftError, errorMapping, invalidArgument, toAloftError, unavailable } from '@aloft/errors';
import { CreateTaskRequest } from '@aloft/idl/flyteidl/admin/agent';
import type { LaunchTask } from '@aloft/idl/aloft/v1/bus';
import type { Logger } from '@aloft/telemetry';
import { Connection } from './connection.js';
import { Directory } from './directory.js';
import { Observer } from './observer.js';
import type { ConnectorOptions } from './options.js';
import { createRequest } from './request.js';
import { reportOf } from './resource.js';
import { executeSync } from './sync-task.js';

/** A job of a connector. */
export interface ConnectorJob {
  /** Name of the server that has it. */
  server: string;
  type: string;
  version: number;
  /** What the connector needs to find it again; opaque to everybody else. */
  meta: Uint8Array;
}

/** flytekit's connectors (A-160…A-164), and whatever else serves flyteidl's agent services. */
export class ConnectorApi implements WebApi<ConnectorJob> {
  readonly name = 'connector';
  readonly directory: Directory;
  private readonly connections: readonly Connection[];
  private readonly observer: Observer;

  constructor(
    private readonly options: ConnectorOptions,
    logger: Logger,
  ) {
    this.connections = options.servers.map((server) => new Connection(server, options.maxMessageBytes));
    this.observer = new Observer(options.observe);
    this.directory = new Directory({
      connections: this.connections,
      fallback: this.connections.find(({ server }) => server.name === options.fallback),
      everyMs: options.listEveryMs,
      logger,
    });
  }

  capacity(): Capacity {
    return { slots: this.options.slots };
  }

  taskTypes(): readonly string[] {
    return this.directory.types;
  }

  refuse({ template }: LaunchTask): string | undefined {
    const { type = '', taskTypeVersion = 0 } = template ?? {};
    // While one of them has not answered yet, it may be the one.
    if (this.directory.find(type, taskTypeVersion) || !this.directory.isComplete) return undefined;
    const { types } = this.directory;
    return (
      `No connector serves tasks of type "${type}", version ${taskTypeVersion}; ` +
      `${types.length === 0 ? 'none serves any' : `served are ${types.join(', ')}`}. Start a connector that does, and name it in backends.connector.servers.`
    );
  }

  async start(): Promise<void> {
    await this.directory.start();
  }

  async stop(): Promise<void> {
    this.directory.stop();
    for (const connection of this.connections) connection.close();
  }

  async create(launch: Launch, context: AttemptContext, signal: AbortSignal): Promise<Created<ConnectorJob>> {
    const { type = '', taskTypeVersion: version = 0 } = launch.template ?? {};
    const served = this.directory.find(type, version);
    if (!served) {
      void this.directory.look();
      throw unavailable(`no connector that can be reached serves tasks of type "${type}", version ${version}`);
    }
    const { connection, sync } = served;
    const request = await createRequest(launch, context.blob, {
      maxInputBytes: this.options.maxMessageBytes,
      maxRequestBytes: connection.server.maxRequestBytes,
    });
    try {
      if (sync) {
        const resource = await executeSync(connection, request, signal, this.options.maxMessageBytes);
        return { end: await reportOf(resource, launch, context.blob) };
      }
      const { timeoutsMs } = connection.server;
      const { resourceMeta } = await connection.tasks.createTask(request, { deadlineMs: timeoutsMs.create });
      return { handle: { server: connection.server.name, type, version, meta: resourceMeta } };
    } catch (thrown) {
      throw nothingTwice(thrown, connection.server.name, request);
    }
  }

  get(asked: readonly Asked<ConnectorJob>[]): Promise<(PhaseReport | AloftError)[]> {
    return Promise.all(
      asked.map(async ({ handle, launch, context }) => {
        try {
          const connection = this.connectionOf(handle);
          const { resource } = await connection.tasks.getTask(
            {
              taskType: handle.type,
              taskCategory: { name: handle.type, version: handle.version },
              resourceMeta: Buffer.from(handle.meta),
              outputPrefix: launch.outputPrefix,
            },
            { deadlineMs: connection.server.timeoutsMs.get },
          );
          if (!resource) return unavailable(`the connector "${handle.server}" answered without a resource`);
          const report = await reportOf(resource, launch, context.blob);
          return await this.observer.observed(report, { connection, job: handle, launch, blob: context.blob });
        } catch (error) {
          return toAloftError(error);
        }
      }),
    );
  }

  async delete(handle: ConnectorJob, _reason: string): Promise<void> {
    const connection = this.connectionOf(handle);
    await connection.tasks.deleteTask(
      {
        taskType: handle.type,
        taskCategory: { name: handle.type, version: handle.version },
        resourceMeta: Buffer.from(handle.meta),
      },
      { deadlineMs: connection.server.timeoutsMs.delete },
    );
  }

  encode({ server, type, version, meta }: ConnectorJob): Uint8Array {
    return Buffer.from(JSON.stringify({ server, type, version, meta: Buffer.from(meta).toString('base64') }));
  }

  decode(bytes: Uint8Array): ConnectorJob {
    const { server, type, version, meta } = JSON.parse(Buffer.from(bytes).toString()) as ConnectorJob & {
      meta: string;
    };
    return { server, type, version, meta: Buffer.from(meta, 'base64') };
  }

  /** The server that created a job has it; where it is configured no more, whichever serves the type now. */
  private connectionOf({ server, type, version }: ConnectorJob): Connection {
    const connection =
      this.connections.find((each) => each.server.name === server) ?? this.directory.find(type, version)?.connection;
    if (!connection)
      throw unavailable(`the connector "${server}" of tasks of type "${type}" is not configured any more`);
    return connection;
  }
}

/**
 * Only what surely did nothing is tried again: of a create whose answer did not come in time, nobody knows whether it made a job, which may
 * be billed.
 */
function nothingTwice(thrown: unknown, server: string, request: CreateTaskRequest): AloftError {
  const error = toAloftError(thrown);
  // The same request is too large every time.
  if (error.code === 'RESOURCE_EXHAUSTED' && /larger than max/i.test(error.message)) {
    const size = CreateTaskRequest.encode(request).finish().length;
    return invalidArgument(
      `template and inputs are ${size} bytes, more than the connector "${server}" takes (${error.message}); pass large values as files`,
      { cause: error },
    );
  }
  if (error.code === 'UNAVAILABLE' || error.code === 'RESOURCE_EXHAUSTED' || errorMapping[error.code].bus !== 'retry')
    return error;
  return new AloftError('INTERNAL', `the connector "${server}" gave no answer (${error.code}): ${error.message}`, {
    cause: error,
  });
}
