export * from './collector.js';
export type { CollectedSpan } from './otlp.js';
