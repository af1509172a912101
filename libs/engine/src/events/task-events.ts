import { WaitReason, type LiteralsValue, type TaskReport, type TaskUsage } from '@aloft/idl/aloft/v1/bus';
import type { Route } from '@aloft/idl/aloft/v1/routing';
import { type ExecutionError, TaskExecution_Phase, type TaskLog } from '@aloft/idl/flyteidl/core/execution';
import {
  TaskExecutionEvent,
  TaskExecutionMetadata,
  TaskExecutionMetadata_InstanceClass,
} from '@aloft/idl/flyteidl/event/event';
import { Behaviour, behaves } from '../behaviours.js';
import { reportedWait } from '../explain/waits.js';
import { taskOf } from '../data/task-settings.js';
import { taskName } from '../names.js';
import { sentenceOf } from '../routing/route.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import { emit, producer } from './emit.js';
import { inputOf, outcomeOf } from './workflow-events.js';

export interface TaskFacts {
  inputs?: LiteralsValue;
  outputs?: LiteralsValue;
  error?: ExecutionError;
  reason?: string;
  interruptible?: boolean;
  /** Where the attempt goes, with its first event. */
  route?: Route | undefined;
  /** What the attempt used, where no report tells. */
  usage?: TaskUsage | undefined;
  /** What the backend said. */
  report?: TaskReport;
  /** Links to what it was, where no report tells. */
  logs?: TaskLog[] | undefined;
  /** What it waits for at its backend, where that is known before the backend says anything. */
  waiting?: WaitReason | undefined;
}

/** What the attempt waits for from now on; that it no longer waits, if events had said so; else nothing. */
function waitingOf(run: RunState, work: NodeWork, { report, waiting }: TaskFacts): WaitReason | undefined {
  const before = work.waiting;
  work.waiting = report && behaves(run, Behaviour.TellsWaits) ? reportedWait(run, work, report) : waiting;
  if (work.waiting || !before) return work.waiting;
  return WaitReason.create({ nodeId: work.id, since: run.now });
}

/** An attempt of a task entered a phase, or changed within one (A-62, C-173). */
export function taskEvent(run: RunState, work: NodeWork, phase: TaskExecution_Phase, facts: TaskFacts = {}): void {
  const { scope, node } = work;
  const task = taskOf(scope, node);
  const report = facts.report;
  const event = TaskExecutionEvent.create();
  event.taskId = task.id;
  event.parentNodeExecutionId = { nodeId: work.id, executionId: run.id };
  event.retryAttempt = work.attempt;
  // Retryable failures are failures of that attempt to everybody outside (C-173).
  event.phase = phase === TaskExecution_Phase.RETRYABLE_FAILED ? TaskExecution_Phase.FAILED : phase;
  event.phaseVersion = work.phaseVersion;
  event.producerId = producer;
  event.occurredAt = report?.occurredAt ?? run.now;
  event.reportedAt = run.now;
  event.inputValue = inputOf(facts.inputs);
  event.outputResult = outcomeOf(facts);
  event.taskType = task.type;
  event.eventVersion = 1;
  const { route } = facts;
  const reason = facts.reason ?? report?.reason ?? (route ? sentenceOf(route) : '');
  if (reason !== '') {
    event.reason = reason;
    event.reasons = [{ reason, occurredAt: event.occurredAt }];
  }
  if (report) {
    event.logs = report.logs;
    event.customInfo = report.customInfo;
  } else if (facts.logs) event.logs = facts.logs;
  const metadata = TaskExecutionMetadata.create();
  metadata.generatedName = taskName(run.id.name, work.id, work.attempt);
  metadata.pluginIdentifier = report?.backend ?? route?.backend ?? '';
  metadata.instanceClass =
    (report?.interruptible ?? facts.interruptible)
      ? TaskExecutionMetadata_InstanceClass.INTERRUPTIBLE
      : TaskExecutionMetadata_InstanceClass.DEFAULT;
  event.metadata = metadata;
  emit(
    run,
    { $case: 'task', value: event },
    { usage: report?.usage ?? facts.usage, waiting: waitingOf(run, work, facts), route },
  );
}
