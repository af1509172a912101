import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { decodeTraces, type CollectedSpan } from './otlp.js';

/** An OpenTelemetry collector for tests: takes OTLP over HTTP (protobuf) and keeps it. */
export class Collector {
  /** By trace and span id: what is exported twice is one span, the later wins. */
  private readonly byId = new Map<string, CollectedSpan>();
  private readonly listeners = new Set<() => void>();

  private constructor(private readonly server: Server) {}

  /** On a free port of this machine, or the one that is given. */
  static async start(port = 0): Promise<Collector> {
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (request.url !== '/v1/traces') return void response.writeHead(404).end();
        collector.add(decodeTraces(Buffer.concat(chunks)));
        response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
      });
    });
    const collector = new Collector(server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return collector;
  }

  /** For `telemetry.otlpEndpoint`. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get spans(): CollectedSpan[] {
    return [...this.byId.values()];
  }

  trace(traceId: string): CollectedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }

  /** Resolves when what has been collected until then fulfils `condition`; rejects after `timeoutMs`, saying what is there. */
  async until(condition: (spans: CollectedSpan[]) => boolean, what: string, timeoutMs = 20_000): Promise<void> {
    if (condition(this.spans)) return;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.listeners.delete(look);
        const names = [...new Set(this.spans.map(({ name }) => name))].join(', ');
        reject(new Error(`not collected within ${timeoutMs} ms: ${what}; there are ${this.byId.size} spans: ${names}`));
      }, timeoutMs);
      const look = () => {
        if (!condition(this.spans)) return;
        clearTimeout(timer);
        this.listeners.delete(look);
        resolve();
      };
      this.listeners.add(look);
    });
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private add(spans: readonly CollectedSpan[]): void {
    for (const span of spans) this.byId.set(`${span.traceId}/${span.spanId}`, span);
    for (const listener of [...this.listeners]) listener();
  }
}
