import { allowAll, anonymousAuthenticator, type Authenticator, type Policy } from '@aloft/auth';
import type { HealthRegistry, Logger, Metrics } from '@aloft/telemetry';
import { AloftError, unavailable } from '@aloft/errors';
import { Server, ServerCredentials, type ServerOptions, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { serviceName, type Handlers, type ServiceDefinition } from '../definition.js';
import { CallPipeline, type Dispatcher, type RegisteredMethod } from './call-pipeline.js';
import { streamingHandler, unaryHandler } from './grpc-handlers.js';
import { healthService } from './health-service.js';
import { RunningCalls } from './running-calls.js';
import { reflectionServices } from './reflection-service.js';

export interface RpcServerOptions {
  logger: Logger;
  /** Interface to listen on (default 127.0.0.1) and port (0 = any free one). */
  host?: string;
  port: number;
  /** Largest message taken or sent, in bytes (A-2; default 4 MiB, what clients allow by default). */
  maxMessageBytes?: number;
  authenticator?: Authenticator;
  policy?: Policy;
  metrics?: Metrics;
  /** Answers the standard health service: for the server as a whole, for `flyteadmin` (A-1) and for each service. */
  health?: HealthRegistry;
  /** Encoded FileDescriptorSet; given, server reflection is on. */
  descriptorSet?: Uint8Array;
  /** For TLS; default plain text. */
  credentials?: ServerCredentials;
  /**
   * Age at which a connection is told to go (GOAWAY; its calls end in their own time), so that clients spread over replicas that
   * came later. Default 0: never.
   */
  maxConnectionAgeMs?: number;
  /** Further grpc-js settings. */
  channelOptions?: ServerOptions;
}

const defaultMaxMessageBytes = 4 * 1024 * 1024;

/**
 * A gRPC server of ts-proto services whose every call runs through one pipeline: principal, authorisation, trace, deadline,
 * errors, log, metrics. The same calls can be made from inside the process ({@link dispatcher}).
 */
export class RpcServer {
  private readonly server: Server;
  private readonly pipeline: CallPipeline;
  private readonly running = new RunningCalls();
  private readonly methods = new Map<string, RegisteredMethod>();
  private readonly names: string[] = [];
  private bound: number | undefined;
  private closed: Promise<void> | undefined;

  constructor(private readonly options: RpcServerOptions) {
    const max = options.maxMessageBytes ?? defaultMaxMessageBytes;
    this.pipeline = new CallPipeline({
      logger: options.logger,
      authenticator: options.authenticator ?? anonymousAuthenticator,
      policy: options.policy ?? allowAll,
      metrics: options.metrics,
      maxMessageBytes: max,
    });
    this.server = new Server({
      // The pipeline refuses what is above the limit and says which setting it is; the transport's own limit stands
      // further up and only protects memory.
      'grpc.max_receive_message_length': max * 4,
      'grpc.max_send_message_length': -1,
      'grpc.keepalive_time_ms': 60_000,
      // Accounts of every call and connection that nobody here reads.
      'grpc.enable_channelz': 0,
      'grpc.keepalive_timeout_ms': 20_000,
      ...(options.maxConnectionAgeMs ? { 'grpc.max_connection_age_ms': options.maxConnectionAgeMs } : {}),
      ...options.channelOptions,
    });
  }

  /** Serves the rpcs that `handlers` has; the service's others are UNIMPLEMENTED. Before {@link listen}. */
  register<S extends ServiceDefinition>(definition: S, handlers: Partial<Handlers<S>>): void {
    const name = serviceName(definition);
    const implementation: UntypedServiceImplementation = {};
    const wire: Record<string, unknown> = {};
    for (const [key, method] of Object.entries(definition)) {
      // Bytes in, bytes out: the pipeline does the coding, so that a handler can have the request's own bytes and a
      // message that cannot be decoded is answered by us.
      wire[key] = { ...method, requestDeserialize: identity, responseSerialize: identity };
      const handle = handlers[key];
      if (typeof handle !== 'function') continue;
      if (method.requestStream)
        throw new Error(`${method.path} takes a stream: register it with addRawService, not as a handler`);
      const registered: RegisteredMethod = {
        definition: method,
        handle: handle.bind(handlers) as RegisteredMethod['handle'],
      };
      this.methods.set(method.path, registered);
      implementation[key] = method.responseStream
        ? streamingHandler(this.pipeline, registered, this.running)
        : unaryHandler(this.pipeline, registered, this.running);
    }
    this.names.push(name);
    this.server.addService(wire as never, implementation);
  }

  /** A service with grpc-js handlers of its own, outside the pipeline (no authorisation, no error mapping). */
  addRawService(definition: ServiceDefinition, implementation: UntypedServiceImplementation): void {
    this.names.push(serviceName(definition));
    this.server.addService(definition as never, implementation);
  }

  /** Resolves with the port. Rejects UNAVAILABLE if the address cannot be had. */
  async listen(): Promise<number> {
    const { host = '127.0.0.1', port, health, descriptorSet, credentials } = this.options;
    if (health) this.addRawService(...healthService(health, () => this.names));
    if (descriptorSet)
      for (const [definition, implementation] of reflectionServices(descriptorSet, () => this.names))
        this.addRawService(definition, implementation);
    this.bound = await new Promise<number>((resolve, reject) =>
      this.server.bindAsync(
        `${host.includes(':') ? `[${host}]` : host}:${port}`,
        credentials ?? ServerCredentials.createInsecure(),
        (error, bound) =>
          error
            ? reject(unavailable(`cannot listen for gRPC on ${host}:${port}: ${error.message}`, { cause: error }))
            : resolve(bound),
      ),
    );
    return this.bound;
  }

  get port(): number {
    if (this.bound === undefined) throw new Error('the gRPC server does not listen yet');
    return this.bound;
  }

  /** Full names of the services served. */
  get services(): readonly string[] {
    return this.names;
  }

  /** Paths of all rpcs that have a handler. */
  get paths(): string[] {
    return [...this.methods.keys()];
  }

  /** Makes calls without a network: through the same pipeline, encoded alike. */
  get dispatcher(): Dispatcher {
    const { methods, pipeline } = this;
    const methodAt = (path: string): RegisteredMethod => {
      const method = methods.get(path);
      if (!method) throw new AloftError('UNIMPLEMENTED', `${path} is not served here`);
      return method;
    };
    return {
      unary: async (path, request, call) => pipeline.unary(methodAt(path), request, call),
      stream: (path, request, call) => pipeline.stream(methodAt(path), request, call),
    };
  }

  /**
   * Takes no new calls (clients get GOAWAY and send theirs elsewhere), lets running ones end for `graceMs`, then cuts them. The
   * second call waits for the first.
   */
  close(graceMs = 5_000): Promise<void> {
    return (this.closed ??= this.drain(graceMs));
  }

  private async drain(graceMs: number): Promise<void> {
    const drained = new Promise<true>((resolve) => this.server.tryShutdown(() => resolve(true)));
    if (await within(drained, graceMs)) return;
    const cut = this.running.cutAll();
    if (cut > 0) this.options.logger.warn({ calls: cut, graceMs }, 'calls that did not end in time were cut');
    await within(drained, cutMs);
    this.server.forceShutdown();
  }
}

/** For the answers of calls that were cut to leave. */
const cutMs = 250;

async function within(work: Promise<true>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

const identity = (value: unknown): unknown => value;
