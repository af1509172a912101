import { WaitReason_Kind, type ExecutionEvent, type WaitReason } from '@aloft/idl/aloft/v1/bus';
import type { ExecutionSnapshot } from '@aloft/idl/aloft/v1/watch';
import { CatalogCacheStatus } from '@aloft/idl/flyteidl/core/catalog';
import {
  NodeExecution_Phase,
  type TaskExecution_Phase,
  WorkflowExecution_Phase,
  type ExecutionError,
} from '@aloft/idl/flyteidl/core/execution';
import { millisecondsOf } from '../output.js';

/** What is known of a node of a watched run. */
export interface NodeState {
  /** Unique id within the run, e.g. `n1-0-n0`. */
  id: string;
  /** Id in the workflow's own text. */
  specId: string;
  name: string;
  parent?: string;
  phase: NodeExecution_Phase;
  /** Milliseconds since 1970. */
  queuedAt?: number;
  startedAt?: number;
  endedAt?: number;
  cache: CatalogCacheStatus;
  attempt: number;
  error?: ExecutionError;
  reason?: string;
  /** What it waits for, in the platform's words, and since when in milliseconds since 1970 (U-12). */
  waiting?: { kind: WaitReason_Kind; detail: string; since?: number };
  deckUri?: string;
  taskName?: string;
  /** Items of a map by index. */
  items: Map<number, { phase: TaskExecution_Phase; cached: boolean }>;
  isParent: boolean;
}

const endedNode = new Set([
  NodeExecution_Phase.SUCCEEDED,
  NodeExecution_Phase.FAILED,
  NodeExecution_Phase.ABORTED,
  NodeExecution_Phase.SKIPPED,
  NodeExecution_Phase.TIMED_OUT,
  NodeExecution_Phase.RECOVERED,
]);
const endedRun = new Set([
  WorkflowExecution_Phase.SUCCEEDED,
  WorkflowExecution_Phase.FAILED,
  WorkflowExecution_Phase.ABORTED,
  WorkflowExecution_Phase.TIMED_OUT,
]);
const invisible = /(^|-)(start-node|end-node)$/;

/** A run as its watcher knows it: the fold of a snapshot and the events after it. */
export class RunState {
  phase = WorkflowExecution_Phase.UNDEFINED;
  startedAt?: number;
  endedAt?: number;
  error?: ExecutionError;
  abortCause?: string;
  sequence = 0n;
  readonly nodes = new Map<string, NodeState>();

  get isOver(): boolean {
    return endedRun.has(this.phase);
  }

  get succeeded(): boolean {
    return this.phase === WorkflowExecution_Phase.SUCCEEDED;
  }

  /** Nodes in the order in which they became known, without the compiler's own start and end. */
  get visible(): NodeState[] {
    return [...this.nodes.values()].filter((node) => !invisible.test(node.id));
  }

  applySnapshot(snapshot: ExecutionSnapshot): void {
    this.sequence = snapshot.sequence;
    const closure = snapshot.execution?.closure;
    if (closure) {
      this.phase = closure.phase;
      const from = closure.startedAt ?? closure.createdAt;
      this.startedAt = from && millisecondsOf(from);
      if (this.isOver && this.startedAt !== undefined && closure.duration)
        this.endedAt = this.startedAt + millisecondsOf(closure.duration);
      if (closure.outputResult?.$case === 'error') this.error = closure.outputResult.value;
      if (closure.outputResult?.$case === 'abortMetadata') this.abortCause = closure.outputResult.value.cause;
    }
    for (const execution of snapshot.nodes) {
      const id = execution.id!.nodeId;
      const node = this.node(id);
      node.specId = execution.metadata?.specNodeId || id;
      node.parent = snapshot.parentNodeIds[id];
      node.isParent = execution.metadata?.isParentNode ?? false;
      const own = execution.closure;
      if (!own) continue;
      node.phase = own.phase;
      node.queuedAt = own.createdAt && millisecondsOf(own.createdAt);
      node.startedAt = own.startedAt && millisecondsOf(own.startedAt);
      const begin = node.startedAt ?? node.queuedAt;
      if (endedNode.has(own.phase) && begin !== undefined && own.duration)
        node.endedAt = begin + millisecondsOf(own.duration);
      node.deckUri = own.deckUri || undefined;
      if (own.outputResult?.$case === 'error') node.error = own.outputResult.value;
      if (own.targetMetadata?.$case === 'taskNodeMetadata') node.cache = own.targetMetadata.value.cacheStatus;
    }
    for (const wait of snapshot.waits) this.node(wait.nodeId).waiting = waitingOf(wait);
    for (const task of snapshot.tasks) {
      const node = this.node(task.id!.nodeExecutionId!.nodeId);
      node.taskName = task.id!.taskId?.name;
      node.attempt = Math.max(node.attempt, task.id!.retryAttempt);
      this.items(node, task.closure?.metadata?.externalResources ?? []);
    }
  }

