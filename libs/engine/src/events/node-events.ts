import type { LiteralsValue, WaitReason } from '@aloft/idl/aloft/v1/bus';
import { CatalogCacheStatus, CatalogReservation_Status } from '@aloft/idl/flyteidl/core/catalog';
import type { ExecutionError, NodeExecution_Phase } from '@aloft/idl/flyteidl/core/execution';
import type { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { NodeExecutionEvent, TaskNodeMetadata } from '@aloft/idl/flyteidl/event/event';
import type { Timestamp } from '@aloft/idl/google/protobuf/timestamp';
import { taskIfAny, taskOf } from '../data/task-settings.js';
import { Kind } from '../graph/graph.js';
import type { NodeWork } from '../state/node-work.js';
import type { RunState } from '../state/run-state.js';
import type { Scope } from '../state/scope.js';
import { emit, producer } from './emit.js';
import { inputOf, outcomeOf } from './workflow-events.js';

export interface NodeFacts {
  inputs?: LiteralsValue;
  outputs?: LiteralsValue;
  error?: ExecutionError;
  occurredAt?: Timestamp;
  /** What it waits for from now on. */
  waiting?: WaitReason;
}

/** A node entered a phase that clients see (A-61, C-21, C-25). `work` is absent for nodes that were never active. */
export function nodeEvent(
  run: RunState,
  scope: Scope,
  node: number,
  work: NodeWork | undefined,
  phase: NodeExecution_Phase,
  facts: NodeFacts = {},
): void {
  const { template } = scope;
  const kind = template.kinds[node];
  const branch = template.branchOf[node]!;
  const event = NodeExecutionEvent.create();
  event.id = { nodeId: work?.id ?? scope.uniqueId(node), executionId: run.id };
  event.producerId = producer;
  event.phase = phase;
  event.occurredAt = facts.occurredAt ?? run.now;
  event.reportedAt = run.now;
  event.inputValue = inputOf(facts.inputs);
  event.outputResult = outcomeOf(facts);
  if (branch >= 0) {
    event.parentNodeMetadata = { nodeId: scope.uniqueId(branch) };
    event.retryGroup = '0';
  } else if (scope.parent) {
    event.parentNodeMetadata = { nodeId: scope.parent.id };
    event.retryGroup = String(scope.parentAttempt);
  }
  event.specNodeId = template.ids[node]!;
  event.nodeName = template.names[node]!;
  event.eventVersion = 1;
  event.isDynamic = work !== undefined && work.graphUri !== '';
  event.isParent = kind === Kind.SubWorkflow || kind === Kind.Branch || event.isDynamic;
  event.isArray = kind === Kind.Array;
  event.isInDynamicChain = scope.dynamic;
  event.targetEntity = targetOf(scope, node);
  if (kind === Kind.Task) {
    event.isEager = taskOf(scope, node).metadata?.isEager ?? false;
    if (work) event.targetMetadata = { $case: 'taskNodeMetadata', value: taskMetadata(scope, node, work) };
  } else if (kind === Kind.ChildExecution && work?.child) {
    event.targetMetadata = { $case: 'workflowNodeMetadata', value: { executionId: work.child } };
  }
  event.deckUri = work?.deckUri ?? '';
  if (work) work.waiting = facts.waiting;
  emit(run, { $case: 'node', value: event }, { waiting: facts.waiting });
}

function taskMetadata(scope: Scope, node: number, work: NodeWork): TaskNodeMetadata {
  const metadata = TaskNodeMetadata.create();
  metadata.cacheStatus = work.cacheStatus;
  metadata.catalogKey = work.cacheMetadata;
  metadata.checkpointUri = work.checkpointUri;
  if (work.reservedBy >= 0) metadata.reservationStatus = CatalogReservation_Status.RESERVATION_ACQUIRED;
  else if (work.reservationHolder !== '' && work.cacheStatus !== CatalogCacheStatus.CACHE_HIT) {
    metadata.reservationStatus = CatalogReservation_Status.RESERVATION_EXISTS;
  }
  if (work.graphUri !== '') {
    // The closure itself may be larger than a message: admin reads it where it lies.
    metadata.dynamicWorkflow = {
      id: taskOf(scope, node).id,
      compiledWorkflow: undefined,
      dynamicJobSpecUri: work.graphUri,
    };
  }
  return metadata;
}

/** The registered thing that the node runs. */
function targetOf(scope: Scope, node: number): Identifier | undefined {
  const { template, graph } = scope;
  switch (template.kinds[node]) {
    case Kind.Task:
      return taskOf(scope, node).id;
    case Kind.SubWorkflow:
      return graph.templates[template.targets[node]!]!.workflow.id;
    case Kind.ChildExecution: {
      const { target } = template.spec(node);
      return target?.$case === 'workflowNode' ? target.value.reference?.value : undefined;
    }
    case Kind.Array:
      return taskIfAny(scope, node)?.id;
    default:
      return undefined;
  }
}
