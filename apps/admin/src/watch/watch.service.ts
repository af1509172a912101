import { createPositionStore, executionKey, shardOf } from '@aloft/bus';
import type { Database, Transaction } from '@aloft/database';
import { invalidArgument, notFound } from '@aloft/errors';
import {
  ExecutionSnapshot,
  type WatchExecutionRequest,
  type WatchExecutionResponse,
  type WatchProjectRequest,
  type WatchProjectResponse,
} from '@aloft/idl/aloft/v1/watch';
import { NodeExecution } from '@aloft/idl/flyteidl/admin/node_execution';
import { TaskExecution } from '@aloft/idl/flyteidl/admin/task_execution';
import { WorkflowExecution_Phase as Phase } from '@aloft/idl/flyteidl/core/execution';
import type { AdminConfig } from '../config.js';
import { toExecution } from '../executions/execution-answers.js';
import type { ExecutionsRepository } from '../executions/executions.repository.js';
import { toNodeExecution } from '../node-executions/node-answers.js';
import type { NodeExecutionsRepository } from '../node-executions/node-executions.repository.js';
import { isTerminalExecution } from '../projection/phases.js';
import { projectionGroup, type ProjectionService } from '../projection/projection.service.js';
import { describeKey, requireExecutionId, type NameKey } from '../registry/identifiers.js';
import { toTaskExecution } from '../task-executions/task-answers.js';
import type { TaskExecutionsRepository } from '../task-executions/task-executions.repository.js';
import type { LiveEvent, LiveEvents } from './live-events.js';

/** Room for nodes and tasks in a snapshot: stock clients take messages of 4 MiB. */
const maxSnapshotBytes = 3 * 1024 * 1024;
/** While the projection, perhaps another process's, is behind the stream's beginning here: tried again after so long. */
const behindPauseMs = 25;

interface Snapshot {
  response: ExecutionSnapshot;
  over: boolean;
  /** Whether all events after it are seen by this process's tail. */
  bridged: boolean;
}

/** Live views (aloft.v1.WatchService): a snapshot, then every change after it exactly once, in order. */
export class WatchService {
  private readonly positions = createPositionStore(projectionGroup);

  constructor(
    private readonly database: Database,
    private readonly executions: ExecutionsRepository,
    private readonly nodes: NodeExecutionsRepository,
    private readonly tasks: TaskExecutionsRepository,
    private readonly live: LiveEvents,
    private readonly projection: ProjectionService,
    private readonly config: AdminConfig,
  ) {}

  async *watchExecution(request: WatchExecutionRequest, signal: AbortSignal): AsyncGenerator<WatchExecutionResponse> {
    const key = requireExecutionId(request.id);
    const row = await this.executions.find(this.database, key);
    if (!row) throw notFound(`there is no execution ${describeKey(key)}`);
    // Before the snapshot: what happens while it is read waits in the queue.
    const queue = this.live.ofRun(row.uid);
    try {
      let last = request.afterSequence;
      if (last === 0n || !(await this.continues(key, last))) {
        const snapshot = await this.bridgedSnapshot(key, request.executionOnly, signal);
        if (!snapshot) return;
        yield { update: { $case: 'snapshot', value: snapshot.response } };
        if (snapshot.over) return;
        last = snapshot.response.sequence;
      }
      for (;;) {
        const batch = await queue.next(signal);
        if (batch === undefined) return;
        const fresh = batch === 'overflow' ? [] : batch.filter(({ event }) => event.sequence > last);
        const first = fresh[0]?.event.sequence;
        if (batch === 'overflow' || (first !== undefined && first > last + 1n)) {
          const snapshot = await this.snapshotFrom(key, first ?? last + 1n, request.executionOnly, signal);
          if (!snapshot) return;
          yield { update: { $case: 'snapshot', value: snapshot.response } };
          if (snapshot.over) return;
          last = snapshot.response.sequence;
        }
        for (const { event } of fresh) {
          if (event.sequence <= last) continue;
          last = event.sequence;
          if (!request.executionOnly || event.event?.$case === 'workflow' || event.event?.$case === 'quarantined')
            yield { update: { $case: 'event', value: event } };
          if (endsRun(event.event)) return;
        }
      }
    } finally {
      queue.close();
    }
  }

