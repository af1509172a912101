import { executionKey, type OutgoingMessage } from '@aloft/bus';
import { Envelope, TaskReport } from '@aloft/idl/aloft/v1/bus';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { attemptKey } from './attempt-key.js';

const topic = 'tasks.reports';

/** A report in its envelope: same run, shard, trace and principal as the command that it answers. */
export function reportMessage(command: Omit<Envelope, 'payload'>, report: TaskReport): OutgoingMessage {
  const attempt = report.attempt as NonNullable<TaskReport['attempt']>;
  const execution = attempt.execution as WorkflowExecutionIdentifier;
  return {
    topic,
    envelope: {
      id: `${attemptKey(attempt)}/${attempt.generation}/${report.phase}.${report.phaseVersion}`,
      type: 'aloft.v1.TaskReport',
      schemaVersion: 1,
      minReaderVersion: 1,
      key: executionKey(execution),
      execution,
      executionUid: attempt.executionUid,
      shard: command.shard,
      traceparent: command.traceparent,
      tracestate: command.tracestate,
      principal: command.principal,
      generation: attempt.generation,
      time: report.occurredAt,
      payload: TaskReport.encode(report).finish() as Buffer,
    },
  };
}

/** Several messages as one value, each with its length before it. */
export function packMessages(messages: readonly OutgoingMessage[]): Uint8Array {
  const encoded = messages.map(({ envelope }) => Envelope.encode(envelope).finish());
  const packed = Buffer.allocUnsafe(encoded.reduce((sum, bytes) => sum + 4 + bytes.length, 0));
  let at = 0;
  for (const bytes of encoded) {
    at = packed.writeUInt32LE(bytes.length, at);
    packed.set(bytes, at);
    at += bytes.length;
  }
  return packed;
}

export function unpackMessages(packed: Uint8Array): OutgoingMessage[] {
  const view = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  const messages: OutgoingMessage[] = [];
  for (let at = 0; at < view.length;) {
    const length = view.readUInt32LE(at);
    messages.push({ topic, envelope: Envelope.decode(view.subarray(at + 4, at + 4 + length)) });
    at += 4 + length;
  }
  return messages;
}
