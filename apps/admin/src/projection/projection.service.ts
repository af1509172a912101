import type { IncomingMessage } from '@aloft/bus';
import type { Transaction } from '@aloft/database';
import { invalidArgument, notFound } from '@aloft/errors';
import type { ExecutionEvent } from '@aloft/idl/aloft/v1/bus';
import { Identifier } from '@aloft/idl/flyteidl/core/identifier';
import { LiteralType } from '@aloft/idl/flyteidl/core/types';
import type { TaskExecutionEvent } from '@aloft/idl/flyteidl/event/event';
import type { Histogram, Metrics } from '@aloft/telemetry';
import { LRUCache } from 'lru-cache';
import { decided } from '../node-control/revision-answers.js';
import type { NewRevision, RevisionsRepository } from '../node-control/revisions.repository.js';
import { nextTurn, sqlTime } from '../time.js';
import { decodeMessage, eventsTopic, projectedSequences } from './decode-events.js';
import type { DynamicClosures } from './dynamic-closures.js';
import { foldExecutionEvent } from './fold-execution.js';
import { foldAttemptOfNode, foldNodeEvent, newNodeState } from './fold-node.js';
import { foldTaskEvent, newTaskState } from './fold-task.js';
import { foldWait, nodeToldOf } from './fold-wait.js';
import { KeptRows, mayBeStored, noRows, taskKeyOf, type RunRows } from './kept-rows.js';
import { isTerminalExecution } from './phases.js';
import { ProjectedItems } from './projected-items.js';
import type {
  ProjectedExecution,
  ProjectedNode,
  ProjectedTask,
  ProjectionRepository,
  ReachedGate,
} from './projection.repository.js';

export const projectionGroup = 'admin-projection';

/** What a batch changed, told after its commit. */
export type Applied = ReadonlyMap<string, bigint>;

/** A run of a batch. */
interface BatchRun {
  execution: ProjectedExecution;
  rows: RunRows;
  /** What the batch changes of them. */
  nodes: Set<ProjectedNode>;
  tasks: Set<ProjectedTask>;
}

interface Batch {
  runs: Map<string, BatchRun>;
  gates: ReachedGate[];
  revisions: NewRevision[];
  items: ProjectedItems;
  /** Nodes that wait for their turn again: their rows go. */
  resets: { executionId: bigint; nodeId: string }[];
}

interface EventOf {
  uid: string;
  event: ExecutionEvent;
}

/** Rows of nodes and tasks that the projection keeps in memory, about 2 KB each. */
const maxKeptRows = 32_000;
const maxLately = 10_000;
/** Events folded before the event loop gets its turn. */
const foldSlice = 2_000;

/**
 * Makes the read model of executions out of `executions.events`: rows that a batch concerns are read once (or still here from
 * the batch before), all its events are folded into them in memory, and what changed is written once. Events up to a run's last sequence have been seen and are
 * dropped. That a run is set aside or released stands outside its sequence (0): told again in order, it says the same again.
 */
export class ProjectionService {
  private readonly kept = new KeptRows(maxKeptRows);
  /** Last sequences of runs that were projected here lately, by execution uid. */
  private readonly lately = new LRUCache<string, bigint>({ max: maxLately });
  private readonly listeners = new Set<(applied: Applied) => void>();
  private readonly delay: Histogram | undefined;
  private readonly batchSize: Histogram | undefined;

