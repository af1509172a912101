import type { BlobStore } from '@aloft/blob';
import type { IncomingMessage } from '@aloft/bus';
import type { Transaction } from '@aloft/database';
import { invalidArgument, notFound } from '@aloft/errors';
import { ExecutionEvents, type ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import { CompiledWorkflowClosure } from '@aloft/idl/flyteidl/core/compiler';
import { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralType } from '@aloft/idl/flyteidl/core/types';
import type { TaskExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import type { Histogram, Metrics } from '@aloft/telemetry';
import type { AdminConfig } from '../config.js';
import { canonicalBytes, sha256 } from '../registry/canonical.js';
import { foldExecutionEvent } from './fold-execution.js';
import { foldNodeEvent, newNodeState } from './fold-node.js';
import { foldTaskEvent, newTaskState } from './fold-task.js';
import type {
  ProjectedExecution,
  ProjectedNode,
  ProjectedTask,
  ProjectionRepository,
  ReachedGate,
} from './projection.repository.js';

export const eventsTopic = 'executions.events';
export const eventsType = 'aloft.v1.ExecutionEvents';
export const projectionGroup = 'admin-projection';

/** What a batch changed, told after its commit. */
export type Applied = ReadonlyMap<string, bigint>;

interface Batch {
  executions: Map<string, ProjectedExecution>;
  nodes: Map<string, ProjectedNode>;
  tasks: Map<string, ProjectedTask>;
  gates: ReachedGate[];
}

interface EventOf {
  uid: string;
  event: ExecutionEvent;
}

/**
 * Makes the read model of executions out of `executions.events`: rows that a batch concerns are read once, all its events are
 * folded into them in memory, and what changed is written once. Events up to a run's last sequence have been seen and are
 * dropped. That a run is set aside or released stands outside its sequence (0): told again in order, it says the same again.
 */
export class ProjectionService {
  private readonly listeners = new Set<(applied: Applied) => void>();
  private readonly delay: Histogram | undefined;
  private readonly batchSize: Histogram | undefined;

  constructor(
    private readonly repository: ProjectionRepository,
    private readonly blob: BlobStore,
    private readonly config: AdminConfig,
    metrics?: Metrics,
  ) {
    this.delay = metrics?.histogram({
      name: 'aloft_admin_projection_delay_seconds',
      help: 'From the commit of events in the propeller until they are in the read model',
    });
    this.batchSize = metrics?.histogram({
      name: 'aloft_admin_projection_batch_messages',
      help: 'Messages in one commit of the projection',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500],
    });
  }

  /** Told of last sequences by execution uid after each commit; returns what ends it. */
  onApplied(listener: (applied: Applied) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Applies messages of one stream in order. NOT_FOUND (parks the message) for a run that isn't there. */
  async apply(messages: readonly IncomingMessage[], tx: Transaction): Promise<void> {
    const events = messages.flatMap(decode);
    const locked = await this.repository.lockExecutions(tx, [...new Set(events.map(({ uid }) => uid))]);
    const batch: Batch = {
      executions: new Map(locked.map((execution) => [execution.uid, execution])),
      nodes: new Map(),
      tasks: new Map(),
      gates: [],
    };
    const fresh = this.unseen(batch, events);
    await this.load(batch, fresh, tx);
    for (const { uid, event } of fresh) fold(batch, batch.executions.get(uid) as ProjectedExecution, event);
    await this.save(batch, fresh, tx);
    tx.afterCommit(() => this.measure(messages));
  }

  private measure(messages: readonly IncomingMessage[]): void {
    this.batchSize?.observe(messages.length);
    const now = Date.now();
    for (const { envelope } of messages) {
      if (!envelope.time) continue;
      const published = Number(envelope.time.seconds) * 1000 + envelope.time.nanos / 1e6;
      this.delay?.observe(Math.max(0, now - published) / 1000);
    }
  }

  /** Without what the rows contain already; moves their last sequences. */
  private unseen(batch: Batch, events: readonly EventOf[]): EventOf[] {
    return events.filter(({ uid, event }) => {
      const execution = batch.executions.get(uid);
      if (!execution)
        throw notFound(`there is no execution with id ${uid} for event ${event.sequence} of ${eventsTopic}`);
      if (event.event?.$case === 'quarantined') return true;
      if (event.sequence <= execution.lastSequence) return false;
      execution.lastSequence = event.sequence;
      return true;
    });
  }

  private async load(batch: Batch, events: readonly EventOf[], tx: Transaction): Promise<void> {
    const nodeKeys = new Map<string, { executionId: bigint; nodeId: string }>();
    const taskKeys = new Map<string, { executionId: bigint; nodeId: string; retryAttempt: number }>();
    for (const { uid, event } of events) {
      const { id: executionId } = batch.executions.get(uid) as ProjectedExecution;
      const nodeId = nodeIdOf(event);
      if (nodeId !== undefined) nodeKeys.set(keyOf(executionId, nodeId), { executionId, nodeId });
      if (event.event?.$case === 'task') {
        const { parentNodeExecutionId, retryAttempt } = event.event.value;
        const taskNode = parentNodeExecutionId?.nodeId ?? '';
        taskKeys.set(keyOf(executionId, taskNode, retryAttempt), { executionId, nodeId: taskNode, retryAttempt });
      }
    }
    for (const node of await this.repository.loadNodes(tx, [...nodeKeys.values()]))
      batch.nodes.set(keyOf(node.executionId, node.state.nodeId), node);
    for (const task of await this.repository.loadTasks(tx, [...taskKeys.values()]))
      batch.tasks.set(taskKeyOf(task.executionId, task.state.nodeId, task.state.retryAttempt, task.state.task), task);
  }

  private async save(batch: Batch, fresh: readonly EventOf[], tx: Transaction): Promise<void> {
    if (fresh.length === 0) return;
    await Promise.all([...batch.nodes.values()].map((node) => this.storeDynamicClosure(node)));
    const touched = new Set(fresh.map(({ uid }) => uid));
    const executions = [...batch.executions.values()].filter(({ uid }) => touched.has(uid));
    await this.repository.saveExecutions(tx, executions);
    // A row that only a wait reason made has no event yet, and can't be shown.
    await this.repository.saveNodes(
      tx,
      [...batch.nodes.values()].filter(({ state }) => state.closure.createdAt !== undefined),
    );
    await this.repository.saveTasks(tx, [...batch.tasks.values()]);
    await this.repository.saveSignals(tx, batch.gates);
    const applied = new Map(executions.map(({ uid, lastSequence }) => [uid, lastSequence]));
    tx.afterCommit(() => {
      for (const listener of this.listeners) listener(applied);
    });
  }

  /** A closure that came by value goes to blob storage under its digest: writing it twice is harmless. */
  private async storeDynamicClosure({ executionId, state }: ProjectedNode): Promise<void> {
    const { dynamicClosure } = state;
    if (!dynamicClosure) {
      if (state.dynamicWorkflowId && !state.dynamicClosureUri)
        state.dynamicClosureUri = state.closure.dynamicJobSpecUri || null;
      return;
    }
    const bytes = canonicalBytes(CompiledWorkflowClosure, dynamicClosure);
    const name = sha256(bytes).toString('hex').slice(0, 32);
    const uri = `s3://${this.blob.bucket}/${this.config.storagePrefix}/dynamic/${executionId}/${name}.pb`;
    await this.blob.put(uri, bytes, { contentType: 'application/x-protobuf' });
    state.dynamicClosureUri = uri;
    state.dynamicClosure = undefined;
  }
}

function decode({ envelope }: IncomingMessage): EventOf[] {
  if (envelope.type !== eventsType)
    throw invalidArgument(`message ${envelope.id} of ${eventsTopic} is a ${envelope.type}; ${eventsType} is expected`);
  if (envelope.executionUid === '')
    throw invalidArgument(`message ${envelope.id} of ${eventsTopic} has no execution_uid`);
  return ExecutionEvents.decode(envelope.payload).events.map((event) => ({ uid: envelope.executionUid, event }));
}

function fold(batch: Batch, execution: ProjectedExecution, event: ExecutionEvent): void {
  switch (event.event?.$case) {
    case 'workflow':
      foldExecutionEvent(execution.state, event.event.value);
      break;
    case 'node':
      foldNodeEvent(nodeOf(batch, execution.id, event.event.value.id?.nodeId ?? '').state, event.event.value);
      break;
    case 'task':
      foldTaskEvent(taskOf(batch, execution.id, event.event.value).state, event.event.value, event.usage);
      break;
    case 'gateReached': {
      const { signalId, nodeId, type } = event.event.value;
      const encoded = Buffer.from(LiteralType.encode(type ?? LiteralType.fromPartial({})).finish());
      batch.gates.push({ executionId: execution.id, signalId, nodeId, type: encoded });
      break;
    }
    case 'quarantined':
      execution.state.quarantineReason = event.event.value.released ? null : event.event.value.reason;
      break;
    case 'wait': {
      const { nodeId, kind, detail } = event.event.value;
      const { state } = nodeOf(batch, execution.id, nodeId);
      state.waitKind = kind;
      state.waitDetail = detail;
      break;
    }
    case undefined:
      break;
  }
}

function nodeIdOf({ event }: ExecutionEvent): string | undefined {
  if (event?.$case === 'node') return event.value.id?.nodeId ?? '';
  return event?.$case === 'wait' ? event.value.nodeId : undefined;
}

function nodeOf(batch: Batch, executionId: bigint, nodeId: string): ProjectedNode {
  const key = keyOf(executionId, nodeId);
  let node = batch.nodes.get(key);
  if (!node) batch.nodes.set(key, (node = { executionId, state: newNodeState(nodeId) }));
  return node;
}

function taskOf(batch: Batch, executionId: bigint, event: TaskExecutionEvent): ProjectedTask {
  const nodeId = event.parentNodeExecutionId?.nodeId ?? '';
  const task = event.taskId ?? Identifier.fromPartial({});
  const key = taskKeyOf(executionId, nodeId, event.retryAttempt, task);
  let row = batch.tasks.get(key);
  if (!row) batch.tasks.set(key, (row = { executionId, state: newTaskState(nodeId, event.retryAttempt, task) }));
  return row;
}

function keyOf(...parts: (bigint | string | number)[]): string {
  return parts.join('\n');
}

function taskKeyOf(executionId: bigint, nodeId: string, attempt: number, task: Identifier): string {
  return keyOf(executionId, nodeId, attempt, task.org, task.project, task.domain, task.name, task.version);
}
