import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { Logger } from '../logger.js';

type Done = Parameters<SpanExporter['export']>[1];

const timeoutMs = 5_000;
const complainEveryMs = 60_000;

/** `http://collector:4318` is where a collector listens; its path for traces may be given, too. */
export function tracesUrl(endpoint: string): string {
  const base = endpoint.replace(/\/+$/, '');
  return base.endsWith('/v1/traces') ? base : `${base}/v1/traces`;
}

/** Sends spans as OTLP over HTTP. What cannot be sent is dropped and counted; one line a minute says so. */
export class Exporter implements SpanExporter {
  private readonly otlp: OTLPTraceExporter;
  private dropped = 0;
  private complainedAt = -Infinity;

  constructor(
    private readonly url: string,
    private readonly logger: Logger | undefined,
  ) {
    this.otlp = new OTLPTraceExporter({ url, timeoutMillis: timeoutMs });
  }

  export(spans: ReadableSpan[], done: Done): void {
    this.otlp.export(spans, (result) => {
      if (result.code !== 0) this.failed(spans.length, result.error);
      // The processor has nothing to do about it.
      done({ code: 0 });
    });
  }

  forceFlush(): Promise<void> {
    return this.otlp.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.otlp.shutdown();
  }

  private failed(count: number, error: Error | undefined): void {
    this.dropped += count;
    if (performance.now() - this.complainedAt < complainEveryMs) return;
    this.complainedAt = performance.now();
    this.logger?.warn(
      { url: this.url, dropped: this.dropped, reason: error?.message },
      'spans could not be exported and are dropped; is telemetry.otlpEndpoint a collector that takes OTLP over HTTP?',
    );
    this.dropped = 0;
  }
}
