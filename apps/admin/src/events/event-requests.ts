import { invalidArgument } from '@aloft/errors';
import type { ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import type {
  NodeExecutionEventRequest,
  TaskExecutionEventRequest,
  WorkflowExecutionEventRequest,
} from '@aloft/idl/flyteidl/admin/event';
import {
  NodeExecution_Phase as NodePhase,
  TaskExecution_Phase as TaskPhase,
  WorkflowExecution_Phase as Phase,
} from '@aloft/idl/flyteidl/core/execution';
import { ResourceType } from '@aloft/idl/flyteidl/core/identifier';
import type { NodeExecutionEvent, TaskExecutionEvent, WorkflowExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { requireExecutionId, requireIdentifier, requirePart, type NameKey } from '../registry/identifiers.js';

/** What a foreign engine tells of a run. */
export type RunEvent = Extract<NonNullable<ExecutionEvent['event']>, { $case: 'workflow' | 'node' | 'task' }>;

export interface ForeignEvent {
  key: NameKey;
  producer: string;
  told: RunEvent;
}

/** INVALID_ARGUMENT names the field that is missing or wrong. */
export function workflowEvent({ event }: WorkflowExecutionEventRequest): ForeignEvent {
  const value: WorkflowExecutionEvent = required(event);
  const key = requireExecutionId(value.executionId, 'event.execution_id');
  requirePhase(value.phase, Phase);
  requireTime(value.occurredAt, 'event.occurred_at');
  return { key, producer: value.producerId, told: { $case: 'workflow', value } };
}

/** */
export function nodeEvent({ event }: NodeExecutionEventRequest): ForeignEvent {
  const value: NodeExecutionEvent = required(event);
  const key = requireExecutionId(value.id?.executionId, 'event.id.execution_id');
  requirePart(value.id?.nodeId ?? '', 'event.id.node_id');
  requirePhase(value.phase, NodePhase);
  requireTime(value.occurredAt, 'event.occurred_at');
  if (value.targetMetadata?.$case === 'workflowNodeMetadata')
    requireExecutionId(
      value.targetMetadata.value.executionId,
      'event.target_metadata.workflow_node_metadata.execution_id',
    );
  return { key, producer: value.producerId, told: { $case: 'node', value } };
}

/** */
export function taskEvent({ event }: TaskExecutionEventRequest): ForeignEvent {
  const value: TaskExecutionEvent = required(event);
  const node = value.parentNodeExecutionId;
  const key = requireExecutionId(node?.executionId, 'event.parent_node_execution_id.execution_id');
  requirePart(node?.nodeId ?? '', 'event.parent_node_execution_id.node_id');
  requireIdentifier(value.taskId, ResourceType.TASK, 'event.task_id');
  requirePhase(value.phase, TaskPhase);
  requireTime(value.occurredAt, 'event.occurred_at');
  if (value.retryAttempt > maxAttempt)
    throw invalidArgument(`event.retry_attempt: ${value.retryAttempt}; at most ${maxAttempt} is possible`);
  for (const [i, { occurredAt }] of value.reasons.entries())
    if (occurredAt) requireTime(occurredAt, `event.reasons[${i}].occurred_at`);
  return { key, producer: value.producerId, told: { $case: 'task', value } };
}

/** Of Postgres' integers. */
const maxAttempt = 2 ** 31 - 1;
/** From 0001-01-01 to 9999-12-31. */
const [firstSecond, lastSecond] = [-62_135_596_800n, 253_402_300_799n];

function required<T>(event: T | undefined): T {
  if (!event) throw invalidArgument('event: missing');
  return event;
}

function requirePhase(phase: number, phases: Readonly<Record<number, string>>): void {
  if (phase !== 0 && phases[phase] !== undefined && phases[phase] !== 'UNRECOGNIZED') return;
  const known = Object.values(phases).filter((name) => typeof name === 'string' && name !== 'UNRECOGNIZED');
  throw invalidArgument(`event.phase: ${phase} is none; use one of ${known.slice(1).join(', ')}`);
}

/** What protobuf calls a valid Timestamp. */
function requireTime(time: Timestamp | undefined, where: string): void {
  if (!time) throw invalidArgument(`${where}: missing; say when it happened`);
  const { seconds, nanos } = time;
  if (seconds < firstSecond || seconds > lastSecond || nanos < 0 || nanos > 999_999_999)
    throw invalidArgument(`${where}: ${seconds} s ${nanos} ns is no time between the years 1 and 9999`);
}