  constructor(
    private readonly repository: ProjectionRepository,
    private readonly revisions: RevisionsRepository,
    private readonly dynamicClosures: DynamicClosures,
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

  /** The last sequence of a run that this process has projected lately; the stored one may be higher, where another process has. */
  reached(uid: string): bigint | undefined {
    return this.lately.get(uid);
  }

  /** Applies messages of one stream in order. NOT_FOUND (parks the message) for a run that isn't there. */
  async apply(messages: readonly IncomingMessage[], tx: Transaction): Promise<void> {
    const events = messages.flatMap(eventsOf);
    this.tellProjected(messages, tx);
    const locked = await this.repository.lockExecutions(tx, [...new Set(events.map(({ uid }) => uid))]);
    const runs = locked.map((execution): [string, BatchRun] => {
      const { uid, lastSequence } = execution;
      // Memory is changed before the commit: only a commit puts it back.
      const rows = this.kept.take(uid, lastSequence) ?? noRows(lastSequence === 0n);
      return [uid, { execution, rows, nodes: new Set(), tasks: new Set() }];
    });
    const batch: Batch = { runs: new Map(runs), gates: [], revisions: [], items: new ProjectedItems(), resets: [] };
    const fresh = this.unseen(batch, events);
    await this.load(batch, fresh, tx);
    for (const [i, { uid, event }] of fresh.entries()) {
      fold(batch, batch.runs.get(uid) as BatchRun, event);
      if (i % foldSlice === foldSlice - 1) await nextTurn();
    }
    await this.save(batch, fresh, tx);
    tx.afterCommit(() => {
      this.keep(batch);
      this.measure(messages);
    });
  }

  /** What foreign engines told is there already: whoever waits for it hears so. */
  private tellProjected(messages: readonly IncomingMessage[], tx: Transaction): void {
    const projected = projectedSequences(messages);
    if (projected.size > 0) tx.afterCommit(() => this.tell(projected));
  }

  private tell(applied: Applied): void {
    for (const [uid, sequence] of applied) this.lately.set(uid, sequence);
    for (const listener of this.listeners) listener(applied);
  }

  private keep({ runs }: Batch): void {
    for (const [uid, { execution, rows, nodes, tasks }] of runs) {
      if (isTerminalExecution(execution.state.closure.phase)) continue;
      rows.sequence = execution.lastSequence;
      this.kept.put(uid, rows, { nodes, tasks });
    }
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
      const execution = batch.runs.get(uid)?.execution;
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
      const { execution, rows } = batch.runs.get(uid) as BatchRun;
      const { id: executionId } = execution;
      const nodeId = nodeToldOf(event);
      if (nodeId !== undefined && !rows.nodes.has(nodeId) && mayBeStored(rows, nodeId))
        nodeKeys.set(keyOf(executionId, nodeId), { executionId, nodeId });
      if (event.event?.$case !== 'task') continue;
      const { parentNodeExecutionId, retryAttempt, taskId } = event.event.value;
      const taskNode = parentNodeExecutionId?.nodeId ?? '';
      if (mayBeStored(rows, taskNode) && !rows.tasks.has(taskKeyOf(taskNode, retryAttempt, taskId ?? noTask)))
        taskKeys.set(keyOf(executionId, taskNode, retryAttempt), { executionId, nodeId: taskNode, retryAttempt });
    }
    const rowsOf = new Map([...batch.runs.values()].map(({ execution, rows }) => [execution.id, rows]));
    const [nodes, tasks] = await Promise.all([
      this.repository.loadNodes(tx, [...nodeKeys.values()]),
      this.repository.loadTasks(tx, [...taskKeys.values()]),
    ]);
    for (const node of nodes) rowsOf.get(node.executionId)?.nodes.set(node.state.nodeId, node);
    for (const task of tasks) {
      const { nodeId, retryAttempt, task: id } = task.state;
      rowsOf.get(task.executionId)?.tasks.set(taskKeyOf(nodeId, retryAttempt, id), task);
    }
  }

  private async save(batch: Batch, fresh: readonly EventOf[], tx: Transaction): Promise<void> {
    if (fresh.length === 0) return;
    const touched = new Set(fresh.map(({ uid }) => uid));
    const runs = [...batch.runs.values()].filter(({ execution }) => touched.has(execution.uid));
    const executions = runs.map(({ execution }) => execution);
    const nodes = runs.flatMap((run) => [...run.nodes]);
    const dynamic = nodes.filter(({ state }) => state.dynamicWorkflowId);
    if (dynamic.length > 0) await Promise.all(dynamic.map((node) => this.dynamicClosures.store(node)));
    this.repository.saveExecutions(tx, executions);
    this.repository.deleteNodes(tx, batch.resets);
    // A row that only a wait reason made has no event yet, and can't be shown.
    await this.repository.saveNodes(
      tx,
      nodes.filter(({ state }) => state.closure.createdAt !== undefined),
    );
    await this.repository.saveTasks(
      tx,
      runs.flatMap((run) => [...run.tasks]),
    );
    batch.items.save(tx);
    this.repository.saveSignals(tx, batch.gates);
    await this.revisions.save(tx, batch.revisions);
    const applied = new Map(executions.map(({ uid, lastSequence }) => [uid, lastSequence]));
    tx.afterCommit(() => this.tell(applied));
  }
}

