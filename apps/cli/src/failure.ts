import { AloftError } from '@aloft/errors';

/** What the process ends with. */
export const exitCodes = {
  ok: 0,
  /** The run that was waited for did not succeed. */
  runFailed: 1,
  /** The command, an input or a file is not as it must be. */
  usage: 2,
  /** The platform refused, or does not answer. */
  platform: 3,
} as const;

/** A mistake of whoever called the command, with what to do about it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';

  constructor(
    message: string,
    readonly next?: string,
  ) {
    super(message);
  }
}

export interface Explanation {
  message: string;
  /** What to do about it. */
  next?: string;
  exitCode: number;
  code?: string;
}

/** What went wrong, where, and what to do next. */
export function explain(error: unknown, endpoint: string): Explanation {
  if (error instanceof UsageError) return { message: error.message, next: error.next, exitCode: exitCodes.usage };
  if (error instanceof AloftError) {
    const base = { message: error.message, exitCode: exitCodes.platform, code: error.code };
    switch (error.code) {
      case 'UNAVAILABLE':
        return {
          ...base,
          message: `No platform answers at ${endpoint}.`,
          next: 'Start one with `npm start` (or `aloft start`), or name another with --endpoint host:port or ALOFT_ENDPOINT.',
        };
      case 'DEADLINE_EXCEEDED':
        return {
          ...base,
          next: `The platform at ${endpoint} answers slowly; try again, and look at its log if it stays so.`,
        };
      case 'NOT_FOUND':
        return {
          ...base,
          next: 'See what there is with `aloft get <kind>` or `aloft <noun> list`; --project and --domain say where.',
        };
      case 'UNAUTHENTICATED':
      case 'PERMISSION_DENIED':
        return { ...base, next: 'Ask whoever runs the platform for the role that this needs.' };
      default:
        return base;
    }
  }
  const name = error instanceof Error ? error.name : '';
  const message = error instanceof Error ? error.message : String(error);
  if (['DefinitionError', 'TypeMismatchError'].includes(name)) return { message, exitCode: exitCodes.usage };
  if (name === 'DemoError') return { message, exitCode: exitCodes.runFailed };
  return { message: error instanceof Error ? (error.stack ?? message) : message, exitCode: exitCodes.platform };
}
