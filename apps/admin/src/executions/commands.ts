import { envelope, type OutgoingMessage } from '@aloft/bus';
import { ExecutionCommand } from '@aloft/idl/aloft/v1/bus';
import type { WorkflowExecutionIdentifier } from '@aloft/idl/flyteidl/core/identifier';
import { currentTrace } from '@aloft/telemetry';

export const commandsTopic = 'executions.commands';

/** A command for the propeller; `id` is derived from its cause, so that a repeat is recognisable. */
export function executionCommand(
  id: string,
  execution: WorkflowExecutionIdentifier,
  executionUid: string,
  principal: string,
  command: ExecutionCommand['command'],
): OutgoingMessage {
  const trace = currentTrace();
  return {
    topic: commandsTopic,
    envelope: envelope({
      id,
      type: 'aloft.v1.ExecutionCommand',
      payload: ExecutionCommand.encode({ command }).finish(),
      execution,
      executionUid,
      principal,
      traceparent: trace?.traceparent,
      tracestate: trace?.tracestate,
    }),
  };
}