function eventsOf({ envelope }: IncomingMessage): EventOf[] {
  if (envelope.executionUid === '')
    throw invalidArgument(`message ${envelope.id} of ${eventsTopic} has no execution_uid`);
  const { events, projected } = decodeMessage(envelope);
  return projected ? [] : events.map((event) => ({ uid: envelope.executionUid, event }));
}

function fold(batch: Batch, run: BatchRun, event: ExecutionEvent): void {
  const { execution } = run;
  switch (event.event?.$case) {
    case 'workflow':
      foldExecutionEvent(execution.state, event.event.value);
      break;
    case 'node': {
      const { state } = nodeOf(run, event.event.value.id?.nodeId ?? '');
      foldWait(state, event, foldNodeEvent(state, event.event.value));
      break;
    }
    case 'task': {
      const verdict = foldTaskEvent(taskOf(run, event.event.value).state, event.event.value, event.usage, event.route);
      batch.items.add(execution.id, event);
      const nodeId = nodeToldOf(event);
      if (nodeId !== undefined) foldAttemptOfNode(nodeOf(run, nodeId).state, event, verdict);
      break;
    }
    case 'gateReached': {
      const { signalId, nodeId, type } = event.event.value;
      const encoded = Buffer.from(LiteralType.encode(type ?? LiteralType.fromPartial({})).finish());
      batch.gates.push({ executionId: execution.id, signalId, nodeId, type: encoded });
      break;
    }
    case 'quarantined':
      execution.state.quarantineReason = event.event.value.released ? null : event.event.value.reason;
      break;
    case 'wait':
      foldWait(nodeOf(run, event.event.value.nodeId).state, event);
      break;
    case 'nodeRevised': {
      const { at } = event.event.value;
      const revision = decided(execution.id, event.event.value, sqlTime(at ?? { seconds: 0n, nanos: 0 }));
      if (revision) batch.revisions.push(revision);
      break;
    }
    case 'nodesReset':
      for (const nodeId of event.event.value.nodeIds) {
        batch.resets.push({ executionId: execution.id, nodeId });
        forgetNode(run, nodeId);
      }
      break;
    case undefined:
      break;
  }
}

function nodeOf({ execution, rows, nodes }: BatchRun, nodeId: string): ProjectedNode {
  let node = rows.nodes.get(nodeId);
  if (!node) rows.nodes.set(nodeId, (node = { executionId: execution.id, state: newNodeState(nodeId) }));
  nodes.add(node);
  return node;
}

/** Its row goes; if it begins anew, that is another. */
function forgetNode({ rows, nodes }: BatchRun, nodeId: string): void {
  const node = rows.nodes.get(nodeId);
  rows.nodes.delete(nodeId);
  if (node) nodes.delete(node);
}

function taskOf({ execution, rows, tasks }: BatchRun, event: TaskExecutionEvent): ProjectedTask {
  const nodeId = event.parentNodeExecutionId?.nodeId ?? '';
  const id = event.taskId ?? noTask;
  const key = taskKeyOf(nodeId, event.retryAttempt, id);
  let task = rows.tasks.get(key);
  if (!task)
    rows.tasks.set(key, (task = { executionId: execution.id, state: newTaskState(nodeId, event.retryAttempt, id) }));
  tasks.add(task);
  return task;
}

const noTask = Identifier.fromPartial({});

const keyOf = (executionId: bigint, nodeId: string, attempt = 0): string => `${executionId}\n${nodeId}\n${attempt}`;
