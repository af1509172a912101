import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { toAloftError } from '@aloft/errors';
import { toJson } from '@aloft/idl/json';
import { WatchExecutionRequest, WatchExecutionResponse } from '@aloft/idl/aloft/v1/watch';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** Where the page's live updates come from. */
export interface WatchSource {
  watchExecution(request: WatchExecutionRequest, signal: AbortSignal): AsyncIterable<WatchExecutionResponse>;
}

const assets: Record<string, string> = {
  'console.js': 'text/javascript; charset=utf-8',
  'console.css': 'text/css; charset=utf-8',
};

// A task's output must not run as script of this origin.
const contentSecurity = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";

/**
 * The read-only page of runs under `/console` (one document, which finds in its URL what to show) and its live updates,
 * server-sent events at `/api/v1/watch/executions/{project}/{domain}/{name}`: each is a WatchExecutionResponse as JSON.
 */
export function addConsoleRoutes(http: FastifyInstance, watch: WatchSource): void {
  const page = async (_request: FastifyRequest, reply: FastifyReply) =>
    reply
      .header('content-security-policy', contentSecurity)
      .header('cache-control', 'no-cache')
      .type('text/html; charset=utf-8')
      .send(await read('index.html'));
  http.get('/', (_request, reply) => reply.redirect('/console'));
  http.get('/console', page);
  http.get('/console/*', page);
  http.get<{ Params: { name: string } }>('/console/assets/:name', async ({ params }, reply) => {
    const type = assets[params.name];
    if (type === undefined) return reply.code(404).send({ message: `the console has no file "${params.name}"` });
    return reply
      .header('cache-control', 'no-cache')
      .type(type)
      .send(await read(params.name));
  });
  http.get<{ Params: { project: string; domain: string; name: string } }>(
    '/api/v1/watch/executions/:project/:domain/:name',
    (request, reply) => sendEvents(reply, watch, WatchExecutionRequest.fromPartial({ id: request.params })),
  );
}

const read = (name: string): Promise<Buffer> => readFile(fileURLToPath(new URL(`./assets/${name}`, import.meta.url)));

/** Waits for the reader: what it has not taken is not fetched. */
async function sendEvents(reply: FastifyReply, watch: WatchSource, request: WatchExecutionRequest): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  const gone = new AbortController();
  raw.once('close', () => gone.abort());
  raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' });
  const send = async (text: string): Promise<void> => {
    if (raw.write(text) || gone.signal.aborted) return;
    await new Promise<void>((resolve) => {
      raw.once('drain', resolve);
      raw.once('close', resolve);
    });
  };
  try {
    for await (const update of watch.watchExecution(request, gone.signal)) {
      const bytes = WatchExecutionResponse.encode(update).finish();
      const json = toJson('aloft.v1.WatchExecutionResponse', bytes, { protoFieldNames: true });
      await send(`data: ${JSON.stringify(json)}\n\n`);
      if (gone.signal.aborted) return;
    }
    await send('event: end\ndata: {}\n\n');
  } catch (error) {
    const { code, message } = toAloftError(error);
    if (!gone.signal.aborted) await send(`event: refused\ndata: ${JSON.stringify({ code, message })}\n\n`);
  } finally {
    raw.end();
  }
}
