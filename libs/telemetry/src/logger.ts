import { pino, type Logger as PinoLogger } from 'pino';

export type Logger = PinoLogger;

/** One structured log per process; lines carry run, node and trace ids by `child()`. Secrets never reach it. */
export function createLogger(name: string, options: { level?: string; pretty?: boolean } = {}): Logger {
  return pino({
    name,
    level: options.level ?? 'info',
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
  });
}
