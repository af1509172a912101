import { type ExecutionError, ExecutionError_ErrorKind, TaskExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import { errorMapping, toAloftError } from '@aloft/errors';
import type { TaskOutcome } from '@aloft/idl/aloft/v1/bus';
import type { PhaseReport } from '../contract.js';
import { timestampOf } from './timestamp.js';

const terminal: ReadonlySet<TaskExecution_Phase> = new Set([
  TaskExecution_Phase.SUCCEEDED,
  TaskExecution_Phase.FAILED,
  TaskExecution_Phase.RETRYABLE_FAILED,
  TaskExecution_Phase.ABORTED,
]);

export const isTerminal = (phase: TaskExecution_Phase): boolean => terminal.has(phase);

/** C-166: error text is at most 100 KB (in UTF-8); its beginning and its end say most. */
const maxMessageBytes = 100_000;

export function clip(message: string): string {
  if (message.length <= maxMessageBytes / 3) return message;
  const bytes = Buffer.from(message);
  if (bytes.length <= maxMessageBytes) return message;
  const kept = maxMessageBytes / 2 - 100;
  const [head, tail] = [bytes.subarray(0, kept), bytes.subarray(-kept)].map((part) => part.toString('utf8'));
  // Where a character was cut, its remains decode as U+FFFD.
  return `${head?.replace(/\uFFFD+$/, '')}\n… ${bytes.length - 2 * kept} bytes left out …\n${tail?.replace(/^\uFFFD+/, '')}`;
}

export interface FailureFields {
  code: string;
  message: string;
  kind: 'USER' | 'SYSTEM' | 'UNKNOWN';
  /** Whether another attempt may be worth it. */
  retryable: boolean;
  errorUri?: string;
  worker?: string;
  at?: Date;
  deckUri?: string;
}

export function failure(fields: FailureFields): PhaseReport & { outcome: TaskOutcome } {
  const error: ExecutionError = {
    code: fields.code,
    message: clip(fields.message),
    errorUri: fields.errorUri ?? '',
    kind: ExecutionError_ErrorKind[fields.kind],
    timestamp: fields.at && timestampOf(fields.at),
    worker: fields.worker ?? '',
  };
  return {
    phase: fields.retryable ? TaskExecution_Phase.RETRYABLE_FAILED : TaskExecution_Phase.FAILED,
    reason: fields.message.length > 300 ? `${fields.message.slice(0, 300)}…` : fields.message,
    outcome: { result: { $case: 'error', value: error }, deckUri: fields.deckUri ?? '', checkpointUri: '' },
  };
}

/** What a plugin threw, as the end of the attempt: mistakes of the task's author are the user's, the rest the system's. */
export function failureOf(thrown: unknown, code: string, doing: string): PhaseReport & { outcome: TaskOutcome } {
  const error = toAloftError(thrown);
  const user = errorMapping[error.code].http < 500 && error.code !== 'CANCELLED' && error.code !== 'ABORTED';
  return failure({
    code,
    message: `${doing}: ${error.message}`,
    kind: user ? 'USER' : 'SYSTEM',
    retryable: !user,
  });
}
