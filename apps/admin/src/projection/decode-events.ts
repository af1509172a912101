import { payloadOf, type IncomingMessage } from '@aloft/bus';
import { invalidArgument } from '@aloft/errors';
import { ExecutionEvents, type Envelope, type ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import { isTerminalExecution } from './phases.js';

export const eventsTopic = 'executions.events';
export const eventsType = 'aloft.v1.ExecutionEvents';

/** What a message says, not to be changed. INVALID_ARGUMENT if it is not what its topic carries. */
export function decodeMessage(envelope: Envelope): ExecutionEvents {
  if (envelope.type !== eventsType)
    throw invalidArgument(`message ${envelope.id} of ${eventsTopic} is a ${envelope.type}; ${eventsType} is expected`);
  return payloadOf(envelope, ExecutionEvents);
}

/** The events of a message; as {@link decodeMessage}. */
export const decodeEvents = (envelope: Envelope): readonly ExecutionEvent[] => decodeMessage(envelope).events;

/** Last sequences by execution uid of messages whose events the read model has already. */
export function projectedSequences(messages: readonly IncomingMessage[]): ReadonlyMap<string, bigint> {
  return new Map(
    messages.flatMap(({ envelope }): [string, bigint][] => {
      const { events, projected } = decodeMessage(envelope);
      const last = events.at(-1);
      return projected && last ? [[envelope.executionUid, last.sequence]] : [];
    }),
  );
}

/** Somebody may wait for the read model to have it: a run ends, a gate opens, a run is set aside. */
export function isAwaited(envelope: Envelope): boolean {
  try {
    return decodeEvents(envelope).some(({ event }) =>
      event?.$case === 'workflow'
        ? isTerminalExecution(event.value.phase)
        : event?.$case === 'gateReached' || event?.$case === 'quarantined',
    );
  } catch {
    // Whoever applies it says why it can't.
    return true;
  }
}
