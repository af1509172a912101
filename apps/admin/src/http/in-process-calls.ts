import { Readable } from 'node:stream';
import { parseUri, type BlobStore } from '@aloft/blob';
import { errorMapping, notFound, toAloftError } from '@aloft/errors';
import { StreamLogsRequest, StreamLogsResponse } from '@aloft/idl/aloft/v1/watch';
import { NodeExecutionGetRequest, NodeExecution } from '@aloft/idl/flyteidl/admin/node_execution';
import type { NodeExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import type { Dispatcher } from '@aloft/rpc';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** HTTP routes that aren't rpcs themselves make rpcs in process: principal, authorisation, errors and metrics are the same. */
export class InProcessCalls {
  constructor(
    private readonly dispatcher: () => Dispatcher,
    private readonly blob: BlobStore,
  ) {}

  /** Bytes of an attempt's output. */
  async *logs(request: StreamLogsRequest, http: FastifyRequest): AsyncGenerator<Buffer> {
    const gone = new AbortController();
    http.raw.once('close', () => gone.abort());
    http.raw.socket.once('close', () => gone.abort());
    const bytes = StreamLogsRequest.encode(request).finish();
    const stream = this.dispatcher().stream('/aloft.v1.LogService/StreamLogs', bytes, incoming(http, gone.signal));
    for await (const message of stream) yield StreamLogsResponse.decode(message).data;
  }

  /** The deck of a node: HTML that a task wrote. */
  async deck(id: NodeExecutionIdentifier, http: FastifyRequest): Promise<Readable> {
    const bytes = NodeExecutionGetRequest.encode({ id }).finish();
    const path = '/flyteidl.service.AdminService/GetNodeExecution';
    const node = NodeExecution.decode(
      await this.dispatcher().unary(path, bytes, incoming(http, new AbortController().signal)),
    );
    const uri = node.closure?.deckUri ?? '';
    if (uri === '' || parseUri(uri).bucket !== this.blob.bucket || !(await this.blob.head(uri)))
      throw notFound(`node ${id.nodeId} has no deck`);
    return this.blob.stream(uri);
  }
}

function incoming(http: FastifyRequest, signal: AbortSignal) {
  return {
    peer: http.ip,
    deadline: undefined,
    signal,
    header: (name: string) => {
      const value = http.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
  };
}

/** Sends a stream; what fails before its first byte is answered with the error's status. */
export async function sendStream(
  reply: FastifyReply,
  contentType: string,
  chunks: AsyncIterable<Buffer>,
): Promise<void> {
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    const first = await iterator.next();
    const rest = async function* () {
      if (!first.done) yield first.value;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    };
    void reply
      .header('content-type', contentType)
      .header('cache-control', 'no-store')
      .header('x-content-type-options', 'nosniff')
      .send(first.done ? '' : Readable.from(rest()));
  } catch (thrown) {
    sendError(reply, thrown);
  }
}

export function sendError(reply: FastifyReply, thrown: unknown): void {
  const error = toAloftError(thrown);
  const { http, grpc } = errorMapping[error.code];
  void reply.status(http).send({ code: grpc, error: error.message, message: error.message });
}
