import { toAloftError } from '@aloft/errors';
import { SpanKind, SpanStatusCode, type Span } from '@opentelemetry/api';
import { currentTrace, isSampled, newTrace, spanIdOf, withTrace, type TraceContext } from '../trace-context.js';
import { activeRecorder, isRecorded, spanContextOf } from './tracing.js';

/** Names, ids, counts: never values of inputs, outputs or secrets. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanOptions {
  kind?: keyof typeof kinds;
  /** What it follows from without being part of it: the messages of a batch. The first 32 count. */
  links?: readonly TraceContext[];
  /** The part of Aloft that tells of it: `aloft.bus`. */
  scope?: string;
}

/** A span that was begun and has to be ended. In an unrecorded trace it does nothing but carry the context. */
export interface OpenSpan {
  /** Its context, for what it causes. */
  readonly trace: TraceContext;
  readonly recorded: boolean;
  set(attributes: SpanAttributes): void;
  event(name: string, attributes?: SpanAttributes): void;
  /** Marks it as failed, by the error's code: messages may hold values. */
  fail(error: unknown): void;
  end(): void;
}

const kinds = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

const defaultScope = 'aloft';
const maxLinks = 32;

/** Begins a span under `parent`; `undefined`: a trace of its own, recorded or not as the ratio (or its links) decide. */
export function spanFrom(
  parent: TraceContext | undefined,
  name: string,
  attributes: SpanAttributes = {},
  options: SpanOptions = {},
): OpenSpan {
  const recorder = activeRecorder();
  if (!recorder || (parent && !isSampled(parent))) return unrecorded(parent ?? newTrace());
  const span = recorder.start(options.scope ?? defaultScope, name, parent, {
    kind: kinds[options.kind ?? 'internal'],
    attributes,
    links: options.links?.slice(0, maxLinks).map((link) => ({ context: spanContextOf(link) })),
  });
  const { traceId, spanId, traceFlags } = span.spanContext();
  const traceparent = `00-${traceId}-${spanId}-${(traceFlags & 1) === 1 ? '01' : '00'}`;
  const trace = parent?.tracestate ? { traceparent, tracestate: parent.tracestate } : { traceparent };
  return span.isRecording() ? new RecordedSpan(span, trace) : unrecorded(trace);
}

/**
 * Does `work` within a span of the current trace, ended when its promise is; a failure marks it and goes on. In a trace that isn't
 * recorded, or in none, only the work is done.
 */
export function withSpan<T>(
  name: string,
  attributes: SpanAttributes,
  work: (span: OpenSpan | undefined) => T,
  options?: SpanOptions,
): T {
  const parent = currentTrace();
  if (!isRecorded(parent)) return work(undefined);
  return inSpan(spanFrom(parent, name, attributes, options), work);
}

/**
 * Does `work` within a span about several messages: part of their trace if they have one in common, else in a trace of its own that is
 * linked to theirs.
 */
export function withLinkedSpan<T>(
  traces: readonly TraceContext[],
  name: string,
  attributes: SpanAttributes,
  work: (span: OpenSpan | undefined) => T,
  options?: SpanOptions,
): T {
  if (!activeRecorder()) return work(undefined);
  const distinct = new Map<string, TraceContext>();
  for (const trace of traces) if (isSampled(trace)) distinct.set(trace.traceparent, trace);
  const [first] = distinct.values();
  if (!first) return work(undefined);
  const links = [...distinct.values()];
  const span =
    links.length === 1
      ? spanFrom(first, name, attributes, options)
      : spanFrom(undefined, name, { ...attributes, 'aloft.linked': links.length }, { ...options, links });
  return inSpan(span, work);
}

/** Does `work` in the context of a span begun by {@link spanFrom} and ends it. */
export function inSpan<T>(span: OpenSpan, work: (span: OpenSpan) => T): T {
  let result: T;
  try {
    result = withTrace(span.trace, () => work(span));
  } catch (error) {
    span.fail(error);
    span.end();
    throw error;
  }
  if (!(result instanceof Promise)) {
    span.end();
    return result;
  }
  return result.then(
    (value: unknown) => {
      span.end();
      return value;
    },
    (error: unknown) => {
      span.fail(error);
      span.end();
      throw error;
    },
  ) as T;
}

/** A span that is over, told by whoever knows of its end. */
export interface EndedSpan {
  name: string;
  /** Its own context, as {@link deriveTrace} made it. */
  trace: TraceContext;
  parent: TraceContext;
  /** Milliseconds since the epoch. */
  start: number;
  end: number;
  attributes: SpanAttributes;
  /** Why it failed, by code. */
  failure?: string;
  kind?: SpanOptions['kind'];
  scope?: string;
}

/** Records a span that is over. Twice is harmless: it is the same span, by its ids. */
export function recordSpan(ended: EndedSpan): void {
  const recorder = activeRecorder();
  if (!recorder || !isSampled(ended.trace)) return;
  recorder.ids.next = spanIdOf(ended.trace);
  const span = recorder.start(ended.scope ?? defaultScope, ended.name, ended.parent, {
    kind: kinds[ended.kind ?? 'internal'],
    attributes: ended.attributes,
    startTime: timeOf(ended.start),
  });
  if (ended.failure !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: ended.failure });
  span.end(timeOf(Math.max(ended.start, ended.end)));
}

/** As seconds and nanoseconds: a bare number may be taken for one of this process's own clock. */
function timeOf(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}

class RecordedSpan implements OpenSpan {
  readonly recorded = true;

  constructor(
    private readonly span: Span,
    readonly trace: TraceContext,
  ) {}

  set(attributes: SpanAttributes): void {
    if (this.span.isRecording()) this.span.setAttributes(attributes);
  }

  event(name: string, attributes?: SpanAttributes): void {
    this.span.addEvent(name, attributes);
  }

  fail(error: unknown): void {
    this.span.setStatus({ code: SpanStatusCode.ERROR, message: toAloftError(error).code });
  }

  end(): void {
    if (this.span.isRecording()) this.span.end();
  }
}

const nothing = (): void => undefined;

function unrecorded(trace: TraceContext): OpenSpan {
  return { trace, recorded: false, set: nothing, event: nothing, fail: nothing, end: nothing };
}
