import { ExecutionError_ErrorKind, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import type { RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';

/** Longest error text that is kept, in characters (C-166). */
const maxMessage = 100 * 1024;

export function userError(run: RunState, code: string, message: string): ExecutionError {
  return errorOf(run, code, message, ExecutionError_ErrorKind.USER);
}

export function systemError(run: RunState, code: string, message: string): ExecutionError {
  return errorOf(run, code, message, ExecutionError_ErrorKind.SYSTEM);
}

function errorOf(run: RunState, code: string, message: string, kind: ExecutionError_ErrorKind): ExecutionError {
  return { code, message: cut(message), errorUri: '', kind, timestamp: run.now, worker: '' };
}

export function cut(message: string): string {
  return message.length <= maxMessage ? message : `${message.slice(0, maxMessage)}… (${message.length} characters)`;
}

/** The error of a scope: that of its one failure, or of the first with a list of all (C-61 Ours). */
export function scopeError(scope: Scope): ExecutionError {
  const first = scope.failures[0]!;
  if (scope.failures.length === 1) return first.error;
  return { ...first.error, message: failureMessage(scope) };
}

export function failureMessage(scope: Scope): string {
  const first = scope.failures[0]!;
  if (scope.failures.length === 1) return first.error.message;
  const lines = scope.failures.map(({ nodeId, error }) => `[${nodeId}] ${error.code}: ${error.message}`);
  return cut(`${scope.failures.length} nodes failed:\n${lines.join('\n')}`);
}
