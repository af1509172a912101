import { executionKey, maxMessageBytes, rememberPayload, shardOf, type OutgoingMessage } from '@aloft/bus';
import {
  TaskCommand,
  ExecutionCommand,
  TaskReport,
  type ChildEnded,
  type ExecutionEvent,
  type ExecutionEvents,
  type TaskAttempt,
} from '@aloft/idl/aloft/v1/bus';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import type { TraceContext } from '@aloft/telemetry';
import { BinaryWriter } from '@aloft/idl/wire';
import { launchTrace } from '../trace/run-trace.js';
import { encode, encodeBytes } from './encode.js';
import type { RunIdentity } from './run-identity.js';

/** Room that a payload leaves for its envelope. */
export const maxPayloadBytes = maxMessageBytes - 8 * 1024;

export const topics = {
  commands: 'executions.commands',
  reports: 'tasks.reports',
  events: 'executions.events',
  tasks: (backend: string) => `tasks.commands.${backend}`,
} as const;

interface Content {
  id: string;
  type: string;
  key: string;
  payload: Uint8Array;
  generation?: number;
  time: Timestamp;
  /** Default: the run's. */
  trace?: TraceContext;
}

function message(topic: string, run: RunIdentity, content: Content): OutgoingMessage {
  const { traceparent, tracestate = '' } = content.trace ?? run.trace;
  return {
    topic,
    envelope: {
      id: content.id,
      type: content.type,
      schemaVersion: 1,
      minReaderVersion: 1,
      key: content.key,
      execution: run.id,
      executionUid: run.uid,
      shard: run.shard,
      traceparent,
      tracestate,
      principal: run.principal,
      generation: content.generation ?? 0,
      time: content.time,
      payload: Buffer.from(content.payload.buffer, content.payload.byteOffset, content.payload.byteLength),
    },
  };
}

/** One event, encoded, as it stands in the list of an ExecutionEvents message. */
export interface EncodedEvent {
  sequence: bigint;
  bytes: Uint8Array;
  /** What `bytes` encode, where that is at hand. */
  event?: ExecutionEvent;
}

/**
 * The events of one run from one commit, as few messages as fit (at most 256 KiB each). Each is named after its first event,
 * so that a repeat is recognisable.
 */
export function eventMessages(run: RunIdentity, events: readonly EncodedEvent[], time: Timestamp): OutgoingMessage[] {
  const messages: OutgoingMessage[] = [];
  let writer = new BinaryWriter();
  let values: (ExecutionEvent | undefined)[] = [];
  let size = 0;
  let first = events[0];
  const flush = () => {
    if (first === undefined) return;
    const outgoing = message(topics.events, run, {
      id: `${run.uid}:event:${first.sequence}`,
      type: 'aloft.v1.ExecutionEvents',
      key: run.key,
      payload: writer.finish(),
      time,
    });
    const events = values.filter((value) => value !== undefined);
    if (events.length === values.length)
      rememberPayload(outgoing.envelope, { events, projected: false } satisfies ExecutionEvents);
    messages.push(outgoing);
  };
  for (const event of events) {
    const added = event.bytes.length + 6;
    if (size > 0 && size + added > maxPayloadBytes) {
      flush();
      writer = new BinaryWriter();
      values = [];
      size = 0;
      first = event;
    }
    writer.uint32(10).bytes(event.bytes);
    values.push(event.event);
    size += added;
  }
  flush();
  return messages;
}

/** Names an attempt over all runs and times: its own name is unique within its run only. */
export function attemptKey({ executionUid, name }: TaskAttempt): string {
  return `${executionUid}/${name}`;
}

/** `TaskCommand.launch`, as a tag. */
const launchField = (1 << 3) | 2;

export function taskCommand(
  run: RunIdentity,
  backend: string,
  command: NonNullable<TaskCommand['command']>,
  time: Timestamp,
  /** Writes the launch, where most of its bytes are at hand. */
  encodeLaunch?: (writer: BinaryWriter) => void,
): OutgoingMessage {
  const attempt = command.value.attempt!;
  const built: TaskCommand = { command };
  const payload = encodeLaunch
    ? encodeBytes((writer) => {
        encodeLaunch(writer.uint32(launchField).fork());
        writer.join();
      })
    : encode(TaskCommand, built);
  const outgoing = message(topics.tasks(backend), run, {
    id: `${attemptKey(attempt)}:${attempt.generation}:${command.$case}`,
    type: 'aloft.v1.TaskCommand',
    key: attempt.name,
    payload,
    generation: attempt.generation,
    time,
    trace: launchTrace(run, attempt),
  });
  rememberPayload(outgoing.envelope, built);
  return outgoing;
}

/** A report that the propeller makes itself, for an attempt that no backend has got. */
export function ownReport(run: RunIdentity, report: TaskReport, time: Timestamp, what = 'refused'): OutgoingMessage {
  const attempt = report.attempt!;
  return message(topics.reports, run, {
    id: `${attemptKey(attempt)}:${attempt.generation}:${what}`,
    type: 'aloft.v1.TaskReport',
    key: run.key,
    payload: encode(TaskReport, report),
    generation: attempt.generation,
    time,
  });
}

/** The end of a child, told to its parent: keyed and sharded by the parent. */
export function childEnded(run: RunIdentity, ended: ChildEnded, time: Timestamp): OutgoingMessage {
  const parent = ended.parent!;
  const key = executionKey(parent.execution!);
  const outgoing = message(topics.commands, run, {
    id: `${run.uid}:ended`,
    type: 'aloft.v1.ExecutionCommand',
    key,
    payload: ExecutionCommand.encode({ command: { $case: 'childEnded', value: ended } }).finish(),
    time,
  });
  outgoing.envelope.execution = parent.execution;
  outgoing.envelope.executionUid = parent.executionUid;
  outgoing.envelope.shard = shardOf(key);
  return outgoing;
}

/** What the propeller's role has to be allowed to publish to (`%` stands for any backend). */
export const propellerTopics: readonly string[] = [topics.commands, topics.reports, topics.events, topics.tasks('%')];
