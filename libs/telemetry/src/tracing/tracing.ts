import { createTraceState, ROOT_CONTEXT, trace as api, type Context, type Link, type Span } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  RandomIdGenerator,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  type IdGenerator,
  type Sampler,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import type { Logger } from '../logger.js';
import { isSampled, spanIdOf, traceIdOf, type TraceContext } from '../trace-context.js';
import { Exporter, tracesUrl } from './exporter.js';

export interface TracingOptions {
  /** `aloft-propeller`: the service that spans are shown under. */
  serviceName: string;
  /** Which of its processes. */
  instanceId?: string;
  /** Base URL of a collector, `http://collector:4318`. Without it nothing is recorded, and contexts only travel. */
  otlpEndpoint?: string;
  /** Part of the traces that begin here and are recorded, 0…1 (default 1); those that come in are as their sender decided. */
  sampleRatio?: number;
  /** Told once a minute of what could not be exported. */
  logger?: Logger;
  /** Instead of OTLP, for tests. */
  exporter?: SpanExporter;
  /** Spans waiting to be exported at most (default 16,384): what is beyond is dropped. */
  maxQueued?: number;
  /** Longest time in milliseconds that a span waits for others to be exported with (default 500). */
  delayMs?: number;
}

export interface Tracing {
  /** Resolves when what has ended until now is exported or dropped. Never rejects. */
  flush(): Promise<void>;
  /** Exports what is there and records nothing any more. Never rejects. */
  shutdown(): Promise<void>;
}

/** Random ids but for spans whose id is given: they are created in the same turn. */
class Ids implements IdGenerator {
  next: string | undefined;
  private readonly random = new RandomIdGenerator();

  generateTraceId(): string {
    return this.random.generateTraceId();
  }

  generateSpanId(): string {
    const id = this.next ?? this.random.generateSpanId();
    this.next = undefined;
    return id;
  }
}

/** What the spans of this process are made with. */
export class Recorder {
  readonly ids = new Ids();
  readonly provider: BasicTracerProvider;

  constructor(options: TracingOptions, exporter: SpanExporter) {
    this.provider = new BasicTracerProvider({
      resource: resourceFromAttributes({
        'service.name': options.serviceName,
        ...(options.instanceId ? { 'service.instance.id': options.instanceId } : {}),
      }),
      sampler: sampler(options.sampleRatio ?? 1),
      idGenerator: this.ids,
      spanLimits: { linkCountLimit: 64, attributeValueLengthLimit: 512 },
      spanProcessors: [
        new BatchSpanProcessor(exporter, {
          maxQueueSize: options.maxQueued ?? 16_384,
          maxExportBatchSize: 512,
          scheduledDelayMillis: options.delayMs ?? 500,
          exportTimeoutMillis: 10_000,
        }),
      ],
    });
  }

  start(
    scope: string,
    name: string,
    parent: TraceContext | undefined,
    options: Parameters<ReturnType<BasicTracerProvider['getTracer']>['startSpan']>[1],
  ): Span {
    return this.provider.getTracer(scope).startSpan(name, options, parent ? contextOf(parent) : ROOT_CONTEXT);
  }
}

let recorder: Recorder | undefined;

/** `undefined` while nothing is recorded in this process. */
export const activeRecorder = (): Recorder | undefined => recorder;

/** Whether spans in this trace are recorded here: the question to ask before anything is done only for them. */
export function isRecorded(trace: TraceContext | undefined): boolean {
  return recorder !== undefined && isSampled(trace);
}

/** Whether spans can be recorded in this process at all. */
export const isTracing = (): boolean => recorder !== undefined;

/**
 * Begins to record spans in this process, until `shutdown`. Only one at a time. Without an endpoint it does nothing, and what
 * asks for spans costs next to nothing.
 */
export function startTracing(options: TracingOptions): Tracing {
  const exporter =
    options.exporter ??
    (options.otlpEndpoint ? new Exporter(tracesUrl(options.otlpEndpoint), options.logger) : undefined);
  if (!exporter) return { flush: () => Promise.resolve(), shutdown: () => Promise.resolve() };
  if (recorder) throw new Error('this process records traces already: shut that down first');
  const mine = new Recorder(options, exporter);
  recorder = mine;
  return {
    flush: () => mine.provider.forceFlush().catch(() => undefined),
    shutdown: async () => {
      if (recorder === mine) recorder = undefined;
      // What fails here was reported by the exporter.
      await mine.provider.shutdown().catch(() => undefined);
    },
  };
}

/** As whoever came before decided; what begins here, by ratio; what only has links, if any of those is recorded. */
function sampler(ratio: number): Sampler {
  const byRatio = new TraceIdRatioBasedSampler(ratio);
  return new ParentBasedSampler({
    root: {
      shouldSample(context, traceId, name, kind, attributes, links) {
        if (links.length === 0) return byRatio.shouldSample(context, traceId);
        const sampled = links.some(({ context: { traceFlags } }) => (traceFlags & 1) === 1);
        return { decision: sampled ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD };
      },
      toString: () => `LinkedOr(${byRatio.toString()})`,
    },
  });
}

export function spanContextOf(trace: TraceContext): Link['context'] {
  return {
    traceId: traceIdOf(trace),
    spanId: spanIdOf(trace),
    traceFlags: Number.parseInt(trace.traceparent.slice(53), 16),
    isRemote: true,
    ...(trace.tracestate ? { traceState: createTraceState(trace.tracestate) } : {}),
  };
}

function contextOf(trace: TraceContext): Context {
  return api.setSpanContext(ROOT_CONTEXT, spanContextOf(trace));
}
