import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Kube } from './kube.js';

/** `lose`: it is done, and nobody hears of it. */
export type Fate = 'pass' | 'throttle' | 'fail' | 'lose' | 'cut' | 'expired';

/** Between a client and an API server: what happens to its requests is up to a test. */
export class FaultyProxy {
  /** Asked for each request. */
  fate: (method: string, path: string) => Fate | Promise<Fate> = () => 'pass';
  readonly requests: { method: string; path: string; fate: Fate }[] = [];
  kubeconfig = '';
  private readonly watches = new Set<ServerResponse>();
  private readonly agent = new https.Agent({ keepAlive: true, rejectUnauthorized: false });
  private readonly server = http.createServer((request, response) => void this.handle(request, response));

  private constructor(private readonly kube: Pick<Kube, 'url' | 'token'>) {}

  static async open(kube: Pick<Kube, 'url' | 'token'>, dir: string): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(kube);
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.server.address() as AddressInfo;
    proxy.kubeconfig = join(dir, `proxy-${port}.json`);
    const server = { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'proxy', cluster: server }],
      users: [{ name: 'admin', user: { token: kube.token } }],
      contexts: [{ name: 'proxy', context: { cluster: 'proxy', user: 'admin' } }],
      'current-context': 'proxy',
    };
    writeFileSync(proxy.kubeconfig, JSON.stringify(config));
    return proxy;
  }

  /** Breaks every watch that is open; resolves to how many. */
  cutWatches(): number {
    const open = [...this.watches];
    for (const response of open) response.destroy();
    return open.length;
  }

  count(method: string, part: string): number {
    return this.requests.filter((request) => request.method === method && request.path.includes(part)).length;
  }

  async close(): Promise<void> {
    this.agent.destroy();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const fate = await this.fate(method, url);
    this.requests.push({ method, path: url, fate });
    switch (fate) {
      case 'throttle':
        return void answer(response, 429, 'TooManyRequests', { 'retry-after': '0' });
      case 'fail':
        return void answer(response, 503, 'ServiceUnavailable');
      case 'expired':
        return void answer(response, 410, 'Expired');
      case 'cut':
        return void response.destroy();
      case 'lose':
        // A watch has no end at which its answer could be lost.
        if (/[?&]watch=/.test(url)) return void response.destroy();
        return this.forward(method, url, request, Buffer.concat(chunks), response, true);
      default:
        this.forward(method, url, request, Buffer.concat(chunks), response, false);
    }
  }

  private forward(
    method: string,
    url: string,
    from: IncomingMessage,
    body: Buffer,
    to: ServerResponse,
    lose: boolean,
  ): void {
    const headers = { ...from.headers, host: new URL(this.kube.url).host };
    const upstream = https.request(`${this.kube.url}${url}`, { method, headers, agent: this.agent }, (answered) => {
      if (lose) {
        answered.resume();
        answered.once('end', () => to.destroy());
        return;
      }
      to.writeHead(answered.statusCode ?? 500, answered.headers);
      to.flushHeaders();
      answered.pipe(to);
      answered.once('error', () => to.destroy());
      if (!/[?&]watch=/.test(url)) return;
      this.watches.add(to);
      to.once('close', () => {
        this.watches.delete(to);
        upstream.destroy();
      });
    });
    upstream.once('error', () => to.destroy());
    upstream.end(body);
  }
}

function answer(response: ServerResponse, code: number, reason: string, headers: Record<string, string> = {}): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(
    JSON.stringify({
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      reason,
      code,
      message: 'the test wants it so',
    }),
  );
}
