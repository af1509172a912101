import { AloftError, toAloftError } from '@aloft/errors';
import { currentTrace, isRecorded, spanFrom, type OpenSpan } from '@aloft/telemetry';
import {
  Client,
  credentials as channelCredentials,
  Metadata,
  type ChannelCredentials,
  type ChannelOptions,
} from '@grpc/grpc-js';
import { currentCall } from '../call-context.js';
import {
  serviceName,
  type MethodDefinition,
  type RequestOf,
  type ResponseOf,
  type ServiceDefinition,
} from '../definition.js';
import { fromServiceError } from '../status.js';
import { warningHeader } from '../warnings.js';
import { parseTarget, type Target } from './target.js';

export interface CallOptions {
  /** Time for the whole call, retries included (default the client's); `Infinity` for none. */
  deadlineMs?: number;
  metadata?: Record<string, string>;
  /** Cancels the call. */
  signal?: AbortSignal;
}

export interface ClientOptions {
  /** Default time for a unary call (default 30,000 ms). Server streams have none unless the call says so. */
  deadlineMs?: number;
  /** Largest message sent or taken, in bytes (default 64 MiB: the server's limit is the one that counts). */
  maxMessageBytes?: number;
  /**
   * Rpcs that may be sent again after UNAVAILABLE, since a repeat changes nothing. Default: those named get…, list…, find…,
   * watch… or check….
   */
  safe?: (method: string) => boolean;
  /**
   * While no server can be reached, calls wait for one until their deadline instead of failing at once: for services that
   * call each other through restarts (default false).
   */
  waitForReady?: boolean;
  /** For TLS; default plain text. */
  credentials?: ChannelCredentials;
  /** Headers of every call (an access token). */
  metadata?: () => Record<string, string> | Promise<Record<string, string>>;
  /** What servers tell beside good answers of unary calls. */
  onWarning?: (message: string) => void;
  channelOptions?: ChannelOptions;
}

type ClientMethod<M> = M extends { requestStream: true }
  ? never
  : M extends { responseStream: true }
    ? (request: RequestOf<M>, options?: CallOptions) => AsyncIterable<ResponseOf<M>>
    : (request: RequestOf<M>, options?: CallOptions) => Promise<ResponseOf<M>>;

/** The rpcs of a service as functions. Failures are `AloftError`s with their typed details. */
export type RpcClient<S extends ServiceDefinition> = { readonly [K in keyof S]: ClientMethod<S[K]> } & {
  /** Resolves when the server can be reached; rejects UNAVAILABLE after `deadlineMs`. */
  ready(deadlineMs?: number): Promise<void>;
  close(): void;
};

/** A client constructor as ts-proto makes it (`AdminServiceClient`). */
export interface ServiceClientConstructor<S extends ServiceDefinition> {
  readonly service: S;
}

const safeByName = (method: string): boolean => /^(get|list|find|watch|check)[A-Z]?/.test(method);

/**
 * A client of one service, for as long as its owner lives: connections are kept and made again after a loss. With an address
 * of several servers (`host:port,host:port`, `dns:///name:port`) calls take turns over those that can be reached. What never
 * reached a server's handler (it was draining, or the stream was refused) is sent again by grpc-js itself, whatever the rpc.
 * Trace context and the deadline of the rpc being served travel on.
 */
export function createClient<S extends ServiceDefinition>(
  constructor: ServiceClientConstructor<S>,
  address: string,
  options: ClientOptions = {},
): RpcClient<S> {
  const definition = constructor.service;
  const service = serviceName(definition);
  const max = options.maxMessageBytes ?? 64 * 1024 * 1024;
  const target = parseTarget(address);
  const channel = new Client(target.uri, options.credentials ?? channelCredentials.createInsecure(), {
    'grpc.max_receive_message_length': max,
    'grpc.max_send_message_length': max,
    ...(target.balanced ? betweenServices : toOneServer),
    'grpc.initial_reconnect_backoff_ms': 100,
    // Accounts of every call and connection that nobody here reads.
    'grpc.enable_channelz': 0,
    // Our settings, not those that a TXT record of the name may hold.
    'grpc.service_config_disable_resolution': 1,
    'grpc.service_config': serviceConfig(service, definition, target, options.safe ?? safeByName),
    ...options.channelOptions,
  });
  const calls = new Calls(channel, options);
  const client: Record<string, unknown> = {
    ready: (deadlineMs = 10_000) =>
      new Promise<void>((resolve, reject) =>
        channel.waitForReady(Date.now() + deadlineMs, (error) =>
          error
            ? reject(
                new AloftError('UNAVAILABLE', `${service} at ${address} cannot be reached within ${deadlineMs} ms`),
              )
            : resolve(),
        ),
      ),
    close: () => channel.close(),
  };
  for (const [name, method] of Object.entries(definition)) {
    if (method.requestStream) continue;
    client[name] = method.responseStream
      ? (request: unknown, call: CallOptions = {}) => calls.stream(method, request, call)
      : (request: unknown, call: CallOptions = {}) => calls.unary(method, request, call);
  }
  return client as RpcClient<S>;
}

