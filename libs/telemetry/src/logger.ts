import { pino, type DestinationStream, type Logger as PinoLogger, type LoggerOptions as PinoOptions } from 'pino';
import { currentTrace, spanIdOf, traceIdOf } from './trace-context.js';

export type Logger = PinoLogger;

export interface LoggerOptions {
  level?: string;
  pretty?: boolean;
  /** Where lines go (default: standard output). */
  destination?: DestinationStream;
}

/**
 * One structured log per process. Lines carry the trace that they were written in (`trace_id`, `span_id`); those about a run also
 * {@link RunFields}. Secrets and values never reach it.
 */
export function createLogger(name: string, options: LoggerOptions = {}): Logger {
  const settings: PinoOptions = {
    name,
    level: options.level ?? 'info',
    mixin: traceFields,
    redact: [
      '*.password',
      '*.secret',
      '*.token',
      '*.secretAccessKey',
      '*.authorization',
      'password',
      'secret',
      'token',
    ],
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

/** What a line about a run says, so that one search finds them all, whoever wrote them. */
export interface RunFields {
  /** `project/domain/name`. */
  execution: string;
  /** The run's immutable id. */
  run: string;
  node?: string;
  attempt?: number;
}

export function runFields(
  id: { project: string; domain: string; name: string } | undefined,
  uid: string,
  step: { nodeId?: string; retryAttempt?: number } = {},
): RunFields {
  return {
    execution: id ? `${id.project}/${id.domain}/${id.name}` : '',
    run: uid,
    ...(step.nodeId === undefined ? {} : { node: step.nodeId }),
    ...(step.retryAttempt === undefined ? {} : { attempt: step.retryAttempt }),
  };
}

function traceFields(): object {
  const trace = currentTrace();
  return trace ? { trace_id: traceIdOf(trace), span_id: spanIdOf(trace) } : {};
}