  /** Phase changes of the runs of a project and domain. After an overflow it goes on with what comes: it has no snapshot. */
  async *watchProject(request: WatchProjectRequest, signal: AbortSignal): AsyncGenerator<WatchProjectResponse> {
    const { org, project, domain } = request;
    if (project === '' || domain === '') throw invalidArgument('project, domain: both must be given');
    const queue = this.live.ofDomain(org, project, domain);
    try {
      for (;;) {
        const batch = await queue.next(signal);
        if (batch === undefined) return;
        for (const { id, event } of batch === 'overflow' ? ([] as LiveEvent[]) : batch)
          if (event.event?.$case === 'workflow' || event.event?.$case === 'quarantined') yield { id, event };
      }
    } finally {
      queue.close();
    }
  }

  /** Whether the recent events held here go on right after a sequence that the client has. */
  private async continues(key: NameKey, after: bigint): Promise<boolean> {
    const row = await this.executions.find(this.database, key);
    if (!row || isTerminalExecution(Phase[row.phase as keyof typeof Phase])) return false;
    const queue = this.live.ofRun(row.uid);
    const batch = await queue.next(AbortSignal.timeout(0));
    queue.close();
    return Array.isArray(batch) ? (batch[0] as LiveEvent).event.sequence <= after + 1n : row.lastSequence === after;
  }

  /** A snapshot after which this process's tail has everything. */
  private async bridgedSnapshot(
    key: NameKey,
    executionOnly: boolean,
    signal: AbortSignal,
  ): Promise<Snapshot | undefined> {
    for (;;) {
      const snapshot = await this.snapshot(key, executionOnly);
      if (snapshot.bridged || snapshot.over) return snapshot;
      await this.applied(signal);
      if (signal.aborted) return undefined;
    }
  }

  /** A snapshot that holds all events before `sequence`: the stream was ahead of the read model, or events were dropped. */
  private async snapshotFrom(
    key: NameKey,
    sequence: bigint,
    executionOnly: boolean,
    signal: AbortSignal,
  ): Promise<Snapshot | undefined> {
    for (;;) {
      const snapshot = await this.snapshot(key, executionOnly);
      if (snapshot.response.sequence + 1n >= sequence) return snapshot;
      await this.applied(signal);
      if (signal.aborted) return undefined;
    }
  }

  /** Resolves when the projection has moved: at once told by this process's, otherwise after a moment. */
  private applied(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        off();
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const off = this.projection.onApplied(done);
      const timer = setTimeout(done, behindPauseMs);
      signal.addEventListener('abort', done);
    });
  }

  /** Row, nodes and tasks as of one moment. */
  private snapshot(key: NameKey, executionOnly: boolean): Promise<Snapshot> {
    return this.database.transaction(async (tx) => {
      await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
      const row = await this.executions.find(tx, key);
      if (!row) throw notFound(`there is no execution ${describeKey(key)}`);
      const execution = toExecution(row);
      const response: ExecutionSnapshot = {
        execution,
        nodes: [],
        tasks: [],
        sequence: row.lastSequence,
        parentNodeIds: {},
      };
      if (!executionOnly) await this.fill(tx, row.id, key, response);
      return {
        response,
        over: isTerminalExecution(execution.closure?.phase ?? Phase.UNDEFINED),
        bridged: await this.isBridged(tx, key),
      };
    });
  }

  private async fill(tx: Transaction, executionId: bigint, key: NameKey, snapshot: ExecutionSnapshot): Promise<void> {
    const limit = this.config.watch.snapshotRows;
    const nodes = await this.nodes.first(tx, executionId, limit);
    const tasks = await this.tasks.first(tx, executionId, limit);
    let room = maxSnapshotBytes;
    for (const row of nodes) {
      const node = toNodeExecution(key, row);
      if ((room -= NodeExecution.encode(node).finish().length) < 0) return;
      snapshot.nodes.push(node);
      if (row.parentNodeId !== null) snapshot.parentNodeIds[row.nodeId] = row.parentNodeId;
    }
    for (const task of tasks.map((row) => toTaskExecution(key, row))) {
      if ((room -= TaskExecution.encode(task).finish().length) < 0) return;
      snapshot.tasks.push(task);
    }
  }

  private async isBridged(tx: Transaction, key: NameKey): Promise<boolean> {
    const { stream, begins } = this.live.streamOf(shardOf(executionKey(key)));
    const [position = 0n] = await this.positions.load(tx, [stream]);
    return position >= begins;
  }
}

function endsRun(event: NonNullable<LiveEvent['event']>['event']): boolean {
  return event?.$case === 'workflow' && isTerminalExecution(event.value.phase);
}
