import type { TaskUsage } from '@aloft/idl/aloft/v1/bus';
import type { Route } from '@aloft/idl/aloft/v1/routing';
import { TaskExecutionClosure } from '@aloft/idl/flyteidl/admin/task_execution';
import { TaskExecution_Phase as Phase, type TaskLog } from '@aloft/idl/flyteidl/core/execution';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { ExternalResourceInfo, TaskExecutionEvent, TaskExecutionMetadata } from '@aloft/idl/flyteidl/event/event';
import { durationBetween } from '../time.js';
import { isTerminalTask, judgeTask, recordedTaskPhase, type Verdict } from './phases.js';

/** A task execution's row: one attempt. */
export interface TaskState {
  nodeId: string;
  retryAttempt: number;
  task: Identifier;
  phaseVersion: number;
  closure: TaskExecutionClosure;
  inputUri: string;
  /** Encoded LiteralMaps, when small. */
  inputs: Buffer | null;
  outputs: Buffer | null;
  isParent: boolean;
  usage: TaskUsage | undefined;
  /** Where it goes, and why. */
  route: Route | undefined;
}

export function newTaskState(nodeId: string, retryAttempt: number, task: Identifier): TaskState {
  return {
    nodeId,
    retryAttempt,
    task,
    phaseVersion: 0,
    closure: TaskExecutionClosure.fromPartial({}),
    inputUri: '',
    inputs: null,
    outputs: null,
    isParent: false,
    usage: undefined,
    route: undefined,
  };
}

/** What the phase rules say of an event, as the row stands. */
export function judgeTaskEvent({ closure, phaseVersion }: TaskState, event: TaskExecutionEvent): Verdict {
  const recorded = closure.createdAt === undefined ? undefined : { phase: closure.phase, phaseVersion };
  return judgeTask(recorded, { phase: recordedTaskPhase(event.phase), phaseVersion: event.phaseVersion });
}

/** Applies one event in place, with what was told beside it: logs, custom info and external resources are merged, reasons appended. */
export function foldTaskEvent(state: TaskState, event: TaskExecutionEvent, usage?: TaskUsage, route?: Route): Verdict {
  const verdict = judgeTaskEvent(state, event);
  if (verdict !== 'apply') return verdict;
  const { closure } = state;
  const phase = recordedTaskPhase(event.phase);
  closure.createdAt ??= event.occurredAt;
  closure.phase = phase;
  state.phaseVersion = event.phaseVersion;
  closure.updatedAt = event.occurredAt;
  if (phase === Phase.RUNNING) closure.startedAt ??= event.occurredAt;
  // One that ended within a moment is told of once, as ended: its use says when it began.
  closure.startedAt ??= usage?.startedAt;
  if (isTerminalTask(phase) && closure.startedAt && event.occurredAt)
    closure.duration = durationBetween(closure.startedAt, event.occurredAt);
  closure.taskType = event.taskType || closure.taskType;
  closure.eventVersion = event.eventVersion;
  closure.logs = mergeLogs(closure.logs, event.logs);
  closure.logContext = event.logContext ?? closure.logContext;
  if (event.customInfo) closure.customInfo = { ...closure.customInfo, ...event.customInfo };
  if (event.metadata) closure.metadata = mergeMetadata(closure.metadata, event.metadata);
  appendReasons(closure, event);
  applyData(state, event);
  if (usage) state.usage = usage;
  if (route) state.route = route;
  return 'apply';
}

/** By name and URI; what comes later replaces. */
function mergeLogs(before: TaskLog[], after: TaskLog[]): TaskLog[] {
  if (after.length === 0) return before;
  if (before.length === 0) return after;
  return [...new Map([...before, ...after].map((log) => [`${log.name}\n${log.uri}`, log])).values()];
}

function mergeMetadata(before: TaskExecutionMetadata | undefined, after: TaskExecutionMetadata): TaskExecutionMetadata {
  if (!before) return after;
  return {
    ...after,
    generatedName: after.generatedName || before.generatedName,
    pluginIdentifier: after.pluginIdentifier || before.pluginIdentifier,
    resourcePoolInfo: after.resourcePoolInfo.length > 0 ? after.resourcePoolInfo : before.resourcePoolInfo,
    externalResources: mergeResources(before.externalResources, after.externalResources),
  };
}

/**
 * By index and attempt; logs and custom info of one are merged in turn. An item's attempts follow each other: one that another followed
 * has failed, also where the event that said so told of the next one at once.
 */
function mergeResources(before: ExternalResourceInfo[], after: ExternalResourceInfo[]): ExternalResourceInfo[] {
  if (after.length === 0) return before;
  if (before.length === 0) return after;
  const key = (resource: ExternalResourceInfo) => resource.index * 2 ** 20 + resource.retryAttempt;
  const merged = new Map(before.map((resource) => [key(resource), resource]));
  for (const resource of after) {
    const old = merged.get(key(resource));
    merged.set(
      key(resource),
      old
        ? {
            ...resource,
            externalId: resource.externalId || old.externalId,
            logs: mergeLogs(old.logs, resource.logs),
            customInfo: resource.customInfo ? { ...old.customInfo, ...resource.customInfo } : old.customInfo,
            targetMetadata: resource.targetMetadata ?? old.targetMetadata,
          }
        : resource,
    );
  }
  const sorted = [...merged.values()].sort((a, b) => a.index - b.index || a.retryAttempt - b.retryAttempt);
  return sorted.map((resource, at) =>
    sorted[at + 1]?.index === resource.index && !isTerminalTask(resource.phase)
      ? { ...resource, phase: Phase.FAILED }
      : resource,
  );
}

function appendReasons(closure: TaskExecutionClosure, event: TaskExecutionEvent): void {
  const told =
    event.reasons.length > 0
      ? event.reasons.map(({ reason, occurredAt }) => ({ message: reason, occurredAt }))
      : event.reason === ''
        ? []
        : [{ message: event.reason, occurredAt: event.occurredAt }];
  for (const reason of told) {
    if (reason.message === closure.reasons.at(-1)?.message) continue;
    closure.reasons.push(reason);
    closure.reason = reason.message;
  }
}

function applyData(state: TaskState, { inputValue, outputResult }: TaskExecutionEvent): void {
  if (inputValue?.$case === 'inputUri') state.inputUri = inputValue.value;
  if (inputValue?.$case === 'inputData') state.inputs = Buffer.from(LiteralMap.encode(inputValue.value).finish());
  switch (outputResult?.$case) {
    case 'outputUri':
    case 'error':
      state.closure.outputResult = outputResult;
      break;
    case 'outputData':
      state.outputs = Buffer.from(LiteralMap.encode(outputResult.value).finish());
      break;
    case undefined:
      break;
  }
}