const toOneServer = {
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.max_reconnect_backoff_ms': 5_000,
};
/** A server that hangs is left for the others soon; one that came back is used soon. */
const betweenServices = {
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.dns_min_time_between_resolutions_ms': 5_000,
};

function serviceConfig(
  service: string,
  definition: ServiceDefinition,
  { balanced }: Target,
  safe: (method: string) => boolean,
): string {
  const names = Object.entries(definition)
    .filter(([name]) => safe(name))
    .map(([, { path }]) => ({ service, method: path.split('/')[2] }));
  const retryPolicy = {
    maxAttempts: 5,
    initialBackoff: '0.1s',
    maxBackoff: '2s',
    backoffMultiplier: 2,
    retryableStatusCodes: ['UNAVAILABLE'],
  };
  return JSON.stringify({
    ...(balanced ? { loadBalancingConfig: [{ round_robin: {} }] } : {}),
    methodConfig: names.length > 0 ? [{ name: names, retryPolicy }] : [],
  });
}

class Calls {
  constructor(
    private readonly channel: Client,
    private readonly defaults: ClientOptions,
  ) {}

  async unary(method: MethodDefinition, request: unknown, options: CallOptions): Promise<unknown> {
    const span = clientSpan(method);
    if (!span) return this.send(method, request, options, undefined);
    try {
      const response = await this.send(method, request, options, span);
      span.set({ 'rpc.response.status_code': 'OK' });
      return response;
    } catch (error) {
      span.set({ 'rpc.response.status_code': toAloftError(error).code });
      span.fail(error);
      throw error;
    } finally {
      span.end();
    }
  }

  private async send(
    method: MethodDefinition,
    request: unknown,
    options: CallOptions,
    span: OpenSpan | undefined,
  ): Promise<unknown> {
    const metadata = await this.metadata(options, span);
    const deadline = deadlineOf(options.deadlineMs ?? this.defaults.deadlineMs ?? 30_000);
    return new Promise((resolve, reject) => {
      const call = this.channel.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        { deadline },
        (error, response) => {
          options.signal?.removeEventListener('abort', cancel);
          if (error) reject(fromServiceError(error, method.path));
          else resolve(response);
        },
      );
      const { onWarning } = this.defaults;
      if (onWarning)
        call.on('status', (status) =>
          status.metadata.get(warningHeader).forEach((warning) => onWarning(String(warning))),
        );
      const cancel = () => call.cancel();
      if (options.signal?.aborted) cancel();
      else options.signal?.addEventListener('abort', cancel);
    });
  }

  async *stream(method: MethodDefinition, request: unknown, options: CallOptions): AsyncGenerator<unknown, void> {
    const span = clientSpan(method);
    const metadata = await this.metadata(options, span);
    const call = this.channel.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      metadata,
      { deadline: deadlineOf(options.deadlineMs ?? Infinity) },
    );
    const cancel = () => call.cancel();
    if (options.signal?.aborted) cancel();
    else options.signal?.addEventListener('abort', cancel);
    try {
      for await (const message of call) yield message;
    } catch (error) {
      span?.fail(fromServiceError(error, method.path));
      throw fromServiceError(error, method.path);
    } finally {
      span?.end();
      options.signal?.removeEventListener('abort', cancel);
      call.cancel();
    }
  }

  private async metadata(options: CallOptions, span: OpenSpan | undefined): Promise<Metadata> {
    const metadata = new Metadata({ waitForReady: this.defaults.waitForReady ?? false });
    const current = currentTrace();
    const trace = current?.lasting ? current : (span?.trace ?? current);
    if (trace) {
      metadata.set('traceparent', trace.traceparent);
      if (trace.tracestate) metadata.set('tracestate', trace.tracestate);
    }
    const common = this.defaults.metadata ? await this.defaults.metadata() : undefined;
    for (const [name, value] of Object.entries({ ...common, ...options.metadata })) metadata.set(name, value);
    return metadata;
  }
}

/** The time of the call as its caller sees it, retries included; `undefined` where nothing is recorded. */
function clientSpan({ path }: MethodDefinition): OpenSpan | undefined {
  const parent = currentTrace();
  if (!isRecorded(parent)) return undefined;
  const attributes = { 'rpc.system.name': 'grpc', 'rpc.method': path.slice(1) };
  return spanFrom(parent, path.slice(1), attributes, { kind: 'client', scope: 'aloft.rpc' });
}

/** The earlier of the call's own deadline and that of the rpc being served. */
function deadlineOf(deadlineMs: number): number {
  return Math.min(Date.now() + deadlineMs, currentCall()?.deadline ?? Infinity);
}
