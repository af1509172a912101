import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';

/** One request of a client, and its answer once there is one (of streams its status alone). */
export interface Exchange {
  method: string;
  /** With the query. */
  path: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: Buffer;
  status?: number;
  answer?: Buffer;
}

export type Action =
  | { kind: 'pass' }
  | { kind: 'answer'; status: number; headers?: Record<string, string>; body: string }
  /** It is done, and nobody hears of it. */
  | { kind: 'lose' }
  /** It never arrives. */
  | { kind: 'cut' };

export interface HttpProxyOptions {
  /** Where requests go. */
  upstream: string;
  /** Asked about every request before it goes on. */
  decide: (exchange: Exchange) => Action | Promise<Action>;
  /** An answer is there and was not given on yet; `exchange.answer` may be replaced. */
  answered?: (exchange: Exchange) => void | Promise<void>;
  /** A piece of a stream was given on. */
  streamed?: (piece: Buffer) => void;
  /** Answers without an end, as of a watch. */
  isStream?: (exchange: Exchange) => boolean;
}

interface Stream {
  from: IncomingMessage;
  to: ServerResponse;
  flows: boolean;
}

/** Between one client and a service over HTTP: what happens to each request is up to whoever made the proxy. */
export class HttpProxy {
  private readonly streams = new Set<Stream>();
  private readonly agent: http.Agent;
  private readonly server = http.createServer((request, response) => void this.handle(request, response));
  private held = false;
  url = '';

  private constructor(private readonly options: HttpProxyOptions) {
    const settings = { keepAlive: true, rejectUnauthorized: false };
    this.agent = options.upstream.startsWith('https:') ? new https.Agent(settings) : new http.Agent(settings);
    this.server.keepAliveTimeout = 60_000;
  }

  static async listen(options: HttpProxyOptions): Promise<HttpProxy> {
    const proxy = new HttpProxy(options);
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    proxy.url = `http://127.0.0.1:${(proxy.server.address() as AddressInfo).port}`;
    return proxy;
  }

  /** Breaks every stream; answers how many. */
  cutStreams(): number {
    const open = [...this.streams];
    for (const { to } of open) to.destroy();
    return open.length;
  }

  /** Whatever streams tell comes later: nothing of it until they are let go. */
  holdStreams(held: boolean): void {
    this.held = held;
    for (const stream of this.streams) this.flow(stream);
  }

  async close(): Promise<void> {
    this.agent.destroy();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = request;
    response.on('error', () => undefined);
    try {
      const exchange: Exchange = { method, path, headers, body: await bytesOf(request) };
      const action = await this.options.decide(exchange);
      switch (action.kind) {
        case 'cut':
          return void response.destroy();
        case 'answer':
          response.writeHead(action.status, { 'content-type': 'application/json', ...action.headers });
          return void response.end(action.body);
        default:
          await this.forward(exchange, response, action.kind === 'lose');
      }
    } catch {
      response.destroy();
    }
  }

  private async forward(exchange: Exchange, to: ServerResponse, lose: boolean): Promise<void> {
    const isStream = this.options.isStream?.(exchange) ?? false;
    // It has no end at which its answer could be lost.
    if (isStream && lose) return void to.destroy();
    const from = await this.send(exchange);
    exchange.status = from.statusCode ?? 500;
    if (isStream && exchange.status === 200) return this.stream(from, to);
    exchange.answer = await bytesOf(from);
    await this.options.answered?.(exchange);
    if (lose) return void to.destroy();
    const { 'content-length': _, 'transfer-encoding': __, ...headers } = from.headers;
    to.writeHead(exchange.status, headers);
    to.end(exchange.answer);
  }

  private send({ method, path, headers, body }: Exchange): Promise<IncomingMessage> {
    const url = new URL(path, this.options.upstream);
    const { agent } = this;
    // It may have been changed on its way.
    const length = body.length > 0 ? { 'content-length': body.length } : {};
    return new Promise((resolve, reject) => {
      const request = (url.protocol === 'https:' ? https : http).request(
        url,
        { method, headers: { ...headers, host: url.host, ...length }, agent },
        resolve,
      );
      request.once('error', reject);
      request.end(body);
    });
  }

  private stream(from: IncomingMessage, to: ServerResponse): void {
    const stream = { from, to, flows: false };
    to.writeHead(200, from.headers);
    to.flushHeaders();
    this.streams.add(stream);
    from.once('error', () => to.destroy());
    from.once('aborted', () => to.destroy());
    to.once('close', () => {
      this.streams.delete(stream);
      from.destroy();
    });
    from.on('data', (piece: Buffer) => {
      this.options.streamed?.(piece);
      if (!to.write(piece)) from.pause();
    });
    to.on('drain', () => stream.flows && from.resume());
    from.once('end', () => to.end());
    from.pause();
    this.flow(stream);
  }

  private flow(stream: Stream): void {
    stream.flows = !this.held;
    if (stream.flows) stream.from.resume();
    else stream.from.pause();
  }
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
