import type { AbortExecution } from '@aloft/idl/aloft/v1/bus';
import { ExecutionError_ErrorKind, type ExecutionError } from '@aloft/idl/flyteidl/core/execution';
import type { RunState } from '../state/run-state.js';
import type { NodeFailure, Scope } from '../state/scope.js';
import { describeDuration, isPositive } from '../time.js';

/** Longest error text that is kept, in characters (C-166). */
const maxMessage = 100 * 1024;
/** Of many failed nodes, so many are listed (C-61), each with so many characters. */
const maxListed = 20;
const maxLine = 4 * 1024;

export function userError(run: RunState, code: string, message: string): ExecutionError {
  return errorOf(run, code, message, ExecutionError_ErrorKind.USER);
}

export function systemError(run: RunState, code: string, message: string): ExecutionError {
  return errorOf(run, code, message, ExecutionError_ErrorKind.SYSTEM);
}

export const causeOf = ({ cause }: AbortExecution): string => cause || 'no cause was given';

/** C-60: of a run that was aborted, with who did it and why. */
export function abortError(run: RunState, command: AbortExecution): ExecutionError {
  const by = command.principal === '' ? '' : ` by ${command.principal}`;
  return userError(run, 'Aborted', `the execution was aborted${by}: ${causeOf(command)}`);
}

/** C-54: of a run that took too long. */
export function timeoutError(run: RunState): ExecutionError {
  const { timeout } = run.settings;
  const limit = isPositive(timeout) ? describeDuration(timeout) : '?';
  return userError(run, 'ExecutionTimeoutExpired', `the execution ran longer than its limit of ${limit}`);
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
  const { failures } = scope;
  if (failures.length === 1) return failures[0]!.error.message;
  const listed = scope.boundedFailures ? failures.slice(0, maxListed) : failures;
  const lines = listed.map(({ nodeId, error }) => `[${nodeId}] ${error.code}: ${shortened(scope, error.message)}`);
  if (listed.length < failures.length) lines.push(`… and ${failures.length - listed.length} more`);
  return cut(`${failures.length} nodes failed:\n${lines.join('\n')}`);
}

function shortened(scope: Scope, message: string): string {
  return scope.boundedFailures && message.length > maxLine ? `${message.slice(0, maxLine)}…` : message;
}

/** Of failures that the list doesn't reach, only which node it was and with what code is kept: its own event has the rest. */
export function keptFailure(scope: Scope, failure: NodeFailure): NodeFailure {
  if (!scope.boundedFailures || scope.failures.length < maxListed) return failure;
  return { ...failure, error: { ...failure.error, message: '' } };
}
