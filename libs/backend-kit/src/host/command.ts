import { payloadOf, type IncomingMessage, type OutgoingMessage } from '@aloft/bus';
import { invalidArgument } from '@aloft/errors';
import { type AbortTask, type Envelope, type LaunchTask, type TaskAttempt, TaskCommand } from '@aloft/idl/aloft/v1/bus';
import type { AttemptEntry } from './attempt-entry.js';
import type { AbortRequest, WorkRow } from './work-store.js';

/** What one batch of commands wants written, collected before anything is awaited. */
export interface CommandBatch {
  added: AttemptEntry[];
  rows: WorkRow[];
  aborts: AbortRequest[];
  inline: OutgoingMessage[];
}

export const withoutPayload = ({ payload: _, ...envelope }: Envelope): Omit<Envelope, 'payload'> => envelope;

export type DecodedCommand =
  | { $case: 'launch'; value: LaunchTask & { attempt: TaskAttempt } }
  | { $case: 'abort'; value: AbortTask & { attempt: TaskAttempt } };

export function decodeCommand({ envelope }: IncomingMessage): DecodedCommand {
  const refuse = (what: string) =>
    invalidArgument(`command ${envelope.id} of ${envelope.key}: ${what}; expected an encoded aloft.v1.TaskCommand`);
  if (envelope.type !== 'aloft.v1.TaskCommand') throw refuse(`its type is "${envelope.type}"`);
  let command: TaskCommand['command'];
  try {
    command = payloadOf(envelope, TaskCommand).command;
  } catch (error) {
    throw refuse(`its ${envelope.payload.length} bytes do not decode (${(error as Error).message})`);
  }
  if (!command) throw refuse('it is neither a launch nor an abort');
  const { attempt } = command.value;
  if (!attempt?.name || !attempt.execution) throw refuse('its attempt has no name or no execution');
  if (command.$case === 'launch') {
    if (!command.value.template) throw refuse('its launch has no task template');
    return { $case: 'launch', value: { ...command.value, attempt } };
  }
  return { $case: 'abort', value: { ...command.value, attempt } };
}

/** The launch that a row keeps; `undefined` if it holds none. */
export function launchIn(row: WorkRow): (LaunchTask & { attempt: TaskAttempt }) | undefined {
  const { command } = TaskCommand.decode(row.command.payload);
  if (command?.$case !== 'launch' || !command.value.attempt) return undefined;
  return { ...command.value, attempt: command.value.attempt };
}
