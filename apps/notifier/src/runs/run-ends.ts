import { BinaryReader } from '@bufbuild/protobuf/wire';
import type { IncomingMessage } from '@aloft/bus';
import { invalidArgument } from '@aloft/errors';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import { WorkflowExecutionEvent } from '@aloft/idl/flyteidl/event/event';

export type EndPhase = 'SUCCEEDED' | 'FAILED' | 'ABORTED' | 'TIMED_OUT';

export interface RunEnd {
  uid: string;
  org: string;
  project: string;
  domain: string;
  name: string;
  phase: EndPhase;
  error: string;
  /** Of the event that told of it; empty without one. */
  traceparent: string;
  /** When the end became durable. */
  toldAt: Date | null;
}

const endPhases = new Map<Phase, EndPhase>([
  [Phase.SUCCEEDED, 'SUCCEEDED'],
  [Phase.FAILED, 'FAILED'],
  [Phase.ABORTED, 'ABORTED'],
  [Phase.TIMED_OUT, 'TIMED_OUT'],
]);

/** Longest error that is kept: a notification is no log. */
const maxErrorLength = 2_000;

/** The ends of runs among messages of `executions.events`. INVALID_ARGUMENT for one that cannot be read: the bus parks it. */
export function runEndsOf(messages: readonly IncomingMessage[]): RunEnd[] {
  return messages.flatMap(({ envelope }) => {
    if (envelope.type !== 'aloft.v1.ExecutionEvents') return [];
    const { traceparent, time } = envelope;
    const toldAt = time ? new Date(Number(time.seconds) * 1000 + time.nanos / 1e6) : null;
    return workflowEvents(envelope.payload).flatMap((event) => {
      const phase = endPhases.get(event.phase);
      if (phase === undefined) return [];
      const id = event.executionId ?? envelope.execution;
      if (!id) throw invalidArgument(`the event message ${envelope.id} names no execution`);
      const error = event.outputResult?.$case === 'error' ? event.outputResult.value.message : '';
      const { org, project, domain, name } = id;
      const uid = envelope.executionUid || JSON.stringify([org, project, domain, name]);
      return [{ uid, org, project, domain, name, phase, error: error.slice(0, maxErrorLength), traceparent, toldAt }];
    });
  });
}

/** The ends that messages tell of, up to the first message that cannot be read; and how many messages those are. */
export function readableEnds(messages: readonly IncomingMessage[]): { count: number; ends: RunEnd[] } {
  const ends: RunEnd[] = [];
  for (const [count, message] of messages.entries()) {
    try {
      ends.push(...runEndsOf([message]));
    } catch {
      return { count, ends };
    }
  }
  return { count: messages.length, ends };
}

const eventsField = 1;
const workflowField = 2;

/**
 * The workflow events of an encoded `ExecutionEvents`. Node and task events, which are nearly all of the traffic, are skipped
 * without being decoded.
 */
function workflowEvents(payload: Uint8Array): WorkflowExecutionEvent[] {
  const found: WorkflowExecutionEvent[] = [];
  const reader = new BinaryReader(payload);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field !== eventsField) {
      reader.skip(type);
      continue;
    }
    const end = reader.uint32() + reader.pos;
    while (reader.pos < end) {
      const [inner, innerType] = reader.tag();
      if (inner === workflowField) found.push(WorkflowExecutionEvent.decode(reader, reader.uint32()));
      else reader.skip(innerType);
    }
  }
  return found;
}