  applyEvent(event: ExecutionEvent): NodeState | undefined {
    if (event.sequence <= this.sequence) return undefined;
    this.sequence = event.sequence;
    switch (event.event?.$case) {
      case 'workflow': {
        const { phase, occurredAt, outputResult } = event.event.value;
        this.phase = phase;
        const at = occurredAt && millisecondsOf(occurredAt);
        if (phase === WorkflowExecution_Phase.RUNNING) this.startedAt ??= at;
        if (this.isOver) this.endedAt = at;
        if (outputResult?.$case === 'error') this.error = outputResult.value;
        return undefined;
      }
      case 'node': {
        const change = event.event.value;
        const node = this.node(change.id!.nodeId);
        const at = change.occurredAt && millisecondsOf(change.occurredAt);
        node.specId = change.specNodeId || node.specId;
        node.name = change.nodeName || node.name;
        node.parent = change.parentNodeMetadata?.nodeId || node.parent;
        node.isParent = change.isParent || node.isParent;
        node.phase = change.phase;
        node.queuedAt ??= at;
        node.waiting = waitingOf(event.waiting);
        if (change.phase === NodeExecution_Phase.RUNNING || change.phase === NodeExecution_Phase.DYNAMIC_RUNNING)
          node.startedAt ??= at;
        if (endedNode.has(change.phase)) node.endedAt = at;
        node.deckUri = change.deckUri || node.deckUri;
        if (change.targetEntity?.name) node.taskName = change.targetEntity.name;
        if (change.outputResult?.$case === 'error') node.error = change.outputResult.value;
        if (change.targetMetadata?.$case === 'taskNodeMetadata') node.cache = change.targetMetadata.value.cacheStatus;
        return node;
      }
      case 'task': {
        const change = event.event.value;
        const node = this.node(change.parentNodeExecutionId!.nodeId);
        node.taskName = change.taskId?.name ?? node.taskName;
        node.attempt = Math.max(node.attempt, change.retryAttempt);
        node.reason = change.reason || node.reason;
        if (event.waiting) node.waiting = waitingOf(event.waiting);
        this.items(node, change.metadata?.externalResources ?? []);
        return node;
      }
      case 'wait': {
        const node = this.node(event.event.value.nodeId);
        node.waiting = waitingOf(event.event.value);
        return node;
      }
      case 'nodesReset':
        // They wait for their turn again.
        for (const id of event.event.value.nodeIds) this.nodes.delete(id);
        return undefined;
      default:
        return undefined;
    }
  }

  private node(id: string): NodeState {
    let node = this.nodes.get(id);
    if (!node) {
      node = {
        id,
        specId: id,
        name: '',
        phase: NodeExecution_Phase.UNDEFINED,
        cache: CatalogCacheStatus.CACHE_DISABLED,
        attempt: 0,
        items: new Map(),
        isParent: false,
      };
      this.nodes.set(id, node);
    }
    return node;
  }

  private items(
    node: NodeState,
    resources: readonly { index: number; phase: TaskExecution_Phase; cacheStatus: CatalogCacheStatus }[],
  ): void {
    for (const { index, phase, cacheStatus } of resources)
      node.items.set(index, { phase, cached: cacheStatus === CatalogCacheStatus.CACHE_HIT });
  }
}

function waitingOf(wait: WaitReason | undefined): NodeState['waiting'] {
  if (!wait || wait.kind === WaitReason_Kind.NONE) return undefined;
  return { kind: wait.kind, detail: wait.detail, since: wait.since && millisecondsOf(wait.since) };
}

export const hasEnded = (node: NodeState): boolean => endedNode.has(node.phase);

/** Whether nothing of the node was computed: its own result, or every item's, came out of the catalog. */
export function isFromCatalog(node: NodeState): boolean {
  if (node.cache === CatalogCacheStatus.CACHE_HIT) return true;
  return node.items.size > 0 && [...node.items.values()].every(({ cached }) => cached);
}
