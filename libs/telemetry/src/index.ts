export { ambient, withAmbient, type Ambient } from './ambient.js';
export * from './health.js';
export * from './logger.js';
export * from './metrics.js';
export * from './trace-context.js';
export {
  inSpan,
  recordSpan,
  spanFrom,
  withLinkedSpan,
  withSpan,
  type EndedSpan,
  type OpenSpan,
  type SpanAttributes,
  type SpanOptions,
} from './tracing/spans.js';
export { isRecorded, isTracing, startTracing, type Tracing, type TracingOptions } from './tracing/tracing.js';
