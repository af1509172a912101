import { executionKey, type IncomingMessage } from '@aloft/bus';
import { AloftError, invalidArgument } from '@aloft/errors';
import { ExecutionCommand, TaskReport, type StartExecution } from '@aloft/idl/aloft/v1/bus';
import type { EngineInput } from '@aloft/idl/aloft/v1/engine';

/** Payload schema that this code reads. */
export const readerVersion = 1;

export interface DecodedMessage {
  uid: string;
  input: EngineInput;
  encoded?: { field: number; bytes: Uint8Array };
  /** Set when the message starts a run. */
  start?: StartExecution;
}

/** A message that only a newer binary understands: nothing of its stream may be read on, let alone skipped. */
export class ReaderTooOld extends AloftError {
  constructor(message: IncomingMessage) {
    const { id, type, minReaderVersion } = message.envelope;
    super(
      'FAILED_PRECONDITION',
      `message ${id} (${type}) of ${message.stream.topic}[${message.stream.partition}] needs a reader of version ` +
        `${minReaderVersion}, this one has ${readerVersion}: start a binary at least as new as its producer`,
    );
  }
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const taskReportedField = 2;

/**
 * The input that a message is to its run. INVALID_ARGUMENT (the message is parked with that reason) when it is not what its
 * topic carries; {@link ReaderTooOld} stops the stream.
 */
export function decodeMessage(message: IncomingMessage): DecodedMessage {
  const { envelope } = message;
  if (envelope.minReaderVersion > readerVersion) throw new ReaderTooOld(message);
  const uid = envelope.executionUid.toLowerCase();
  if (!uuid.test(uid)) throw invalidArgument(`execution_uid "${envelope.executionUid}" is not a UUID`);
  switch (envelope.type) {
    case 'aloft.v1.TaskReport': {
      const report = decoded(message, TaskReport);
      if (!report.attempt) throw invalidArgument('task report without an attempt');
      if (report.attempt.executionUid.toLowerCase() !== uid) {
        throw invalidArgument(`task report about run ${report.attempt.executionUid} in an envelope of run ${uid}`);
      }
      return {
        uid,
        input: { input: { $case: 'taskReported', value: report } },
        encoded: { field: taskReportedField, bytes: envelope.payload },
      };
    }
    case 'aloft.v1.ExecutionCommand':
      return commandInput(uid, message);
    default:
      throw invalidArgument(
        `type "${envelope.type}" is not one that ${message.stream.topic} carries ` +
          '(aloft.v1.ExecutionCommand, aloft.v1.TaskReport)',
      );
  }
}

function commandInput(uid: string, message: IncomingMessage): DecodedMessage {
  const { command } = decoded(message, ExecutionCommand);
  switch (command?.$case) {
    case 'start': {
      const start = command.value;
      if (start.uid.toLowerCase() !== uid) throw invalidArgument(`start of run ${start.uid} in an envelope of ${uid}`);
      if (!start.id) throw invalidArgument('start command without an id');
      if (executionKey(start.id) !== message.envelope.key) {
        throw invalidArgument(`start of "${executionKey(start.id)}" under the key "${message.envelope.key}"`);
      }
      if (start.closureDigest.length !== 32) {
        throw invalidArgument(`closure_digest has ${start.closureDigest.length} bytes, SHA-256 has 32`);
      }
      if (start.closureUri === '') throw invalidArgument('start command without a closure_uri');
      if (!start.settings || start.settings.rawOutputPrefix === '') {
        throw invalidArgument('start command without settings.raw_output_prefix');
      }
      return { uid, input: { input: { $case: 'started', value: start } }, start };
    }
    case 'abort':
      return { uid, input: { input: { $case: 'abortRequested', value: command.value } } };
    case 'signal':
      return { uid, input: { input: { $case: 'signalSet', value: command.value } } };
    case 'childEnded':
      return { uid, input: { input: { $case: 'childEnded', value: command.value } } };
    case 'controlNode':
      if (command.value.commandId === '') throw invalidArgument('node control without a command_id');
      return { uid, input: { input: { $case: 'nodeControlled', value: command.value } } };
    default:
      throw invalidArgument('execution command without a command (start, abort, signal, child_ended or control_node)');
  }
}

function decoded<T>({ envelope }: IncomingMessage, codec: { decode(bytes: Uint8Array): T }): T {
  try {
    // Never what its publisher had in mind: a replay of the log has the bytes only, and must come to the same.
    return codec.decode(envelope.payload);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw invalidArgument(`payload of ${envelope.payload.length} bytes is not a ${envelope.type}: ${why}`, {
      cause: error,
    });
  }
}
