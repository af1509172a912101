import { ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import { encode } from './encode.js';
import { maxPayloadBytes, type EncodedEvent } from './outgoing.js';

/**
 * An event with its bytes, at most what a message may carry. What does not fit by value is there by reference: the closure of a
 * dynamic node (A-2, C-153) has its URI beside it.
 */
export function fitEvent(event: ExecutionEvent): EncodedEvent {
  const { sequence } = event;
  const bytes = encode(ExecutionEvent, event);
  if (bytes.length <= maxPayloadBytes) return { sequence, bytes, event };
  const lean = encode(ExecutionEvent, withoutClosure(event));
  if (lean.length <= maxPayloadBytes) return { sequence, bytes: lean };
  throw new Error(
    `event ${event.sequence} (${event.event?.$case}) has ${lean.length} bytes, a message takes ${maxPayloadBytes}`,
  );
}

function withoutClosure(event: ExecutionEvent): ExecutionEvent {
  if (event.event?.$case !== 'node') return event;
  const node = event.event.value;
  if (node.targetMetadata?.$case !== 'taskNodeMetadata') return event;
  const metadata = node.targetMetadata.value;
  if (!metadata.dynamicWorkflow) return event;
  return {
    ...event,
    event: {
      $case: 'node',
      value: {
        ...node,
        targetMetadata: {
          $case: 'taskNodeMetadata',
          value: { ...metadata, dynamicWorkflow: { ...metadata.dynamicWorkflow, compiledWorkflow: undefined } },
        },
      },
    },
  };
}
