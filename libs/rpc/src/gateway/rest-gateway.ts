import type { IncomingMessage, ServerResponse } from 'node:http';
import { AloftError, errorMapping, invalidArgument, resourceExhausted, toAloftError } from '@aloft/errors';
import { descriptorRegistry } from '@aloft/idl/json';
import type { Logger } from '@aloft/telemetry';
import {
  create,
  createFileRegistry,
  fromBinary,
  mergeFromBinary,
  mergeFromJson,
  toBinary,
  type DescMessage,
  type FileRegistry,
  type JsonValue,
  type Message,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { Dispatcher } from '../server/call-pipeline.js';
import { encodeDetails } from '../status.js';
import { openApiDocument, type OpenApiDocument, type OpenApiOptions } from '../openapi/document.js';
import { errorBody } from './error-body.js';
import { accepts, binary, isBinary, json as jsonType, send, wantsBinary } from './http-answer.js';
import { HttpCall } from './http-call.js';
import { httpRoutes, routeFor, type HttpRoute } from './http-rules.js';
import { messageToJson } from './message-json.js';
import { fieldsToJson } from './request-fields.js';
import { RouteTree, type RouteMatch } from './route-tree.js';

export interface RestGatewayOptions {
  /** Encoded FileDescriptorSet with `google.api` options (default: that of `@aloft/idl`, decoded once a process). */
  descriptorSet?: Uint8Array;
  /** Full names of the services whose routes are served. */
  services: readonly string[];
  /** Makes the calls: `rpcServer.dispatcher`, in process. */
  dispatcher: Dispatcher;
  logger: Logger;
  /** Routes besides the annotated ones: `['GET /api/v1/watch/{id.name}', 'aloft.v1.WatchService/WatchExecution']`. */
  extraRoutes?: readonly (readonly [pattern: string, rpc: string])[];
  /** Largest request body, in bytes (default 16 MiB: the same message is longer in JSON). */
  maxBodyBytes?: number;
}

const events = 'text/event-stream';
const ndjson = 'application/x-ndjson';

/**
 * REST for gRPC services by their `google.api.http` annotations, as grpc-gateway does it (A-1, K-38): JSON or, with
 * `Accept`/`Content-Type: application/octet-stream`, protobuf (errors as google.rpc.Status); whole answers compressed for who takes
 * gzip; streams as lines of JSON or, with `Accept: text/event-stream`,
 * as server-sent events.
 */
export class RestGateway {
  private readonly registry: FileRegistry;
  private readonly served: readonly HttpRoute[];
  private readonly routes: RouteTree;
  private readonly maxBodyBytes: number;

  constructor(private readonly options: RestGatewayOptions) {
    this.registry = options.descriptorSet
      ? createFileRegistry(fromBinary(FileDescriptorSetSchema, options.descriptorSet))
      : descriptorRegistry();
    const extra = (options.extraRoutes ?? []).map(([pattern, rpc]) => routeFor(this.registry, pattern, rpc));
    this.served = [...httpRoutes(this.registry, options.services), ...extra];
    this.routes = new RouteTree(this.served);
    this.maxBodyBytes = options.maxBodyBytes ?? 16 * 1024 * 1024;
  }

  /** All of its routes, as OpenAPI. */
  openApi(options: OpenApiOptions): OpenApiDocument {
    return openApiDocument(this.served, options);
  }

  /** Answers a request that has a route; otherwise resolves false and has touched nothing. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    const url = request.url ?? '/';
    const mark = url.indexOf('?');
    const path = mark < 0 ? url : url.slice(0, mark);
    try {
      const match = this.routes.find(request.method ?? 'GET', path);
      if (!match) return false;
      if ('allowed' in match) {
        response.setHeader('Allow', match.allowed.join(', '));
        const error = new AloftError(
          'UNIMPLEMENTED',
          `${request.method} is not served at ${path}: use ${match.allowed.join(' or ')}`,
        );
        this.refuse(error, response, 405);
        return true;
      }
      await this.answer(match, new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1)), request, response);
    } catch (thrown) {
      const error =
        thrown instanceof URIError ? invalidArgument(`the path ${path} is not properly encoded`) : toAloftError(thrown);
      this.refuse(error, response);
    }
    return true;
  }

  private async answer(
    match: RouteMatch,
    query: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { route } = match;
    const bytes = toBinary(route.rpc.input, await this.requestOf(match, query, request));
    const call = new HttpCall(request, response);
    try {
      if (route.rpc.methodKind === 'server_streaming') await this.stream(route, bytes, call, request, response);
      else await this.unary(route, bytes, call, request, response);
    } finally {
      call.finish();
    }
  }

  private async requestOf(
    { route, params }: RouteMatch,
    query: URLSearchParams,
    request: IncomingMessage,
  ): Promise<Message> {
    const schema = route.rpc.input;
    const message = create(schema);
    if (route.body === '*') await this.readBody(schema, message, request);
    else if (route.body !== '') {
      const field = schema.fields.find(({ name }) => name === route.body);
      const json = parseJson(await read(request, this.maxBodyBytes));
      this.merge(schema, message, { [field?.name ?? route.body]: json });
    }
    const taken = new Set(params.map(([name]) => name));
    const fields = route.body === '*' ? [] : [...query].filter(([name]) => !taken.has(name));
    this.merge(schema, message, fieldsToJson(schema, [...fields, ...params]));
    return message;
  }

  private async readBody(schema: DescMessage, message: Message, request: IncomingMessage): Promise<void> {
    const body = await read(request, this.maxBodyBytes);
    if (!isBinary(request)) {
      this.merge(schema, message, parseJson(body));
      return;
    }
    try {
      mergeFromBinary(schema, message, body);
    } catch (error) {
      throw invalidArgument(`the body is no encoded ${schema.typeName}: ${reason(error)}`, { cause: error });
    }
  }

  private merge(schema: DescMessage, message: Message, json: JsonValue): void {
    try {
      mergeFromJson(schema, message, json, { registry: this.registry });
    } catch (error) {
      throw invalidArgument(`the request is no ${schema.typeName} in JSON: ${reason(error)}`, { cause: error });
    }
  }

  private async unary(
    route: HttpRoute,
    bytes: Uint8Array,
    call: HttpCall,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const answer = await this.options.dispatcher.unary(route.path, bytes, call);
    if (wantsBinary(request)) await send(request, response, 200, binary, Buffer.from(answer));
    else await send(request, response, 200, jsonType, Buffer.from(JSON.stringify(this.json(route, answer))));
  }

  /** `{"result": …}` a message, `{"error": …}` last if it fails on the way. */
  private async stream(
    route: HttpRoute,
    bytes: Uint8Array,
    call: HttpCall,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const sse = accepts(request, events);
    const write = async (json: JsonValue) => {
      const text = JSON.stringify(json);
      if (!response.write(sse ? `data: ${text}\n\n` : `${text}\n`)) await call.drained(response);
    };
    const begin = () => response.writeHead(200, { 'Content-Type': sse ? events : ndjson, 'Cache-Control': 'no-cache' });
    try {
      for await (const answer of this.options.dispatcher.stream(route.path, bytes, call)) {
        if (!response.headersSent) begin();
        await write({ result: this.json(route, answer) });
      }
      if (!response.headersSent) begin();
    } catch (error) {
      if (!response.headersSent || call.signal.aborted) throw error;
      await write({ error: errorBody(toAloftError(error), this.registry) });
    }
    response.end();
  }

  private json({ rpc, responseBody }: HttpRoute, answer: Uint8Array): JsonValue {
    const json = messageToJson(rpc.output, fromBinary(rpc.output, answer), this.registry);
    return responseBody === '' ? json : ((json as Record<string, JsonValue>)[responseBody] ?? null);
  }

  private refuse(error: AloftError, response: ServerResponse, status = errorMapping[error.code].http): void {
    if (response.destroyed || response.writableEnded) return;
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (!response.req.complete) response.setHeader('Connection', 'close');
    const [type, body] = wantsBinary(response.req)
      ? [binary, encodeDetails(errorMapping[error.code].grpc, error.message, error.details)]
      : [jsonType, Buffer.from(JSON.stringify(errorBody(error, this.registry)))];
    response.writeHead(status, { 'Content-Type': type, 'Content-Length': body.length }).end(body);
    response.req.resume();
  }
}

async function read(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes)
      throw resourceExhausted(`the body is larger than ${maxBytes} bytes: pass large values by reference`);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
}

function parseJson(body: Buffer): JsonValue {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString()) as JsonValue;
  } catch (error) {
    throw invalidArgument(`the body is no JSON: ${reason(error)}`, { cause: error });
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
