import { hostname } from 'node:os';
import { ContainerError_Kind, ErrorDocument } from '@aloft/idl/flyteidl/core/errors';
import { ExecutionError_ErrorKind } from '@aloft/idl/flyteidl/core/execution';

/** Longest message, in characters: error texts are limited to 100 KB (C-166). */
const longest = 24_000;

/**
 * The verdict of a failed attempt (C-170). A task's own errors end it for good, except RecoverableError; failures of the
 * platform around it (storage, a broken bundle) may be tried again and do not count against the author's retries.
 */
export function errorDocument(thrown: unknown, now: Date): ErrorDocument {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const marks = error as { recoverable?: unknown; origin?: unknown };
  const system = marks.origin === 'system';
  const message = messageOf(error);
  return ErrorDocument.fromPartial({
    error: {
      code: `${system ? 'SYSTEM' : 'USER'}:${error.name || 'Error'}`,
      message: message.length > longest ? `${message.slice(0, longest)}\n… (${message.length} characters)` : message,
      kind:
        system || marks.recoverable === true ? ContainerError_Kind.RECOVERABLE : ContainerError_Kind.NON_RECOVERABLE,
      origin: system ? ExecutionError_ErrorKind.SYSTEM : ExecutionError_ErrorKind.USER,
      timestamp: {
        seconds: BigInt(Math.floor(now.getTime() / 1000)),
        nanos: (now.getTime() % 1000) * 1e6,
      },
      worker: hostname(),
    },
  });
}

function messageOf(error: Error, depth = 0): string {
  const own = error.stack?.includes(error.message)
    ? error.stack
    : `${error.name}: ${error.message}\n${error.stack ?? ''}`;
  return error.cause instanceof Error && depth < 5 ? `${own}\nCaused by: ${messageOf(error.cause, depth + 1)}` : own;
}
