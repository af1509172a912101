import type { ExecutionEvent, WaitReason } from '@aloft/idl/aloft/v1/bus';
import { NodeExecutionClosure, NodeExecutionMetaData } from '@aloft/idl/flyteidl/admin/node_execution';
import type { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { NodeExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralMap } from '@aloft/idl/flyteidl/core/literals';
import type { NodeExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import { durationBetween } from '../time.js';
import { foldWait } from './fold-wait.js';
import { isTerminalNode, judgeNode, type Verdict } from './phases.js';

/** A node execution's row. */
export interface NodeState {
  nodeId: string;
  parentNodeId: string | null;
  /** `<node>/<attempt>/<task name>` of the task execution that this node is a child of (event version 0). */
  parentTask: string | null;
  closure: NodeExecutionClosure;
  metadata: NodeExecutionMetaData;
  inputUri: string;
  /** Encoded LiteralMaps, when small. */
  inputs: Buffer | null;
  outputs: Buffer | null;
  dynamicWorkflowId: Identifier | undefined;
  dynamicClosureUri: string | null;
  /** Came with this batch's events and is not stored yet. */
  dynamicClosure: CompiledWorkflowClosure | undefined;
  eventVersion: number;
  /** Why it isn't running (U-12); undefined when it doesn't wait. */
  wait: WaitReason | undefined;
}

export function newNodeState(nodeId: string): NodeState {
  return {
    nodeId,
    parentNodeId: null,
    parentTask: null,
    closure: NodeExecutionClosure.fromPartial({}),
    metadata: NodeExecutionMetaData.fromPartial({}),
    inputUri: '',
    inputs: null,
    outputs: null,
    dynamicWorkflowId: undefined,
    dynamicClosureUri: null,
    dynamicClosure: undefined,
    eventVersion: 0,
    wait: undefined,
  };
}

/** What the phase rules say of an event, as the row stands. */
export function judgeNodeEvent({ closure }: NodeState, event: NodeExecutionEvent): Verdict {
  return judgeNode(closure.createdAt === undefined ? undefined : closure.phase, event.phase);
}

/**
 * Applies one event in place. What a refused duplicate tells besides its phase (a deck, a dynamic closure) is taken all
 * the same; after the end nothing is.
 */
export function foldNodeEvent(state: NodeState, event: NodeExecutionEvent): Verdict {
  const { closure } = state;
  const verdict = judgeNodeEvent(state, event);
  if (verdict === 'terminal' || verdict === 'backwards') return verdict;
  closure.createdAt ??= event.occurredAt;
  if (verdict === 'apply') {
    closure.phase = event.phase;
    closure.updatedAt = event.occurredAt;
    if (event.phase === Phase.RUNNING || event.phase === Phase.DYNAMIC_RUNNING) closure.startedAt ??= event.occurredAt;
    if (isTerminalNode(event.phase)) end(state, event);
    state.wait = undefined;
  }
  applyMetadata(state, event);
  applyData(state, event);
  return verdict;
}

/** What an event of a node's attempt says of the node: that it waits (U-12), or when it began, if no event of its own was in time for that. */
export function foldAttemptOfNode(state: NodeState, event: ExecutionEvent, verdict: Verdict): void {
  if (verdict === 'apply') state.closure.startedAt ??= event.usage?.startedAt;
  if (event.waiting) foldWait(state, event);
}

function end({ closure }: NodeState, { occurredAt }: NodeExecutionEvent): void {
  if (closure.startedAt && occurredAt) closure.duration = durationBetween(closure.startedAt, occurredAt);
}

function applyMetadata(state: NodeState, event: NodeExecutionEvent): void {
  const { metadata, closure } = state;
  metadata.specNodeId = event.specNodeId || metadata.specNodeId || event.nodeName;
  metadata.retryGroup = event.retryGroup || metadata.retryGroup;
  metadata.isParentNode ||= event.isParent;
  metadata.isDynamic ||= event.isDynamic;
  metadata.isArray ||= event.isArray;
  metadata.isEager ||= event.isEager;
  state.eventVersion = event.eventVersion;
  if (event.parentNodeMetadata) state.parentNodeId = event.parentNodeMetadata.nodeId || null;
  const parent = event.parentTaskMetadata?.id;
  if (parent)
    state.parentTask = parentTaskKey(
      parent.nodeExecutionId?.nodeId ?? '',
      parent.retryAttempt,
      parent.taskId?.name ?? '',
    );
  // C-110: while the task runs it is a promise; its end says whether there is one.
  if (event.deckUri !== '' || isTerminalNode(event.phase)) closure.deckUri = event.deckUri;
  switch (event.targetMetadata?.$case) {
    case 'workflowNodeMetadata':
      closure.targetMetadata = event.targetMetadata;
      break;
    case 'taskNodeMetadata': {
      const { cacheStatus, catalogKey, checkpointUri, dynamicWorkflow } = event.targetMetadata.value;
      closure.targetMetadata = { $case: 'taskNodeMetadata', value: { cacheStatus, catalogKey, checkpointUri } };
      if (dynamicWorkflow) {
        metadata.isDynamic = true;
        state.dynamicWorkflowId = dynamicWorkflow.id;
        state.dynamicClosure = dynamicWorkflow.compiledWorkflow;
        closure.dynamicJobSpecUri = dynamicWorkflow.dynamicJobSpecUri || closure.dynamicJobSpecUri;
      }
      break;
    }
    case undefined:
      break;
  }
}

function applyData(state: NodeState, { inputValue, outputResult }: NodeExecutionEvent): void {
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

export function parentTaskKey(nodeId: string, attempt: number, taskName: string): string {
  return `${nodeId}/${attempt}/${taskName}`;
}

/** The node of the task execution that a {@link parentTaskKey} names. */
export const nodeOfTaskKey = (key: string): string => key.split('/')[0]!;
